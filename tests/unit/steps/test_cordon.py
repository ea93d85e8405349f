"""Cordon: nobody new comes to the node, nobody moves without order, and every setting is put back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from noout.codec import decode
from noout.domain.cluster import Affinity, Guest, GuestStatus, HaService, Rule
from noout.domain.errors import Refused
from noout.domain.maintenance import Action, Maintenance, Observation
from noout.domain.reasons import Caution
from noout.steps import actions
from noout.steps.cordon import calm, close, open_again, rule_name, sleep_on, stir, wake_again
from noout.steps.effects import EFFECTS
from noout.steps.setting_effects import quietened, rebalances
from noout.steps.step import Act, Blocked, Decision, Failed, Finished, Hold, Note, NotYet, Verified
from tests.unit.steps.scene import (
    NAMES,
    NODE,
    T0,
    ceph,
    cluster,
    guest,
    maintenance,
    move,
    node,
    owning,
    pending,
    plan,
    seen,
)  # fmt: skip

OTHERS = tuple(name for name in NAMES if name != "pve3")
MODE, RULE = "evacuate/cordon/ams1/pve3", "evacuate/add-rule/noout-ams1-pve3-1"
BALANCED = "ha=dynamic,ha-auto-rebalance=1,ha-auto-rebalance-margin=20"
QUIET = "ha=dynamic,ha-auto-rebalance=0,ha-auto-rebalance-margin=20"


def only(decision: Decision | None) -> Action:
    assert isinstance(decision, Act), decision
    return decision.actions[0]


def rule(name: str, kind: Affinity, *vmids: int, nodes: tuple[tuple[str, int], ...] = (), strict: bool = True) -> Rule:
    return Rule(name, kind, frozenset(guest(vmid).id for vmid in vmids), nodes, strict)


def ha(vmid: int, on: str = "pve1", **changes: Any) -> Guest:
    service = replace(HaService(f"vm:{vmid}", "started", on), **changes)
    return replace(guest(vmid, on), ha=service)


def without_shell(*guests: Guest, **changes: Any) -> Observation:
    return seen(cluster(*guests, **changes), shell=False)


# --- closing the node -------------------------------------------------------------------------------------------


def test_where_nobody_uses_ha_no_cordon_is_needed_and_it_says_so() -> None:
    decision = close("evacuate", maintenance(), seen(cluster(guest(100, "pve1"))))
    assert isinstance(decision, Finished) and "no guest of the cluster is managed by HA" in decision.evidence["cordon"]


def test_without_a_shell_a_strict_rule_names_those_who_are_elsewhere() -> None:
    state = without_shell(ha(100), ha(101, "pve2"), guest(102, "pve4"))
    action = only(close("evacuate", maintenance(), state))
    assert (action.verb, action.subject) == ("add-rule", "noout-ams1-pve3-1")
    assert action.args["guests"] == "ams1/100,ams1/101" and action.args["nodes"] == "pve1,pve2,pve4,pve5"
    assert "--strict 1" in action.command and "vm:100,vm:101" in action.command


@pytest.mark.parametrize("shell", [True, False])
@pytest.mark.parametrize(
    "here",
    [
        ha(100, "pve3"),
        ha(100, "pve1", node="pve3"),  # HA has not noticed yet that it moved
        ha(100, "pve1", target="pve3"),  # ... or is about to put it here
    ],
)
def test_neither_way_is_taken_while_ha_has_a_guest_here(here: Guest, shell: bool) -> None:
    """Both begin to move guests, to targets of HA's own choice."""
    decision = close("evacuate", maintenance(), seen(cluster(here, ha(101)), shell=shell))
    assert isinstance(decision, Finished) and decision.evidence["ha_guests_left"] == ["ams1/100"]


def test_maintenance_mode_that_fails_for_good_gives_way_to_the_rule() -> None:
    m = maintenance()
    assert only(close("evacuate", m, seen(cluster(ha(100))))).key == MODE
    m = replace(m, failed={MODE: 3}, failed_at={MODE: T0}, why_failed={MODE: "no SSH"})
    assert only(close("evacuate", m, seen(cluster(ha(100))))).key == RULE


def test_a_node_that_others_cordoned_is_not_ours() -> None:
    state = cluster(ha(100), ha_requests=(("pve3", "maintenance"),))
    decision = close("evacuate", maintenance(), seen(state))
    assert isinstance(decision, Finished) and decision.evidence["cordoned_by_us"] is False


