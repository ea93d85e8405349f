"""One step of a run: fold, observe, settle what was asked for, decide, and start at most one effect.

Position comes from the journal, permission from the observation made here. Every effect is written down as an intent
first; when that write fails, somebody else leads this run and nothing is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from noout.codec import encode
from noout.domain.errors import Broken, NooutError, Refused, Retryable, Superseded, UnknownOutcome
from noout.domain.journal import Kind
from noout.domain.maintenance import Action, Json, Maintenance, Mode, Observation, Phase
from noout.domain.reasons import Blocker
from noout.ports import Wait
from noout.run.context import Context
from noout.run.drift import note_drift
from noout.run.inbox import take_messages
from noout.run.invariants import forgotten, violations
from noout.run.look import look
from noout.run.record import Record
from noout.run.settle import settle
from noout.steps.bring_back import POLL_S
from noout.steps.dispatch import Dispatch
from noout.steps.evacuate import Evacuate, away
from noout.steps.hold_data import HoldData
from noout.steps.homecoming import Homecoming
from noout.steps.reintegrate import Reintegrate
from noout.steps.repair import Repair
from noout.steps.step import Act, Ask, Back, Blocked, Decision, Finished, Hold, Note, Sight, Step

BLOCKED_S = 15.0  # how soon a blocked run looks again by itself
TROUBLE_S = 10.0  # ... one that could not see the world
AT_ONCE = 50  # decisions without an effect in one advance: more is a circle


def story(soak_s: float) -> tuple[Step, ...]:
    """The steps, top to bottom."""
    return (Evacuate(), Dispatch(), HoldData(), Repair(), Reintegrate(soak_s), Homecoming())


async def advance(ctx: Context, maintenance: str) -> Wait | None:
    """Take the run as far as it goes without waiting; what it then waits for, or None when it is over."""
    record = await Record.read(ctx.journal, maintenance)
    try:
        return await _Turn(ctx, record).take()
    except Superseded:
        return Wait("somebody else wrote to this journal", ctx.clock.now() + timedelta(seconds=1))


class _Turn:
    """One advance."""

    def __init__(self, ctx: Context, record: Record) -> None:
        self.ctx = ctx
        self.record = record
        self.steps = story(ctx.soak_s)

    @property
    def m(self) -> Maintenance:
        return self.record.m

    def step_named(self, name: str) -> Step:
        return next(each for each in self.steps if each.name == name)

    async def take(self) -> Wait | None:
        if not self.m.open:
            return None
        await take_messages(self.record)
        if self.m.approved_by is None and not self.m.aborting:
            return await self.wait(Hold("somebody to approve the plan", 3600.0, "approval"))
        try:
            seen = await look(self.ctx, self.m, self._sees())
        except NooutError as error:
            return await self.wait(Hold(f"the world to answer again: {error.message}", TROUBLE_S, "time"))
        await self._remember_host(seen)
        await settle(self.record, seen, self.step_named)
        await note_drift(self.record, seen)
        if broken := violations(self.m, seen):
            blockers = tuple(
                Blocker("invariant", str(self.m.node), each, "look at once; resume when it is mended")
                for each in broken
            )
            return await self.block(blockers)
        for _ in range(AT_ONCE):
            wait = await (self._undo(seen) if self.m.aborting else self._go_on(seen))
            if wait is not _AGAIN:
                return wait
        raise Broken(f"{self.m.id}: step {self.m.step} decides in a circle", remedy="pause it and report this")

    def _sees(self) -> frozenset[Sight]:
        """What the next step must see; an undo looks at everything."""
        if self.m.aborting or any(p.action.verb.startswith(("led", "power", "shutdown-node")) for p in self.m.pending):
            return frozenset({"hardware", "ok-to-stop"})
        step = self._next()
        if step is None:
            return frozenset()
        # Steps that finish at once hand over to the next within the same turn, which must see as much.
        following = self.steps[self.steps.index(step) : self.steps.index(step) + 3]
        return frozenset().union(*(each.sees for each in following))

    def _next(self) -> Step | None:
        done = {name for name, _ in self.m.steps_done}
        return next((step for step in self.steps if step.name not in done), None)

    async def _remember_host(self, seen: Observation) -> None:
        """Which CRUSH host is ours, once and for all: afterwards its OSDs may be down or gone from sight."""
        if "crush_host" in self.m.facts:
            return
        host = self.ctx.site(self.m.node).crush_host(self.m.node)
        kept = host if host and seen.ceph is not None and seen.ceph.osds_of(host) else ""
        await self.record.write(Kind.FACT, {"name": "crush_host", "value": kept})

    # --- forward ---------------------------------------------------------------------------------------------

    async def _go_on(self, seen: Observation) -> Wait | None:
        step = self._next()
        if step is None:
            return await self._close(seen)
        if self.m.paused:
            return await self.wait(Hold("somebody to resume it", BLOCKED_S, "operator"))
        if self.m.step != step.name:
            await self.record.write(Kind.STEP_ENTERED, {"step": step.name})
        return await self._obey(step, step.plan(self.m, seen), seen)

    async def _undo(self, seen: Observation) -> Wait | None:
        """The steps that were entered, in reverse; then it is closed as aborted, saying what remains."""
        entered = [step for step in self.steps if self._entered(step)]
        step = next((each for each in reversed(entered) if each.name not in self.m.undone), None)
        if step is None:
            return await self._close(seen)
        if self.m.paused:
            return await self.wait(Hold("somebody to resume it", BLOCKED_S, "operator"))
        return await self._obey(step, step.undo(self.m, seen), seen, undo=True)

    def _entered(self, step: Step) -> bool:
        return step.name == self.m.step or step.name in {name for name, _ in self.m.steps_done}

    async def _obey(self, step: Step, decision: Decision, seen: Observation, *, undo: bool = False) -> Wait | None:
        match decision:
            case Finished(evidence):
                data: dict[str, Json] = {"step": step.name, "evidence": dict(evidence)}
                await self.record.write(Kind.STEP_DONE, data | ({"undone": True} if undo else {}))
            case Note(name, value):
                await self.record.write(Kind.FACT, {"name": name, "value": value})
            case Back(to, why):
                await self.record.write(Kind.OBSERVED, {"what": why})
                await self.record.write(Kind.STEP_ENTERED, {"step": to, "why": why})
            case Ask():
                return await self._answer(decision, seen)
            case Hold():
                return await self.wait(decision)
            case Blocked(blockers):
                return await self.block(blockers)
            case Act(actions):
                return await self._act(step, actions, seen)
        return _AGAIN

    # --- effects ---------------------------------------------------------------------------------------------

    async def _act(self, step: Step, actions: Sequence[Action], seen: Observation) -> Wait | None:
        action = actions[0]
        if self.m.mode is Mode.STEP and action.key not in self.m.confirmed:
            await self._ask_to_confirm(action)
            return await self.wait(Hold(f"somebody to confirm: {action.says}", 3600.0, "confirmation"))
        attempt = self.m.failed.get(action.key, 0) + 1
        await self.record.write(Kind.INTENT, {"key": action.key, "action": encode(action), "attempt": attempt})
        soon = self.ctx.clock.now() + timedelta(seconds=1)
        try:
            upid = await step.act(action, seen, self.ctx.site(self.m.node))
        except UnknownOutcome as error:
            # It may have happened: it stays pending, and only what is seen will decide.
            await self.record.write(Kind.STARTED, {"key": action.key, "unknown": error.message})
            return Wait(f"to see whether it happened: {action.says}", soon)
        except Retryable as error:
            await self.record.write(Kind.FAILED, {"key": action.key, "why": error.message})
            return Wait(f"to try again: {action.says}", self.ctx.clock.now() + timedelta(seconds=POLL_S))
        except (Refused, Broken) as error:
            why = f"{error.message} → {error.remedy}" if error.remedy else error.message
            await self.record.write(Kind.FAILED, {"key": action.key, "why": why})
            return Wait(f"after a refusal: {action.says}", soon)
        await self.record.write(Kind.STARTED, {"key": action.key, "upid": upid})
        return Wait(f"to see it happen: {action.says}", soon)

    async def _ask_to_confirm(self, action: Action) -> None:
        if self.m.facts.get("to_confirm") != action.key:
            await self.record.write(Kind.FACT, {"name": "to_confirm", "value": action.key})

    # --- what a step asks for ---------------------------------------------------------------------------------

    async def _answer(self, ask: Ask, seen: Observation) -> Wait | None:
        if ask.what == "plan":
            return await self._plan_anew(ask.why, seen)
        if ask.what == "work-order":
            order = self.ctx.make_work_order(self.m)
            await self.record.write(Kind.WORK_ORDER, {"work_order": encode(order)})
            return _AGAIN
        answer = await self.ctx.accept(self.m, seen)
        if answer.ok is None:
            until = answer.until or seen.at + timedelta(seconds=TROUBLE_S)
            left_s = max(1.0, (until - seen.at).total_seconds())
            return await self.wait(
                Hold("the repaired node to prove itself before anything relies on it", left_s, "time")
            )
        value = {"ok": answer.ok, "reasons": list(answer.reasons), **answer.evidence}
        await self.record.write(Kind.FACT, {"name": "acceptance", "value": value})
        return _AGAIN

    async def _plan_anew(self, why: str, seen: Observation) -> Wait | None:
        plan = self.ctx.make_plan(seen.cluster, seen.ceph, self.m.node, seen.at, self.m.plan)
        if not plan.feasible:
            return await self.block(plan.blockers)
        await self.record.write(Kind.PLANNED, {"plan": encode(plan), "why": why})
        return _AGAIN

    # --- waiting and ending -----------------------------------------------------------------------------------

    async def wait(self, hold: Hold) -> Wait:
        until = self.ctx.clock.now() + timedelta(seconds=hold.for_s)
        if self.m.waiting_for != hold.why or self.m.needs != hold.needs or self.m.blockers:
            data = {"why": hold.why, "until": until.isoformat(), "needs": hold.needs}
            await self.record.write(Kind.WAITING, data)
        return Wait(hold.why, until)

    async def block(self, blockers: tuple[Blocker, ...]) -> Wait:
        if self.m.blockers != blockers:
            await self.record.write(Kind.BLOCKED, {"blockers": [encode(each) for each in blockers]})
        return Wait(blockers[0].message, self.ctx.clock.now() + timedelta(seconds=BLOCKED_S))

    async def _close(self, seen: Observation) -> Wait | None:
        if left := forgotten(self.m):
            return await self.block(
                tuple(
                    Blocker(
                        "ownership.left",
                        each,
                        f"{each} is still ours",
                        "give it back by hand (noout status), then resume",
                    )
                    for each in left
                )
            )
        if self.m.pending:
            return await self.wait(Hold("the last effects to be seen", POLL_S))
        leftovers = [str(each) for each in sorted(away(self.m)) if each not in self._home(seen)]
        if self.m.aborting:
            data: dict[str, Json] = {"outcome": "aborted", "phase": Phase.ABORTED.value, "leftovers": leftovers}
        else:
            until = self.ctx.clock.now() + timedelta(seconds=self.ctx.probation_s)
            outcome = "done, guests left away" if leftovers else "done"
            data = {"outcome": outcome, "phase": Phase.DONE.value, "leftovers": leftovers}
            data["probation_until"] = until.isoformat()
        await self.record.write(Kind.CLOSED, data)
        return None

    def _home(self, seen: Observation) -> set[object]:
        return {guest.id for guest in seen.cluster.guests_on(self.m.node)}


_AGAIN = Wait("decide again")
