"""The SVG of a plan: whole, safe to open anywhere, and saying what the plan says."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from hypothesis import HealthCheck, given, settings

from noout.domain.cluster import ClusterState, GuestKind
from noout.domain.maintenance import Plan
from noout.plan.outlook import touched
from noout.plan.picture import WIDTH, plan_svg
from noout.plan.plan import make_plan
from tests.unit.plan.clusters import NOW, a_guest, a_node, a_state, node_id
from tests.unit.plan.strategies import clusters

SVG = "{http://www.w3.org/2000/svg}"


def drawn(plan: Plan, state: ClusterState) -> tuple[str, ElementTree.Element]:
    text = plan_svg(plan, touched(plan, state.guests))
    return text, ElementTree.fromstring(text)


def planned(*guests) -> tuple[Plan, ClusterState]:
    state = a_state([a_node(f"pve{i}", 26) for i in (1, 2, 3)], guests)
    return make_plan(state, None, node_id("pve3"), now=NOW), state


def words(root: ElementTree.Element) -> str:
    return " ".join(" ".join(each.itertext()) for each in root.iter(f"{SVG}text"))


def test_it_says_what_the_plan_says_in_its_title_its_words_and_its_bars():
    wiki = a_guest(5, "pve3", 1, kind=GuestKind.LXC, tags=frozenset({"relocate-ok"}), name="wiki", pool="studio")
    plan, state = planned(a_guest(4, "pve3", 12, name="shop-db", pool="shop"), wiki)
    _, root = drawn(plan, state)
    assert root.get("role") == "img" and root.get("aria-labelledby") == "t d"
    title, about = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None and title.text == (
        "pve3 can be emptied, and 1 of its 2 guests keeps running throughout. 1 guest will be interrupted, as agreed."
    )
    assert about is not None and "12 GiB of memory moves live" in (about.text or "")
    said = words(root)
    for part in ("shop-db", "wiki", "restarts 12 s", "pool shop", "pool studio", "13 → 0 GiB of 26 GiB", plan.id):
        assert part in said
    bars = {label.split()[0]: each for each in root.iter(f"{SVG}g") if (label := each.get("aria-label"))}
    assert bars.keys() == {"4", "5"}
    live, restart = (bars[key].find(f"{SVG}rect") for key in ("4", "5"))
    assert live is not None and live.get("class") == "move"
    assert restart is not None and restart.get("class") == "caution"


def test_blockers_are_in_it_and_in_its_description_with_their_remedies():
    plan, state = planned(a_guest(7, "pve3", local_resources=("usb0",), name="licence"))
    _, root = drawn(plan, state)
    about = root.find(f"{SVG}desc")
    assert about is not None and "uses usb0 of this node and cannot move: tag it shutdown-ok" in (about.text or "")
    assert "What stands in the way, and what helps" in words(root)


def test_names_from_the_cluster_are_text_and_nothing_else():
    nasty = "<script>alert(1)</script>\"'&\x1b[2J"
    plan, state = planned(a_guest(4, "pve3", 2, name=nasty, pool=nasty))
    text, root = drawn(plan, state)
    assert not list(root.iter(f"{SVG}script")) and "\x1b" not in text
    assert any(nasty.replace("\x1b", "\ufffd") in "".join(each.itertext()) for each in root.iter())


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clusters())
def test_any_plan_can_be_drawn_within_its_edges_and_twice_the_same(state: ClusterState):
    plan = make_plan(state, None, node_id("pve1"), now=NOW)
    text, root = drawn(plan, state)
    assert text == drawn(plan, state)[0]
    height = int(root.get("height", "0"))
    for each in root.iter(f"{SVG}rect"):
        left, wide = float(each.get("x", "0")), float(each.get("width", "0"))
        assert left >= 0 and wide >= 0 and left + wide <= WIDTH + 0.5
    assert all(0 < float(each.get("y", "0")) < height for each in root.iter(f"{SVG}text"))
    shown = words(root)
    assert all(move.name in shown for move in plan.moves)
    assert not re.search(r"(?:href|src|url\(|@import|on\w+=)", text.replace("xmlns", "")), "it refers to nothing"