@pytest.mark.parametrize(
    ("standing", "named"),
    [
        ((), "ams1/100,ams1/101,ams1/102"),
        ((rule("web", Affinity.NODE, 100, nodes=(("pve1", 1), ("pve3", 2)), strict=False),), "ams1/101,ams1/102"),
        # kept together with one that a rule has already: both would have to agree
        (
            (
                rule("web", Affinity.NODE, 100, nodes=(("pve1", 0),)),
                rule("pair", Affinity.TOGETHER, 100, 101),
                rule("chain", Affinity.TOGETHER, 101, 102),
            ),
            None,
        ),
        ((rule("apart", Affinity.APART, 100, 101),), "ams1/100,ams1/101,ams1/102"),
        ((rule("apart", Affinity.APART, 100, 101, 7, 8, 9),), "ams1/102"),  # five of them, four nodes
    ],
)
def test_guests_that_other_rules_name_are_left_out(standing: tuple[Rule, ...], named: str | None) -> None:
    state = without_shell(ha(100), ha(101), ha(102), rules=standing)
    m = maintenance()
    decision = close("evacuate", m, state)
    while isinstance(decision, Note):  # said once, then on
        m = _noted(m, decision)
        decision = close("evacuate", m, state)
    if named is None:
        assert isinstance(decision, Finished) and decision.evidence["cordoned_by_us"] is False
    else:
        assert only(decision).args["guests"] == named


def _noted(m: Maintenance, note: Note) -> Maintenance:
    return replace(m, cautions=(*m.cautions, decode(Caution, note.value)))


def test_who_is_left_out_is_said_unless_its_own_rule_keeps_it_away() -> None:
    may_come = rule("web", Affinity.NODE, 100, nodes=(("pve1", 1), ("pve3", 2)), strict=False)
    note = close("evacuate", maintenance(), without_shell(ha(100), ha(101), rules=(may_come,)))
    assert isinstance(note, Note) and note.value["code"] == "ha.rule-leaves-out" and "g100" in note.value["message"]
    stays_away = rule("web", Affinity.NODE, 100, nodes=(("pve1", 1),))
    assert only(close("evacuate", maintenance(), without_shell(ha(100), ha(101), rules=(stays_away,)))).key == RULE


def test_a_rule_that_pve_refuses_is_said_and_does_not_stop_the_run() -> None:
    m = maintenance(failed={RULE: 3}, failed_at={RULE: T0}, why_failed={RULE: "already used in another rule"})
    note = close("evacuate", m, without_shell(ha(100)))
    assert isinstance(note, Note) and note.value["code"] == "ha.no-cordon"
    assert "already used in another rule" in note.value["message"]
    assert isinstance(close("evacuate", _noted(m, note), without_shell(ha(100))), Finished)


@pytest.mark.parametrize(
    ("owned", "verb"), [(("maintenance-mode", "ams1/pve3"), "uncordon"), (("ha-rule", "noout-x"), "delete-rule")]
)
def test_what_closed_the_node_opens_it_again(owned: tuple[str, str], verb: str) -> None:
    assert only(open_again("reintegrate", maintenance(owned=owning(owned)), seen(cluster(ha(100))))).verb == verb
    assert open_again("reintegrate", maintenance(), seen(cluster(ha(100)))) is None


def test_the_rule_is_named_after_the_maintenance() -> None:
    assert rule_name(maintenance(id="ams.1-pve3-1")) == "noout-ams-1-pve3-1"


# --- failback and rebalancing -----------------------------------------------------------------------------------


def test_failback_goes_off_before_anybody_moves_and_only_where_the_plan_says() -> None:
    m = maintenance(plan=plan(move(100, ha=True), move(101, ha=True, failback_off=True)))
    state = cluster(ha(100, "pve3"), ha(101, "pve3"))
    assert only(calm("evacuate", m, seen(state))).key == "evacuate/failback-off/ams1/101"
    off = cluster(ha(100, "pve3"), ha(101, "pve3", failback=False))
    assert calm("evacuate", m, seen(off)) is None


def test_failback_and_rebalancer_come_back_last_of_all() -> None:
    m = maintenance(
        plan=plan(move(101, ha=True, failback_off=True)),
        owned=owning(("rebalancer", BALANCED), ("failback", "ams1/101")),
    )
    state = cluster(ha(101, "pve3", failback=False), crs=QUIET)
    assert only(stir("return", m, seen(state))).key == "return/failback-back/ams1/101"
    m = replace(m, owned=owning(("rebalancer", BALANCED)))
    assert only(stir("return", m, seen(state))).subject == BALANCED
    assert stir("return", replace(m, owned=()), seen(state)) is None


