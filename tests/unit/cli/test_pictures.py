"""The picture of a plan says what the plan says, also where colour and width are scarce."""

from __future__ import annotations

import io

import pytest
from hypothesis import HealthCheck, given, settings
from rich.console import Console

from noout.cli.pictures import plan_picture
from noout.domain.cluster import ClusterState, GuestKind, GuestStatus
from noout.domain.customers import Customer
from noout.domain.maintenance import Plan
from noout.plan.outlook import touched
from noout.plan.plan import make_plan
from tests.unit.plan.clusters import NOW, a_guest, a_node, a_state, node_id
from tests.unit.plan.strategies import clusters

SHOP = Customer("shop", "Boekhuis Van Dam", frozenset({"shop"}))


def drawn(plan: Plan, width: int = 140, state: ClusterState | None = None) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, color_system=None)
    console.print(plan_picture(plan, touched(plan, state.guests, (SHOP,)) if state else ()))
    return file.getvalue()


def the_cluster(*guests) -> ClusterState:
    return a_state([a_node(f"pve{i}", 24) for i in (1, 2, 3)], guests)


def the_plan(*guests) -> Plan:
    return make_plan(the_cluster(*guests), None, node_id("pve3"), now=NOW)


def rows(text: str, begin: str, end: str) -> dict[str, str]:
    table = text.split(begin)[1].split(end)[0]
    return {line.split()[0]: line for line in table.splitlines()[1:] if line.strip()}


def test_a_feasible_plan_shows_moves_memory_and_what_is_interrupted():
    wiki = a_guest(5, "pve3", 1, kind=GuestKind.LXC, tags=frozenset({"relocate-ok"}), name="wiki")
    plan = the_plan(a_guest(1, "pve1", 8), a_guest(2, "pve2", 6), a_guest(4, "pve3", 12, name="shop-db"), wiki)
    text = drawn(plan)
    assert "pve3 can be emptied, and 1 of its 2 guests keeps running throughout. 1 guest will be interrupted" in text
    moves = rows(text, "Who moves, and when", "Memory before")
    assert moves.keys() == {"guest", "2", "4", "5"}
    assert "steps aside" in moves["2"] and "shop-db" in moves["4"] and "after 2" in moves["4"]
    assert "restarts" in moves["5"] and "12 s" in moves["5"]
    assert moves["2"].index("━") < moves["4"].index("━") <= moves["5"].index("━")
    assert "13 → 0 GiB" in text and "could not absorb the loss of one more node" in text


def test_it_says_whose_guests_are_touched_and_how():
    agreed = {"kind": GuestKind.LXC, "tags": frozenset({"relocate-ok"})}
    state = the_cluster(
        a_guest(1, "pve3", 1, pool="shop"),
        a_guest(2, "pve3", 1, pool="shop"),
        a_guest(3, "pve3", 1, pool="erp", **agreed),
        a_guest(4, "pve3", 1, local_resources=("usb0",), tags=frozenset({"shutdown-ok"})),
        a_guest(5, "pve1", 1, pool="mail"),
    )
    text = drawn(make_plan(state, None, node_id("pve3"), now=NOW), 80, state)
    said = text.split("Customers touched")[1].split("Memory")[0]
    lines = [" ".join(line.split()) for line in said.splitlines() if line.strip()]
    assert lines[0].startswith("Boekhuis Van Dam 2 guests 2 pause up to ") and lines[0].endswith(" ms")
    assert lines[1:] == ["pool erp 1 guest 1 restarts, about 12 s", "nobody's 1 guest 1 is down, about 45 min"]


def test_what_cannot_move_is_said_with_its_remedy_and_names_are_not_markup():
    text = drawn(the_plan(a_guest(7, "pve3", local_resources=("usb0",), name="[bold]x[/nonsense]")))
    assert "pve3 cannot be taken out now: 1 blocker." in text
    assert "[bold]x[/nonsense]" in text and "[guest.passthrough]" in text and "→ tag it shutdown-ok" in text


def test_of_many_nodes_those_are_shown_that_change():
    state = a_state([a_node(f"pve{i}", 64) for i in range(1, 51)], [a_guest(1, "pve3", 4), a_guest(2, "pve3", 4)])
    plan = make_plan(state, None, node_id("pve3"), now=NOW)
    nodes = rows(drawn(plan, 80), "Memory before and after", "█ stays")
    changing = {"pve3", *(move.target.name for move in plan.moves if move.target)}
    assert {name for name in nodes if name.startswith("pve")} == changing
    assert f"{50 - len(changing)} more nodes stay as they are, with 56 GiB free" in drawn(plan, 80)


def test_where_there_is_no_room_the_nodes_with_the_most_are_shown():
    guests = [a_guest(1, "pve3", 14), a_guest(2, "pve1", 8), a_guest(4, "pve2", 12)]
    state = a_state([a_node("pve1", 24), a_node("pve2", 24), a_node("pve3", 24)], guests)
    plan = make_plan(state, None, node_id("pve3"), now=NOW)
    text = drawn(plan, 80)
    assert "What stands in the way, and what helps" in text and "[plan.no-room]" in text
    assert {"pve1", "pve2", "pve3"} <= rows(text, "Memory before and after", "█ stays").keys()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clusters())
def test_it_fits_into_80_columns_and_names_every_guest_that_moves(state: ClusterState):
    plan = make_plan(state, None, node_id("pve1"), now=NOW)
    text = drawn(plan, 80, state)
    assert not [line for line in text.splitlines() if len(line.rstrip()) > 80]
    if plan.moves:
        moves = rows(text, "Who ", "Customers touched")
        assert {str(move.guest.vmid) for move in plan.moves} <= moves.keys()
        interrupted = [m for m in plan.moves if m.kind.value in ("relocate", "shutdown")]
        assert all(" s" in moves[str(m.guest.vmid)] for m in interrupted)
    assert all(" ".join(b.message.split()[:4]) in text for b in plan.blockers)


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_it_can_be_drawn_narrow_wide_and_empty(width: int):
    assert "no guest runs on it" in " ".join(drawn(the_plan(), width).split())
    stopped = the_plan(a_guest(1, "pve3", 1, status=GuestStatus.STOPPED, onboot=True))
    assert "can be taken out" in " ".join(drawn(stopped, width).split())
