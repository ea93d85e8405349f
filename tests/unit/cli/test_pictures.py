"""The picture of a plan says what the plan says, also where colour and width are scarce."""

from __future__ import annotations

import io

from rich.console import Console

from noout.cli.pictures import plan_picture
from noout.domain.cluster import GuestKind
from noout.plan.plan import make_plan
from tests.unit.plan.clusters import NOW, a_guest, a_node, a_state, node_id


def drawn(plan, width: int = 140) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(plan_picture(plan))
    return console.file.getvalue()


def the_plan(*guests):
    nodes = [a_node(f"pve{i}", 24) for i in (1, 2, 3)]
    return make_plan(a_state(nodes, guests), None, node_id("pve3"), now=NOW)


def test_a_feasible_plan_shows_moves_memory_and_what_is_interrupted():
    wiki = a_guest(5, "pve3", 1, kind=GuestKind.LXC, tags=frozenset({"relocate-ok"}), name="wiki")
    plan = the_plan(a_guest(1, "pve1", 8), a_guest(2, "pve2", 6), a_guest(4, "pve3", 12, name="shop-db"), wiki)
    text = drawn(plan)
    assert "pve3 can be emptied, and 1 of its 2 guests keeps running throughout. 1 guest will be interrupted" in text
    table = text.split("Who moves, and when")[1].split("Memory before")[0]
    rows = {line.split()[0]: line for line in table.splitlines()[2:] if line.strip()}
    assert rows.keys() == {"2", "4", "5"}
    assert "steps aside" in rows["2"] and "shop-db" in rows["4"] and "after 2" in rows["4"] and "restarts" in rows["5"]
    assert rows["2"].index("━") < rows["4"].index("━") <= rows["5"].index("━")
    assert "13 GiB → 0 GiB" in text and "could not absorb the loss of one more node" in text


def test_what_cannot_move_is_said_with_its_remedy_and_names_are_not_markup():
    text = drawn(the_plan(a_guest(7, "pve3", local_resources=("usb0",), name="[bold]x[/nonsense]")))
    assert "pve3 cannot be taken out now: 1 blocker." in text
    assert "[bold]x[/nonsense]" in text and "[guest.passthrough]" in text and "→ tag it shutdown-ok" in text


def test_it_can_be_drawn_narrow_and_empty():
    assert "no guest runs on it" in drawn(the_plan(), width=60)
