"""The first guest for each target and network is watched there before the next follows; a silent one goes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from noout.domain.cluster import ClusterState, Guest, GuestId
from noout.domain.maintenance import Maintenance, Move, Moved, MoveKind, Observation
from noout.steps import actions
from noout.steps.avoid import avoided
from noout.steps.canary import ANSWER_S
from noout.steps.evacuate import Evacuate
from noout.steps.homecoming import Homecoming
from noout.steps.rules import Rules
from noout.steps.step import Act, Blocked, Decision, Finished, Hold, Note
from tests.unit.steps import scene
from tests.unit.steps.scene import NODE, T0, cluster, maintenance, move, node, pending, plan, seen

STEP = Evacuate()
ARRIVED = T0 + timedelta(seconds=60)


def guest(vmid: int, on: str = "pve3", *bridges: str, **changes: Any) -> Guest:
    return scene.guest(vmid, on, bridges=bridges or ("vmbr0",), **changes)


def gid(vmid: int) -> GuestId:
    return GuestId("ams1", vmid)


def heard(**answers: float | None) -> Mapping[GuestId, datetime | None]:
    """g100=61.0: guest 100 last answered 61 s after T0."""
    return {
        gid(int(name[1:])): None if s is None else T0 + timedelta(seconds=s) for name, s in answers.items()
    }  # fmt: skip


def gone(vmid: int, target: str = "pve1", source: str = "pve3", *, homeward: bool = False) -> Moved:
    return Moved(
        gid(vmid), f"g{vmid}", MoveKind.LIVE, node(source), node(target), T0, ARRIVED, None, homeward=homeward
    )  # fmt: skip


def subjects(decision: Decision) -> list[str]:
    assert isinstance(decision, Act), decision
    return [action.subject for action in decision.actions]


def three(*moved: Moved, **changes: Any) -> Maintenance:
    return maintenance(plan=plan(move(100), move(101), move(102, "pve2"), streams=3), moved=moved, **changes)


def look(state: ClusterState, after_s: float = 65, **changes: Any) -> Observation:
    return seen(state, after_s=after_s, **changes)


EVERYBODY = heard(g100=1.0, g101=1.0, g102=1.0)
FIRST_THERE = cluster(guest(100, "pve1"), guest(101), guest(102))


def test_one_guest_goes_first_to_each_target() -> None:
    state = cluster(guest(100), guest(101), guest(102))
    first = STEP.plan(three(), look(state, answered=EVERYBODY))
    assert subjects(first)[0] == "ams1/100"
    flying = (pending(actions.move("evacuate", move(100), guest(100))),)
    assert subjects(STEP.plan(three(pending=flying), look(state, answered=EVERYBODY))) == ["ams1/102"]


def test_the_next_one_follows_when_the_first_has_answered_there() -> None:
    m = three(gone(100))
    assert subjects(STEP.plan(m, look(FIRST_THERE, answered=EVERYBODY))) == ["ams1/102"]
    answered = heard(g100=62.0, g101=1.0, g102=1.0)
    assert subjects(STEP.plan(m, look(FIRST_THERE, answered=answered))) == ["ams1/101", "ams1/102"]
    before = heard(g100=59.0, g101=1.0, g102=1.0)
    assert subjects(STEP.plan(m, look(FIRST_THERE, answered=before))) == ["ams1/102"], "an answer from before it left"


def test_another_network_of_the_same_target_has_a_canary_of_its_own() -> None:
    m = three(gone(100))
    state = cluster(guest(100, "pve1"), guest(101, "pve3", "vmbr1"), guest(102, "pve2"))
    assert subjects(STEP.plan(m, look(state, answered=EVERYBODY))) == ["ams1/101"]


def test_guests_that_nobody_can_watch_let_the_others_go_first() -> None:
    state = cluster(guest(100), guest(101), guest(102, "pve2"))
    m = three()
    assert subjects(STEP.plan(m, look(state, answered=heard(g100=None, g101=1.0)))) == ["ams1/101"]
    assert subjects(STEP.plan(m, look(state, answered=heard(g101=1.0)))) == ["ams1/101"]


def test_where_nobody_can_be_watched_that_is_said_once_and_they_go() -> None:
    state = cluster(guest(100), guest(101), guest(102))
    m = three(cautions=())
    said = STEP.plan(m, look(state, answered=heard(g102=1.0)))
    assert isinstance(said, Note) and said.name == "caution"
    assert said.value["message"] == "nobody watches pve1: no guest that goes there has a probe"
    m = maintenance(plan=plan(move(100)))  # said before
    assert subjects(STEP.plan(m, look(cluster(guest(100))))) == ["ams1/100"]


def test_the_last_one_is_waited_for_too() -> None:
    m = maintenance(plan=plan(move(100)), moved=(gone(100),))
    state = cluster(guest(100, "pve1"))
    held = STEP.plan(m, look(state, answered=heard(g100=1.0)))
    assert isinstance(held, Hold) and held.why == "the service of g100 (ams1/100) to answer on pve1"
    late = STEP.plan(m, look(state, 61 + ANSWER_S, answered=heard(g100=1.0)))
    assert isinstance(late, Blocked) and late.blockers[0].code == "canary.no-answer"
    known = replace(m, silence_accepted=frozenset({gid(100)}))
    assert isinstance(STEP.plan(known, look(state, answered=heard(g100=1.0))), Finished)
    assert isinstance(STEP.plan(m, look(state, answered=heard(g100=61.0))), Finished)


# --- a canary that does not answer -------------------------------------------------------------------------------

SILENT = {"answered": EVERYBODY, "silent": frozenset({GuestId("ams1", 100)})}


def suspicion() -> dict[str, Any]:
    decision = STEP.plan(three(gone(100)), look(FIRST_THERE, **SILENT))
    assert isinstance(decision, Note) and decision.name == "suspects"
    return {"suspects": decision.value}


def test_a_silent_one_goes_back_to_where_it_answered() -> None:
    (suspect,) = suspicion()["suspects"]
    assert (suspect["target"], suspect["networks"]) == ("pve1", ["vmbr0"])
    decided = STEP.plan(three(gone(100), facts=suspicion()), look(FIRST_THERE, **SILENT))
    assert isinstance(decided, Act)
    (back,) = decided.actions
    assert (back.verb, back.subject, back.args["source"], back.args["target"]) == (
        "migrate", "ams1/100", "pve1", "pve3",
    )  # fmt: skip
    assert back.args["homeward"] is True and "does not answer on pve1" in back.says
    m = three(gone(100), facts=suspicion(), pending=(pending(back),))
    assert isinstance(STEP.plan(m, look(FIRST_THERE, answered=EVERYBODY)), Hold), "nobody else starts meanwhile"


def test_a_guest_of_ha_goes_back_through_ha() -> None:
    state = cluster(guest(100, "pve1", ha=True), guest(101), guest(102))
    decided = STEP.plan(three(gone(100), facts=suspicion()), look(state, **SILENT))
    assert isinstance(decided, Act) and decided.actions[0].verb == "ha-migrate"


def test_when_it_is_back_the_target_and_network_are_named_and_nobody_is_sent_there() -> None:
    back = gone(100, "pve3", "pve1", homeward=True)
    m = three(gone(100), back, facts=suspicion())
    state = cluster(guest(100), guest(101), guest(102))
    said = STEP.plan(m, look(state, answered=heard(g100=70.0, g101=1.0, g102=1.0)))
    assert isinstance(said, Blocked)
    (blocker,) = said.blockers
    assert (blocker.code, blocker.subject) == ("canary.failed", "ams1/pve1")
    assert "did not answer on pve1, it is on pve3 now: nobody else is sent to pve1 over vmbr0" in blocker.message


def test_after_a_resume_a_new_plan_does_without_that_target_and_network() -> None:
    accepted = [{**suspicion()["suspects"][0], "accepted": True}]
    m = three(gone(100), gone(100, "pve3", "pve1", homeward=True), facts={"suspects": accepted})
    state = cluster(guest(100), guest(101), guest(102), guest(103, "pve4", "vmbr1"))
    assert set(avoided(m, state)) == {gid(100), gid(101), gid(102)}, "not who is on another network"
    wanted = STEP.plan(m, look(state, answered=EVERYBODY))
    assert wanted == Note("replan", ["target.given-up ams1/100 pve1", "target.given-up ams1/101 pve1"])


def test_one_that_answers_again_stays_and_is_no_suspect_any_more() -> None:
    m = three(gone(100), facts=suspicion())
    answered = heard(g100=90.0, g101=1.0, g102=1.0)
    assert subjects(STEP.plan(m, look(FIRST_THERE, 91, answered=answered))) == ["ams1/101", "ams1/102"]


def test_by_policy_it_stays_and_a_person_decides() -> None:
    said = Evacuate(Rules(canary="wait")).plan(three(gone(100)), look(FIRST_THERE, **SILENT))
    assert isinstance(said, Blocked) and said.blockers[0].code == "guest.silent"


def test_one_that_answered_on_arrival_and_falls_silent_later_is_not_moved_on_a_guess() -> None:
    answered = heard(g100=300.0, g101=1.0, g102=1.0)
    said = STEP.plan(three(gone(100)), look(FIRST_THERE, 400, answered=answered, silent=SILENT["silent"]))
    assert isinstance(said, Blocked) and said.blockers[0].code == "guest.silent"


def test_a_container_is_given_time_to_start_where_it_is() -> None:
    came = replace(gone(100), kind=MoveKind.RELOCATE)
    m = three(came)
    assert subjects(STEP.plan(m, look(FIRST_THERE, 100, **SILENT))) == ["ams1/102"], "neither sent back nor blamed"
    late = STEP.plan(m, look(FIRST_THERE, 121, **SILENT))
    assert isinstance(late, Note) and late.name == "suspects"


def test_it_goes_back_only_to_a_node_that_is_there() -> None:
    state = cluster(guest(100, "pve1"), guest(101), guest(102), offline=("pve3",))
    said = STEP.plan(three(gone(100), facts=suspicion()), look(state, **SILENT))
    assert isinstance(said, Blocked) and said.blockers[0].code == "guest.silent"


@pytest.mark.parametrize(("answers", "expected"), [(1.0, []), (170.0, ["ams1/101"])])
def test_the_repaired_node_has_its_canary_too(answers: float, expected: list[str]) -> None:
    homeward = (move(100, "pve3", "pve1"), move(101, "pve3", "pve1"))
    home = replace(gone(100, "pve3", "pve1", homeward=True), finished=T0 + timedelta(seconds=160))
    m = maintenance(plan=plan(returns=homeward), moved=(gone(100), gone(101), home), step="return")
    state = cluster(guest(100), guest(101, "pve1"))
    decided = Homecoming().plan(m, look(state, 175, answered=heard(g100=answers, g101=100.0)))
    assert subjects(decided) == expected if expected else isinstance(decided, Hold)


def test_a_guest_silent_at_home_goes_back_to_where_it_was() -> None:
    homeward: tuple[Move, ...] = (move(100, "pve3", "pve1"),)
    m = maintenance(plan=plan(move(100), returns=homeward), moved=(gone(100), gone(100, "pve3", "pve1", homeward=True)))
    state = cluster(guest(100))
    first = Homecoming().plan(m, look(state, **SILENT))
    assert isinstance(first, Note)
    m = replace(m, facts={first.name: first.value})
    decided = Homecoming().plan(m, look(state, **SILENT))
    assert isinstance(decided, Act)
    assert (decided.actions[0].args["target"], decided.actions[0].args["homeward"]) == ("pve1", False)
    assert decided.actions[0].args["source"] == NODE.name
