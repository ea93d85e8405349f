"""The picture of a node: a well-formed file of its own that hides no stop, invents none, and can be read aloud."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from xml.etree import ElementTree

from noout.domain.hardware import Condition, HardwareState, Power, Reading, SensorKind, Unit, Verdict
from noout.watch.picture import LEFT, PLOT_H, RIGHT, describe, picture
from noout.watch.trace import Trace, trace
from noout.watch.verdict import judge
from tests.unit.watch.traces import FANS, PVE3, START, after, fan, poll, steady, still, stop_entries

SVG = "{http://www.w3.org/2000/svg}"
STOPS = (3600, 7200, 10800, 14400)


def flapping(minutes: int = 300, seen: Sequence[int] = (40, 180)) -> list[HardwareState]:
    """Four stops an hour apart, all in the log; two of them met by a look."""
    states = [poll(60 * i, still("FAN3B") if i in seen else None) for i in range(minutes)]
    return [*states[:-1], replace(states[-1], log=stop_entries(STOPS))]


def shown(states: Sequence[HardwareState], sensor: str = "") -> Trace:
    now = states[-1].at if states else START
    return trace(PVE3, states, judge(states, now), now, sensor)


def drawn(svg: str, kind: str) -> list[ElementTree.Element]:
    return [each for each in ElementTree.fromstring(svg).iter() if each.get("class") == kind]


def numbers(path: str) -> list[tuple[float, float]]:
    found = re.findall(r"(-?[\d.]+) (-?[\d.]+)", path)
    return [(float(x), float(y)) for x, y in found]


def test_it_shows_the_fan_that_flaps_with_its_peers_episodes_and_log() -> None:
    seen = shown(flapping())
    assert (seen.sensor, seen.unit, seen.limit) == ("FAN3B", Unit.RPM, 1800.0)
    assert set(seen.peers) == set(FANS) - {"FAN3B"}
    svg = picture(seen)
    assert len(drawn(svg, "pr")) == 5 and len(drawn(svg, "ln")) == 2, "one of them in the legend"
    assert len(drawn(svg, "ep")) == 1 + len(seen.episodes) and len(seen.episodes) >= 4
    assert len(drawn(svg, "tick")) == 1 + 4 and len(drawn(svg, "tick2")) == 1 + 4, "six records of one stop are one"
    words = " ".join(ElementTree.fromstring(svg).itertext())
    assert "FAN3B of pve3: flapping" in words and "stood still" in words and "lower critical 1 800" in words


def test_a_stop_of_one_look_is_drawn_however_long_the_trace() -> None:
    states = [poll(60 * i, still("FAN3B") if i == 5000 else None) for i in range(10080)]
    svg = picture(trace(PVE3, states, (), states[-1].at, "FAN3B"))
    (line,) = drawn(svg, "ln")[1:]
    top = min(y for _, y in numbers(line.get("d", "")))
    low = max(y for _, y in numbers(line.get("d", "")))
    assert low - top > PLOT_H * 0.5, "it falls to nought"
    assert len(svg) < 150_000


def test_where_nothing_was_read_nothing_is_drawn_and_it_is_said() -> None:
    quiet = [poll(60 * i, reachable=False, readings=()) for i in range(100, 160)]
    off = [poll(60 * i, still(*FANS), power=Power.OFF) for i in range(200, 220)]
    states = [poll(60 * i) for i in range(300) if not 100 <= i < 160 and not 200 <= i < 220]
    seen = shown(sorted([*states, *quiet, *off], key=lambda state: state.at), "FAN1A")
    assert [(each.why, each.since, each.until) for each in seen.blanks] == [
        ("silent", after(60 * 100), after(60 * 160)),
        ("off", after(60 * 200), after(60 * 220)),
    ]
    assert [len(run) for run in seen.series] == [100, 40, 80], "no line leads across a gap, none to the nought of off"
    assert all(value for run in seen.series for _, value in run)
    svg = picture(seen)
    assert len(drawn(svg, "gap")) == 2 and len(drawn(svg, "off")) == 2
    assert "2 stretches without evidence" in describe(seen)


def test_a_watch_that_was_not_running_is_a_gap_too() -> None:
    states = [poll(60 * i) for i in (*range(10), *range(70, 80))]
    assert [each.why for each in shown(states, "FAN1A").blanks] == ["silent"]


def test_it_is_a_file_of_its_own() -> None:
    svg = picture(shown(flapping()))
    root = ElementTree.fromstring(svg)
    tags = {each.tag.removeprefix(SVG) for each in root.iter()}
    assert tags <= {"svg", "title", "desc", "style", "defs", "pattern", "path", "rect", "text", "tspan"}
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "") and "url(#hatch)" in svg
    assert not any(name.startswith("on") or name == "style" for each in root.iter() for name in each.attrib)
    assert "prefers-color-scheme:dark" in svg
    plain = picture(shown(flapping()), style=False)
    assert "<style" not in plain and drawn(plain, "ln")
    labels = (root.get("aria-labelledby") or "").split()
    ids = {each.get("id") for each in root.iter()}
    assert root.get("role") == "img" and len(labels) == 2 and set(labels) <= ids


def test_what_a_bmc_says_is_never_markup() -> None:
    name = '<script>alert("FAN")</script>'
    states = [replace(state, readings=(fan(name, 8000.0),)) for state in flapping()]
    why = f"{name} & its peers."
    verdict = Verdict(PVE3, name, Condition.DEGRADED, START, why)
    svg = picture(trace(PVE3, states, [verdict], states[-1].at))
    assert "<script" not in svg and why in "".join(ElementTree.fromstring(svg).itertext())


def test_everything_lies_within_the_picture() -> None:
    for states in (flapping(), [poll(0)], [poll(60 * i) for i in range(3)]):
        root = ElementTree.fromstring(picture(shown(states)))
        width, height = (float(each) for each in (root.get("viewBox") or "").split()[2:])
        for each in root.iter(f"{SVG}text"):
            assert 0 <= float(each.get("x", "")) <= width and 0 < float(each.get("y", "")) <= height
        for each in (*root.iter(f"{SVG}path"), *root.iter(f"{SVG}rect")):
            if each.get("class") in ("ln", "pr", "band", "cl", "ep"):
                assert all(LEFT - 3 <= x <= RIGHT + 3 for x, _ in numbers(each.get("d", "")))


def test_without_figures_and_without_anything() -> None:
    assert "Nothing is known" in picture(shown([]))
    supply = Reading("PSU1", SensorKind.POWER_SUPPLY, 0.0, Unit.STATE, health="Critical")
    states = [replace(poll(60 * i), readings=(supply,)) for i in range(10)]
    svg = picture(shown(states, "PSU1"))
    assert "it only tells its state" in svg and not drawn(svg, "ln")


def test_a_hot_sensor_shows_its_upper_limit_and_only_its_like() -> None:
    def heat(name: str, value: float) -> Reading:
        return Reading(name, SensorKind.TEMPERATURE, value, Unit.CELSIUS, upper_critical=90.0)

    states = [
        replace(poll(60 * i), readings=(*poll(0, steady).readings, heat("CPU1", 60.0 + i), heat("CPU2", 55.0)))
        for i in range(40)
    ]
    seen = shown(states)
    assert (seen.sensor, seen.limit, seen.upper, set(seen.peers)) == ("CPU1", 90.0, True, {"CPU2"})
    assert "upper critical 90" in picture(seen)


def test_it_reads_aloud_what_it_shows() -> None:
    said = describe(shown(flapping()))
    assert said.startswith("FAN3B stood still")
    assert "FAN3B read between 0 and 7,600 RPM." in said and "The 5 like it read between" in said
    assert f"Episode 1: stall from {START + timedelta(seconds=2400):%Y-%m-%d %H:%M}" in said