def test_a_guest_that_stays_away_and_that_ha_will_fetch_is_named() -> None:
    m = maintenance(plan=plan(move(101, ha=True, failback_off=True)), owned=owning(("failback", "ams1/101")))
    note = stir("return", m, seen(cluster(ha(101, "pve1", failback=False))))
    assert isinstance(note, Note) and note.value["code"] == "ha.failback-moves"
    assert only(stir("return", _noted(m, note), seen(cluster(ha(101, "pve1", failback=False))))).verb == "failback-back"


def test_a_rebalancer_at_work_is_stopped_first() -> None:
    m = maintenance(plan=plan(move(100)))
    action = only(calm("evacuate", m, seen(cluster(guest(100), crs=BALANCED))))
    assert (action.verb, action.subject) == ("rebalancer-off", BALANCED)
    assert action.command.endswith(QUIET)
    key = action.key
    stuck = calm("evacuate", replace(m, failed={key: 3}, failed_at={key: T0}), seen(cluster(guest(100), crs=BALANCED)))
    assert isinstance(stuck, Blocked) and stuck.blockers[0].code == "ha.rebalancer"


@pytest.mark.parametrize(
    ("crs", "moves", "quiet"),
    [
        ("", False, ""),
        ("ha=static", False, "ha=static"),
        (BALANCED, True, QUIET),
        ("ha=static,ha-rebalance-on-start=1", True, "ha=static,ha-rebalance-on-start=0"),
        (QUIET, False, QUIET),
    ],
)
def test_what_a_rebalancer_is_told(crs: str, moves: bool, quiet: str) -> None:
    assert rebalances(crs) is moves
    assert quietened(crs) == quiet


# --- onboot -----------------------------------------------------------------------------------------------------


def test_guests_that_stay_do_not_start_with_the_node() -> None:
    down = {"status": GuestStatus.STOPPED, "onboot": True}
    sleeper = guest(106, **down)
    others = (
        guest(1, **(down | {"onboot": False})),
        guest(2, template=True, **down),
        guest(3, lock="backup", **down),
        guest(4, "pve1", **down),
        replace(ha(5, "pve3"), **down),
    )
    assert only(sleep_on("hold-data", maintenance(), seen(cluster(*others, sleeper)))).subject == "ams1/106"
    assert sleep_on("hold-data", maintenance(), seen(cluster(*others))) is None


def test_onboot_that_cannot_be_changed_is_said_and_does_not_keep_the_technician_waiting() -> None:
    key = "hold-data/onboot-off/ams1/106"
    m = maintenance(failed={key: 3}, failed_at={key: T0}, why_failed={key: "VM.Config.Options is missing"})
    state = seen(cluster(guest(106, status=GuestStatus.STOPPED, onboot=True)))
    note = sleep_on("hold-data", m, state)
    assert isinstance(note, Note) and "VM.Config.Options" in note.value["message"]
    assert sleep_on("hold-data", _noted(m, note), state) is None


def test_onboot_is_put_back_and_given_up_for_a_guest_that_is_gone() -> None:
    m = maintenance(owned=owning(("onboot", "ams1/106")))
    action = only(wake_again("reintegrate", m, seen(cluster(guest(106)))))
    assert action.command.endswith("/config --onboot 1")
    gone = only(wake_again("reintegrate", m, seen(cluster())))
    assert isinstance(EFFECTS[gone.verb].verify(pending(gone), m, seen(cluster())), Verified)


# --- each is seen to have happened ------------------------------------------------------------------------------

OWN_RULE = rule(rule_name(maintenance()), Affinity.NODE, 100, nodes=tuple((name, 0) for name in OTHERS))
ADD = actions.add_rule("evacuate", OWN_RULE.name, [ha(100)], OTHERS)
DELETE = actions.delete_rule("reintegrate", OWN_RULE.name)


