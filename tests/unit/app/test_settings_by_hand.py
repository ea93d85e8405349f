"""What a person types to give back what HA and the guests were told, in an order that moves nobody unasked."""

from __future__ import annotations

from noout.app.byhand import undo
from noout.domain.cluster import GuestId
from noout.domain.maintenance import Moved, MoveKind
from tests.unit.steps.scene import NODE, T0, maintenance, move, node, owning, plan

BALANCED = "ha=dynamic,ha-auto-rebalance=1"
OWNED = (
    ("rebalancer", BALANCED), ("failback", "ams1/101"), ("ha-rule", "noout-ams1-pve3-1"), ("onboot", "ams1/109"),
)  # fmt: skip


def test_every_setting_has_its_command_and_its_place() -> None:
    gone = Moved(GuestId("ams1", 101), "g101", MoveKind.LIVE, NODE, node("pve1"), T0, T0, None, False)
    m = maintenance(plan=plan(move(101, ha=True, failback_off=True)), owned=owning(*OWNED), moved=(gone,))
    commands = undo(m)
    rule = commands.index("pvesh delete /cluster/ha/rules/noout-ams1-pve3-1")
    home = next(i for i, each in enumerate(commands) if "migrate" in each or "bring g101" in each)
    failback = next(i for i, each in enumerate(commands) if each.endswith("101 --failback 1"))
    balance = commands.index(f"pvesh set /cluster/options --crs {BALANCED}")
    assert rule < home < failback and home < balance
    assert any("109" in each and "--onboot 1" in each for each in commands)
