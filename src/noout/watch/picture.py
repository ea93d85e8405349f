"""One node's trace as an SVG: readings with their peers, limits, episodes, log entries and gaps, and what it means.

A file of its own: no script, nothing from elsewhere, light and dark by itself. The colours are those of the pages
(``tokens.css``); a page that draws it inline leaves the style out and styles the same classes.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from xml.sax.saxutils import escape

from noout.domain.hardware import Condition, Unit
from noout.watch.episodes import CLEAR_BELOW, FLAPPING_FROM, score
from noout.watch.trace import Points, Stretch, Trace

WIDTH, LEFT, RIGHT = 960, 64, 944
PLOT_H, LOG_H, SCORE_H = 220, 30, 56
COLUMN = 2.0  # two of the picture's units: what is nearer together is drawn as its lowest and highest
UNITS = {Unit.RPM: "RPM", Unit.PERCENT: "%", Unit.CELSIUS: "°C", Unit.WATT: "W", Unit.COUNT: "", Unit.LINKS: "links"}
STEPS = tuple(timedelta(minutes=m) for m in (1, 2, 5, 10, 30, 60, 180, 360, 720, 1440, 2880, 10080))
LABELS_MAX = 8
# Glyph, word, class: a state is never told by its colour alone.
STATES = {
    Condition.OK: ("✓", "ok", "ok"),
    Condition.HUNTING: ("▲", "hunting: its limit is wrong", "caution"),
    Condition.DEGRADED: ("▲", "degraded", "caution"),
    Condition.FLAPPING: ("▲", "flapping", "caution"),
    Condition.FAILED: ("⛔", "failed", "stop"),
    Condition.LOST_TELEMETRY: ("?", "no evidence", "unk"),
}
_ILL = (Condition.FAILED, Condition.FLAPPING, Condition.DEGRADED)
STYLE = """
svg{color-scheme:light dark;--surface:#fff;--sunk:#eceeea;--grid:#e6e9e4;--line2:#b9c2bc;--ink:#14201e;--ink2:#41504c;
--ink3:#586561;--peer:#a9b3ae;--ok:#1b6b41;--caution:#7d5000;--stop:#a8201a;--unk:#586561}
@media (prefers-color-scheme:dark){svg{--surface:#151d1b;--sunk:#1c2624;--grid:#222d2b;--line2:#4a5a56;--ink:#e9efec;
--ink2:#b6c3bf;--ink3:#93a29d;--peer:#5d6c67;--ok:#6fce97;--caution:#eec15c;--stop:#ff9d92;--unk:#93a29d}}
text{font:400 11px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",Arial,sans-serif;
fill:var(--ink3);font-variant-numeric:tabular-nums}
text.h{font-size:17px;font-weight:600;fill:var(--ink)}text.p{font-size:13px;fill:var(--ink2)}
tspan.ok{fill:var(--ok)}tspan.caution,text.ept{fill:var(--caution);font-weight:600}
tspan.stop,text.tst{fill:var(--stop);font-weight:600}tspan.unk{fill:var(--unk)}
.bg{fill:var(--surface)}.gr{stroke:var(--grid)}.ax{stroke:var(--line2)}.ln{fill:none;stroke:var(--ink);
stroke-width:1.4;stroke-linejoin:round}.pr{fill:none;stroke:var(--peer);opacity:.75}
.band{fill:var(--peer);opacity:.22}
.thr{stroke:var(--stop);stroke-dasharray:5 4}.ep{fill:var(--caution);opacity:.18}.tick{stroke:var(--stop);
stroke-width:1.5}.tick2{stroke:var(--ok);stroke-width:1.5}.area{fill:var(--caution);opacity:.2}.cl{fill:none;
stroke:var(--caution);stroke-width:1.8}
.off{fill:var(--sunk);stroke:var(--line2);stroke-dasharray:2 2}.gap{fill:url(#hatch)}
.hatch{stroke:var(--unk);opacity:.45}
"""


@dataclass(frozen=True, slots=True)
class _Scale:
    """Time and value to the picture's units. ``top``..``bottom`` holds values from ``low`` to ``high``."""

    since: datetime
    until: datetime
    top: float
    bottom: float
    low: float = 0.0
    high: float = 1.0

    def x(self, at: datetime) -> float:
        span = (self.until - self.since).total_seconds() or 1.0
        share = (at - self.since).total_seconds() / span
        return LEFT + (RIGHT - LEFT) * min(1.0, max(0.0, share))

    def y(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return self.bottom - (self.bottom - self.top) * min(1.0, max(0.0, share))


def picture(shown: Trace, *, style: bool = True) -> str:
    """The SVG document. ``style`` False leaves the style to the page around it (its policy may allow none)."""
    sentence = shown.verdict.why if shown.verdict is not None else "Nothing is known of this node's hardware yet."
    lines = textwrap.wrap(sentence, 132)[:3]
    top = 84 + 18 * len(lines)
    plot = _Scale(shown.since, shown.until, top, top + PLOT_H, *_range(shown))
    with_score = any(each.what != "hunting" for each in shown.episodes)
    events = plot.bottom + 14
    scores = events + LOG_H + 10
    axis = scores + (SCORE_H if with_score else -10)
    parts = [
        *_head(shown, lines),
        *_legend(shown, top - 34),
        *_blanks(shown.blanks, plot),
        *_grid(shown, plot),
        *_episodes(shown, plot),
        *_peers(shown, plot),
        *_own(shown, plot),
        *_log(shown, plot, events),
        *(_score(shown, _Scale(shown.since, shown.until, scores, axis, 0.0, 1.0)) if with_score else ()),
        *_times(plot, top, axis),
        _text(LEFT, axis + 38, _foot(shown)),
    ]
    height = axis + 50
    body = "\n".join(parts)
    key = re.sub(r"[^A-Za-z0-9-]", "-", f"{shown.node.cluster}-{shown.node.name}")  # several may be on one page
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {WIDTH} {_n(height)}" role="img" '
        f'aria-labelledby="title-{key} desc-{key}" font-family="sans-serif">\n'
        f'<title id="title-{key}">{escape(_title(shown))}</title>\n'
        f'<desc id="desc-{key}">{escape(describe(shown))}</desc>\n'
        + (f"<style>{STYLE}</style>\n" if style else "")
        + '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><path class="hatch" d="M0 0V6"/></pattern></defs>\n'
        f'<rect class="bg" width="{WIDTH}" height="{_n(height)}"/>\n{body}\n</svg>\n'
    )


def describe(shown: Trace) -> str:
    """What the picture shows, for those who do not see it."""
    said = [shown.verdict.why if shown.verdict is not None else "Nothing is known of this node's hardware yet."]
    values = [value for run in shown.series for _, value in run]
    if values and shown.unit is not None:
        unit = UNITS[shown.unit]
        others = [value for runs in shown.peers.values() for run in runs for _, value in run]
        said.append(f"{shown.sensor} read between {min(values):,.0f} and {max(values):,.0f} {unit}".rstrip() + ".")
        if others:
            between = f"between {min(others):,.0f} and {max(others):,.0f} {unit}".rstrip()
            said.append(f"The {len(shown.peers)} like it read {between}.")
    for number, each in enumerate(shown.episodes[-20:], start=max(1, len(shown.episodes) - 19)):
        end = f"until {each.until:%H:%M:%S}" if each.until is not None else "and lasts"
        said.append(f"Episode {number}: {each.what} from {each.since:%Y-%m-%d %H:%M:%S} UTC {end}.")
    if shown.blanks:
        said.append(f"{len(shown.blanks)} stretches without evidence.")
    return " ".join(said)


# --- parts ------------------------------------------------------------------------------------------------------


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "") -> str:
    extra = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{_n(x)}" y="{_n(y)}"{extra}>{escape(words)}</text>'


def _rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{kind}" x="{_n(x)}" y="{_n(y)}" width="{_n(max(1.0, width))}" height="{_n(height)}"/>'


def _path(kind: str, d: str) -> str:
    return f'<path class="{kind}" d="{d}"/>'


def _title(shown: Trace) -> str:
    word = STATES[shown.verdict.condition][1] if shown.verdict is not None else "nothing known"
    return f"{shown.sensor or 'Hardware'} of {shown.node.name}: {word}"


def _head(shown: Trace, lines: Sequence[str]) -> Iterator[str]:
    glyph, _, kind = STATES[shown.verdict.condition] if shown.verdict is not None else ("?", "", "unk")
    title = escape(_title(shown))
    yield f'<text class="h" x="16" y="28"><tspan class="{kind}">{glyph}</tspan> {title}</text>'
    for number, line in enumerate(lines):
        yield _text(16, 48 + 18 * number, line, "p")


def _legend(shown: Trace, y: float) -> Iterator[str]:
    """Each mark beside its word."""
    x = float(LEFT)
    entries = [("ln", shown.sensor, bool(shown.series)), ("band", f"the {len(shown.peers)} like it", bool(shown.peers))]
    entries += [("thr", "its critical limit", shown.limit is not None and shown.unit is not None)]
    entries += [("ep", "episode", bool(shown.episodes)), ("tick", "log: trouble", any(m.bad for m in shown.marks))]
    entries += [("tick2", "log: well again", any(not m.bad for m in shown.marks))]
    entries += [("gap", "no evidence", any(blank.why == "silent" for blank in shown.blanks))]
    entries += [("off", "node off", any(blank.why == "off" for blank in shown.blanks))]
    for kind, word, there in entries:
        if not there:
            continue
        if kind in ("ln", "thr"):
            yield _path(kind, f"M{_n(x)} {_n(y)}H{_n(x + 18)}")
        elif kind in ("tick", "tick2"):
            yield _path(kind, f"M{_n(x + 9)} {_n(y - (6 if kind == 'tick' else 2))}V{_n(y + 6)}")
        else:
            yield _rect(kind, x, y - 5, 18, 10)
        yield _text(x + 24, y + 4, word)
        x += 24 + 5.8 * len(word) + 18


def _range(shown: Trace) -> tuple[float, float]:
    """From nought (a fan that stands must be seen to stand) to a round figure above everything drawn."""
    drawn = [shown.series, *shown.peers.values()]
    values = [value for runs in drawn for run in runs for _, value in run]
    values += [shown.limit] if shown.limit is not None else []
    high = max([*values, 0.0])
    low = min([*values, 0.0])
    return low, _round_up(high * 1.05) if high > 0 else 1.0


def _round_up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.2, 1.5, 2, 3, 4, 5, 6, 8, 9, 10) if step * power >= value)


def _grid(shown: Trace, plot: _Scale) -> Iterator[str]:
    if shown.unit is None:
        said = "no figures: it only tells its state" if shown.polls else "no figures"
        yield _text((LEFT + RIGHT) / 2, (plot.top + plot.bottom) / 2, said, "", "middle")
        return
    span = plot.high - plot.low
    parts = next((each for each in (3, 4, 5) if float(f"{span / each:.2g}") * each == span), 4)  # round figures
    for part in range(parts + 1):
        value = plot.low + span * part / parts
        yield _path("gr", f"M{LEFT} {_n(plot.y(value))}H{RIGHT}")
        yield _text(LEFT - 8, plot.y(value) + 4, f"{value:,.0f}".replace(",", " "), "", "end")
    yield _text(LEFT - 8, plot.top - 8, UNITS[shown.unit], "", "end")
    if shown.limit is not None:
        y = plot.y(shown.limit)
        yield _path("thr", f"M{LEFT} {_n(y)}H{RIGHT}")
        side = "upper" if shown.upper else "lower"
        yield _text(LEFT + 6, y - 5, f"{side} critical {shown.limit:,.0f}".replace(",", " "), "tst")


def _blanks(blanks: Iterable[Stretch], plot: _Scale) -> Iterator[str]:
    for blank in blanks:
        x, end = plot.x(blank.since), plot.x(blank.until)
        yield _rect("off" if blank.why == "off" else "gap", x, plot.top, end - x, plot.bottom - plot.top)


def _episodes(shown: Trace, plot: _Scale) -> Iterator[str]:
    free = -math.inf
    for number, each in enumerate(shown.episodes, start=1):
        x = plot.x(each.since)
        end = plot.x(each.until or shown.until)
        yield _rect("ep", x - 1, plot.top, max(3.0, end - x + 2), plot.bottom - plot.top)
        if x >= free:  # numbers that would cover each other are left out
            yield _text(x, plot.top - 4, str(number), "ept", "middle")
            free = x + 8 + 7 * len(str(number))


def _peers(shown: Trace, plot: _Scale) -> Iterator[str]:
    """All of them as a band, and each as a thin line."""
    columns: dict[int, list[float]] = {}
    for runs in shown.peers.values():
        for at, value in (point for run in runs for point in run):
            columns.setdefault(int(plot.x(at) / (2 * COLUMN)), []).append(value)
    xs = sorted(columns)
    while xs:
        length = next((i for i, (a, b) in enumerate(pairwise(xs), 1) if b - a > 8), len(xs))
        run, xs = xs[:length], xs[length:]
        upper = [f"{_n(x * 2 * COLUMN)} {_n(plot.y(max(columns[x])))}" for x in run]
        lower = [f"{_n(x * 2 * COLUMN)} {_n(plot.y(min(columns[x])))}" for x in reversed(run)]
        yield _path("band", "M" + "L".join([*upper, *lower]) + "Z")
    for runs in shown.peers.values():
        if line := "".join(_line(run, plot, 4 * COLUMN, typical=True) for run in runs):
            yield _path("pr", line)


def _own(shown: Trace, plot: _Scale) -> Iterator[str]:
    if line := "".join(_line(run, plot, COLUMN) for run in shown.series):
        yield _path("ln", line)


def _line(run: Points, plot: _Scale, column: float, *, typical: bool = False) -> str:
    """A run as path data. What falls into one column becomes its lowest and highest, in their order in time, so that
    no stop is lost however long the trace; ``typical``: its median."""
    points: list[tuple[float, float]] = []
    columns: dict[int, list[tuple[float, float]]] = {}
    for at, value in run:
        columns.setdefault(int(plot.x(at) / column), []).append((plot.x(at), value))
    for some in columns.values():
        if typical:
            points.append((some[0][0], median(value for _, value in some)))
        else:
            points += sorted({min(some, key=lambda each: each[1]), max(some, key=lambda each: each[1])})
    if len(points) == 1:
        points.append((points[0][0] + 1, points[0][1]))
    return "M" + "L".join(f"{_n(x)} {_n(plot.y(value))}" for x, value in points)


def _log(shown: Trace, plot: _Scale, top: float) -> Iterator[str]:
    base = top + LOG_H - 8
    yield _text(LEFT - 8, base - 2, "log", "", "end")
    yield _path("ax", f"M{LEFT} {_n(base)}H{RIGHT}")
    drawn = {(round(plot.x(mark.at)), mark.bad) for mark in shown.marks}
    for x, bad in sorted(drawn):
        yield _path("tick" if bad else "tick2", f"M{x if bad else x + 3} {_n(base - 1)}v{-16 if bad else -8}")


def _score(shown: Trace, scale: _Scale) -> Iterator[str]:
    """The leaky bucket that decides on flapping: each episode adds one, and all of it halves every 24 hours."""
    episodes = [each for each in shown.episodes if each.what != "hunting"]
    span = shown.until - shown.since
    times = {shown.since + span * i / 200 for i in range(201)} | {each.since for each in episodes}
    times |= {each.since - timedelta(seconds=1) for each in episodes}
    level = [(at, score(episodes, at)) for at in sorted(times) if shown.since <= at <= shown.until]
    high = max(FLAPPING_FROM * 1.5, *(value for _, value in level)) if level else 1.0
    scale = _Scale(scale.since, scale.until, scale.top, scale.bottom, 0.0, high)
    line = "L".join(f"{_n(scale.x(at))} {_n(scale.y(value))}" for at, value in level)
    yield _path("area", f"M{LEFT} {_n(scale.bottom)}L{line}L{RIGHT} {_n(scale.bottom)}Z")
    yield _path("cl", f"M{line}")
    yield _path("ax", f"M{LEFT} {_n(scale.bottom)}H{RIGHT}")
    yield _text(LEFT - 8, scale.bottom, "score", "", "end")
    for value, word in ((FLAPPING_FROM, "flapping from"), (CLEAR_BELOW, "clear below")):
        yield _path("thr" if value == FLAPPING_FROM else "gr", f"M{LEFT} {_n(scale.y(value))}H{RIGHT}")
        if value == FLAPPING_FROM:
            yield _text(LEFT + 6, scale.y(value) - 4, f"{word} {value:g}", "tst")


def _times(plot: _Scale, top: float, bottom: float) -> Iterator[str]:
    span = plot.until - plot.since
    step = next((step for step in STEPS if span / step <= LABELS_MAX), STEPS[-1])
    midnight = plot.since.replace(hour=0, minute=0, second=0, microsecond=0)
    at = midnight + step * math.ceil((plot.since - midnight) / step)
    while at <= plot.until:
        x = plot.x(at)
        word = f"{at.day} {at:%b}" if at.hour == at.minute == 0 else f"{at:%H:%M}"
        yield _path("gr", f"M{_n(x)} {_n(top)}V{_n(bottom)}")
        yield _text(x, bottom + 16, word, "", "start" if x < LEFT + 20 else "middle" if x < RIGHT - 20 else "end")
        at += step


def _foot(shown: Trace) -> str:
    ill = shown.verdict is not None and shown.verdict.condition in _ILL
    return f"{shown.polls} readings from {shown.since:%Y-%m-%d %H:%M} to {shown.until:%Y-%m-%d %H:%M} UTC." + (
        " Suspected from here, not seen: a technician has to look." if ill else ""
    )