@pytest.mark.parametrize(
    ("action", "state", "after_s", "expected"),
    [
        (ADD, cluster(rules=(OWN_RULE,)), 1, Verified),
        (ADD, cluster(), 1, NotYet),
        (ADD, cluster(), 61, Failed),
        (ADD, cluster(rules=(replace(OWN_RULE, enabled=False),)), 1, NotYet),
        (ADD, cluster(rules=(replace(OWN_RULE, strict=False),)), 1, NotYet),
        (ADD, cluster(rules=(replace(OWN_RULE, nodes=(("pve1", 0), ("pve3", 0))),)), 1, Failed),
        (DELETE, cluster(rules=(OWN_RULE,)), 1, NotYet),
        (DELETE, cluster(), 1, Verified),
        (actions.failback("evacuate", ha(100), False), cluster(ha(100, failback=False)), 1, Verified),
        (actions.failback("evacuate", ha(100), False), cluster(ha(100)), 1, NotYet),
        (actions.failback("return", ha(100), True), cluster(ha(100, failback=False)), 1, NotYet),
        (actions.failback("return", ha(100), True), cluster(ha(100)), 1, Verified),
        (actions.failback("return", ha(100), True), cluster(guest(100)), 1, Verified),
        (actions.onboot("hold-data", guest(106), False), cluster(guest(106)), 1, Verified),
        (actions.onboot("hold-data", guest(106), False), cluster(guest(106, onboot=True)), 1, NotYet),
        (actions.onboot("reintegrate", guest(106), True), cluster(guest(106)), 1, NotYet),
        (actions.onboot("reintegrate", guest(106), True), cluster(guest(106, onboot=True)), 1, Verified),
        (actions.rebalancer("evacuate", BALANCED, False), cluster(crs=BALANCED), 1, NotYet),
        (actions.rebalancer("evacuate", BALANCED, False), cluster(crs=QUIET), 1, Verified),
        (actions.rebalancer("return", BALANCED, True), cluster(crs=QUIET), 1, NotYet),
        (actions.rebalancer("return", BALANCED, True), cluster(crs=BALANCED), 1, Verified),
        (actions.rebalancer("return", BALANCED, True), cluster(crs="ha=static"), 1, Verified),  # others changed it
    ],
)
def test_a_setting_is_judged_by_what_is_seen(action: Action, state: Any, after_s: float, expected: type) -> None:
    verdict = EFFECTS[action.verb].verify(pending(action), maintenance(), seen(state, ceph(), after_s))
    assert isinstance(verdict, expected), verdict


def test_every_setting_that_is_taken_can_be_given_back() -> None:
    taken = {effect.takes for effect in EFFECTS.values() if effect.takes}
    assert {"maintenance-mode", "ha-rule", "failback", "onboot", "rebalancer"} <= taken
    assert taken == {effect.releases for effect in EFFECTS.values() if effect.releases}


class Recorder:
    """Stands for the hypervisor: which calls were made."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []

    def __getattr__(self, name: str) -> Any:
        async def call(*args: object) -> None:
            self.calls.append((name, args))

        return call


class Doors:
    def __init__(self) -> None:
        self.hypervisor = Recorder()


async def test_a_rule_is_not_added_when_it_would_move_somebody() -> None:
    """Looked at in the very act: HA would move whoever is not on the nodes of the rule, at once."""
    doors: Any = Doors()
    with pytest.raises(Refused, match="would move"):
        await EFFECTS["add-rule"].act(ADD, seen(cluster(ha(100, "pve3"))), doors)
    assert doors.hypervisor.calls == []
    await EFFECTS["add-rule"].act(ADD, seen(cluster(ha(100))), doors)
    assert [name for name, _ in doors.hypervisor.calls] == ["add_node_rule"]


async def test_what_others_set_in_the_meantime_is_theirs() -> None:
    doors: Any = Doors()
    action = actions.rebalancer("return", BALANCED, True)
    await EFFECTS["rebalancer-back"].act(action, seen(cluster(crs="ha=static")), doors)
    assert doors.hypervisor.calls == []
    await EFFECTS["rebalancer-back"].act(action, seen(cluster(crs=QUIET)), doors)
    assert doors.hypervisor.calls == [("set_crs", (BALANCED,))]


def test_while_one_is_under_way_nothing_else_begins() -> None:
    m = maintenance(plan=plan(move(100)))
    action = only(calm("evacuate", m, seen(cluster(guest(100), crs=BALANCED))))
    flying = replace(m, pending=(pending(action),))
    assert isinstance(calm("evacuate", flying, seen(cluster(guest(100), crs=BALANCED))), Hold)


def test_the_node_in_maintenance_is_never_among_the_nodes_of_the_rule() -> None:
    action = only(close("evacuate", maintenance(node=NODE), without_shell(ha(100), ha(101, "pve5"))))
    assert str(action.args["nodes"]).split(",") == list(OTHERS) and node("pve3") == NODE
