"""One step of a run: fold, observe, settle what was asked for, decide, and start at most one effect.

Position comes from the journal, permission from the observation made here. Every effect is written down as an intent
first; when that write fails, somebody else leads this run and nothing is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from noout.codec import encode
from noout.domain.cluster import Near
from noout.domain.errors import (
    Broken,
    Forbidden,
    NooutError,
    Refused,
    Retryable,
    StoreBroken,
    Superseded,
    UnknownOutcome,
    Untrusted,
)  # fmt: skip
from noout.domain.journal import Kind
from noout.domain.maintenance import Action, Json, Maintenance, Mode, Observation, Phase
from noout.domain.reasons import Blocker
from noout.ports import Wait
from noout.run import opening
from noout.run.alarm import PAGED, mind_exposure, mind_invariants, mind_neighbours, say_unkept
from noout.run.context import Context
from noout.run.drift import note_drift
from noout.run.inbox import take_messages
from noout.run.invariants import forgotten
from noout.run.limits import is_known, limit_of, outstayed
from noout.run.look import look
from noout.run.nearby import closer, enough, near
from noout.run.newcomers import note_newcomers
from noout.run.noting import announced, mind_note, take_away
from noout.run.older import mind_age, mind_lost
from noout.run.record import Record
from noout.run.replan import keeping_what_is_done
from noout.run.settle import settle, settle_what_is_so, still_doubted
from noout.steps.avoid import avoided
from noout.steps.bring_back import POLL_S
from noout.steps.dispatch import Dispatch
from noout.steps.evacuate import Evacuate, overdue, without_a_new_plan
from noout.steps.flights import MOVE_VERBS
from noout.steps.hold_data import HoldData
from noout.steps.homecoming import Homecoming
from noout.steps.reintegrate import Reintegrate
from noout.steps.repair import Repair
from noout.steps.rules import RULES, Rules
from noout.steps.step import (
    ATTEMPTS_MAX,
    LOOK_S,
    Act,
    Ask,
    Back,
    Blocked,
    Decision,
    Finished,
    Hold,
    Note,
    Sight,
    Step,
    exhausted,
    owns,
)  # fmt: skip
from noout.steps.whereabouts import leftovers

BLOCKED_S = 15.0  # how soon a blocked run looks again by itself
TROUBLE_S = 10.0  # ... one that could not see the world
SOAK_POLL_S = 15.0  # between two looks at the repaired node while it proves itself
SOAK_LATE_S = 3600.0  # how long after the soak its last answers may be missing
LOOKS_MAX = 3  # in one advance, each closer than the one before; then one at everything
NOTES_MAX = 20  # decisions in one advance that only write something down: more is a circle


def story(soak_s: float, rules: Rules = RULES) -> tuple[Step, ...]:
    """The steps, top to bottom."""
    return (Evacuate(rules), Dispatch(), HoldData(rules), Repair(rules), Reintegrate(soak_s, rules), Homecoming(rules))


async def advance(ctx: Context, maintenance: str) -> Wait | None:
    """Look once, settle, start at most one effect; what the run then waits for, or None when it is over, or another
    process leads it."""
    if not ctx.leads():
        return None
    try:
        record = await Record.read(ctx.known, maintenance)
        await mind_lost(ctx, record.m)
        seq = record.m.seq
        wait = await _Turn(ctx, record).take()
    except Superseded:
        ctx.known.forget(maintenance)
        return Wait("somebody else wrote to this journal", ctx.clock.now() + timedelta(seconds=1))
    except StoreBroken as error:  # what cannot be written down is not done; what was begun is looked for afterwards
        await say_unkept(ctx, maintenance, error)
        return Wait(f"the journal to be kept again: {error.message}", ctx.clock.now() + timedelta(seconds=TROUBLE_S))
    if record.m.seq > seq:
        ctx.unkept.discard(maintenance)
    return wait


class _Turn:
    """One advance."""

    def __init__(self, ctx: Context, record: Record) -> None:
        self.ctx = ctx
        self.record = record
        self.steps = story(ctx.soak_s(record.m), ctx.rules)
        self.near: Near | None = None  # what the look in hand is confined to

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
            return await self.wait(Hold("approval", "somebody to approve the plan", 3600.0))
        seen: Observation | None = None
        step = self._next()
        self.near = near(self.m, step.name, self.ctx.clock.now()) if step is not None else None
        for _ in range(LOOKS_MAX):
            seen, wait = await self._look_and_decide(seen)
            if wait is not _CLOSER:
                return wait
        self.near = None
        return (await self._look_and_decide(seen))[1]

    async def _look_and_decide(self, before: Observation | None) -> tuple[Observation | None, Wait | None]:
        """``before``: what was seen in this same step, in which a closer look was called for."""
        try:
            seen = await look(self.ctx, self.m, self._sees(), self.near, before)
            older = await mind_age(self.ctx, self.m, seen)
        except NooutError as error:
            hold = Hold("world", f"the world to answer again: {error.message}", TROUBLE_S)
            return None, await self.wait(hold)
        if older is not None:
            return None, await self.block((older,))
        return seen, await self._decide(seen)

    async def _decide(self, seen: Observation) -> Wait | None:
        await self._remember_host(seen)
        await settle(self.record, seen, self.step_named)
        for lost in await note_drift(self.record, seen):
            await self.ctx.page(self.m, lost)
        await mind_exposure(self.ctx, self.record, seen)
        await mind_neighbours(self.ctx, self.record, seen)
        if blockers := await mind_invariants(self.record, seen):
            return await self.block(blockers)
        if self.m.paused:
            return await self.wait(Hold("pause", "somebody to resume it", BLOCKED_S))
        await mind_note(self.ctx, self.record, seen)
        for _ in range(NOTES_MAX):
            wait = await (self._undo(seen) if self.m.aborting else self._go_on(seen))
            if wait is not _AGAIN:
                return wait
        circle = f"step {self.m.step} goes round in a circle without an effect"
        return await self.block((Blocker("circle", self.m.id, circle, "pause or abort it, and report this"),))

    def _sees(self) -> frozenset[Sight]:
        """What the step that decides must see, and the steps whose effects are still to be verified."""
        deciding = self._to_undo()[:1] if self.m.aborting else [each for each in (self._next(),) if each is not None]
        asked = [*self.m.pending, *(each.pending for each in self.m.doubted)]
        steps = deciding + [self.step_named(pending.action.step) for pending in asked]
        return frozenset().union(*(step.sees for step in steps))

    def _next(self) -> Step | None:
        done = {name for name, _ in self.m.steps_done}
        return next((step for step in self.steps if step.name not in done), None)

    def _to_undo(self) -> list[Step]:
        """All steps that are not undone yet, the last first. One that was never entered finds nothing to give back."""
        return [step for step in reversed(self.steps) if step.name not in self.m.undone]

    async def _remember_host(self, seen: Observation) -> None:
        """Which CRUSH host is ours, once and for all: afterwards its OSDs may be down or gone from sight."""
        if "crush_host" in self.m.facts:
            return
        host = self.ctx.site(self.m.node).crush_host(self.m.node)
        kept = host if host and seen.ceph is not None and seen.ceph.osds_of(host) else ""
        await self.record.write(Kind.FACT, {"name": "crush_host", "value": kept})

    # --- deciding --------------------------------------------------------------------------------------------

    async def _go_on(self, seen: Observation) -> Wait | None:
        step = self._next()
        if step is None:
            return await self._close(seen)
        if self.m.step != step.name:
            await self.record.write(Kind.STEP_ENTERED, {"step": step.name})
        decision = step.plan(self.m, seen)
        if self.near is not None:
            chosen = self._chosen(decision.actions) if isinstance(decision, Act) else None
            if not enough(self.near, decision, chosen):
                self.near = closer(self.near, chosen)
                return _CLOSER
        return await self._obey(step, decision, seen)

    def _chosen(self, actions: Sequence[Action]) -> Action:
        """Of the effects that are wanted, the one that would be next."""
        return next((each for each in actions if each.key in self.m.confirmed), actions[0])

    async def _undo(self, seen: Observation) -> Wait | None:
        """The steps in reverse; then it is closed as aborted, saying what remains."""
        asked = next((p.action for p in self.m.pending if p.action.verb not in MOVE_VERBS | {"cancel"}), None)
        if asked is not None:  # what was asked for before may still come: it is undone once it is seen
            return await self.wait(Hold("under-way", f"under way: {asked.says}", 2.0))
        late = overdue("evacuate", self.m, seen)
        if late is not None and not exhausted(self.m, late.key):
            return await self._obey(self.step_named("evacuate"), Act((late,)), seen)
        left = self._to_undo()
        if left:
            return await self._obey(left[0], left[0].undo(self.m, seen), seen)
        for step in reversed(self.steps) if self.m.owned else ():  # what came late is given back too
            if not isinstance(decision := step.undo(self.m, seen), Finished):
                return await self._obey(step, decision, seen)
        return await self._close(seen)

    async def _obey(self, step: Step, decision: Decision, seen: Observation) -> Wait | None:
        match decision:
            case Finished(evidence):
                data: dict[str, Json] = {"step": step.name, "evidence": dict(evidence)}
                await self.record.write(Kind.STEP_DONE, data | ({"undone": True} if self.m.aborting else {}))
                return Wait("the next step, which looks for itself")
            case Back(to, why):
                await self.record.write(Kind.STEP_ENTERED, {"step": to, "why": why})
                return Wait("an earlier step, which looks for itself")
            case Note(name, value):
                await self.record.write(Kind.FACT, {"name": name, "value": value})
                return _AGAIN
            case Ask():
                return await self._answer(decision, seen)
            case Hold():
                return await self.wait(decision)
            case Blocked(blockers):
                return await self.block(blockers)
            case Act(actions):
                return await self._act(step, self._chosen(actions), seen)

    # --- effects ---------------------------------------------------------------------------------------------

    async def _act(self, step: Step, action: Action, seen: Observation) -> Wait | None:
        """One effect: intent written, asked for, answer written. Whether it happened, the next advance sees."""
        closed = self.ctx.shut(self.m.node, seen.at)
        if closed is not None and (later := opening.hold(self.m, closed)) is not None:
            return await self.wait(later)
        if opening.empties(self.m) and (told := await self.ctx.unacknowledged(self.m)) is not None:
            return await self.wait(opening.unread(told))
        lit_again = action.verb == "led-on" and owns(self.m, "led")  # it was said yes to, and ran out by itself
        if self.m.mode is Mode.STEP and action.key not in self.m.confirmed and not lit_again:
            await self._ask_to_confirm(action)
            note = announced(self.m)
            look_s = POLL_S if self.m.pending else 3600.0  # what was confirmed before is to be seen meanwhile
            return await self.wait(Hold("confirmation", f"somebody to confirm: {action.says}{note}", look_s))
        if why := await self.ctx.frozen(self.m):
            return await self.wait(Hold("frozen", why, BLOCKED_S))
        attempt = self.m.failed.get(action.key, 0) + 1
        await self.record.write(Kind.INTENT, {"key": action.key, "action": encode(action), "attempt": attempt})
        if await settle_what_is_so(self.record, seen, step, action.key):
            return Wait("the next thing: it was so already")
        soon = self.ctx.clock.now() + timedelta(seconds=LOOK_S.get(action.verb, 1.0))
        if not self.ctx.leads():  # this process slept since it wrote the intent: another may have gone on
            raise Superseded(f"{self.m.id}: another noout process may lead it by now")
        try:
            upid = await step.act(action, seen, self.ctx.site(self.m.node))
        except UnknownOutcome as error:
            # It may have happened: it stays pending, and only what is seen will decide.
            await self.record.write(Kind.STARTED, {"key": action.key, "unknown": error.message})
        except (Refused, Retryable, Broken) as error:
            # Nothing was done. A missing privilege or a pinned key that differs will not mend itself in a minute.
            hopeless = isinstance(error, Forbidden | Untrusted)
            data = {"key": action.key, "why": str(error), "counts": ATTEMPTS_MAX if hopeless else 1}
            await self.record.write(Kind.FAILED, data)
        else:
            await self.record.write(Kind.STARTED, {"key": action.key, "upid": upid})
            if action.verb in MOVE_VERBS:  # nothing of it is to be seen yet; perhaps another may begin beside it
                return Wait(f"to see who may follow: {action.says}")
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
        soaked = self.m.acceptance_until is None or seen.at >= self.m.acceptance_until
        if answer.ok is None or (answer.ok and not soaked):
            limit = (self.m.acceptance_until or seen.at) + timedelta(seconds=SOAK_LATE_S)
            return await self.wait(Hold("soak", ask.why, SOAK_POLL_S, limit))
        value = {"ok": answer.ok, "reasons": list(answer.reasons), **answer.evidence}
        await self.record.write(Kind.FACT, {"name": "acceptance", "value": value})
        return _AGAIN

    async def _plan_anew(self, why: str, seen: Observation) -> Wait | None:
        avoid = avoided(self.m, seen.cluster)
        made = await self.ctx.make_plan(seen.cluster, seen.ceph, self.m.node, seen.at, self.m.plan, avoid)
        plan = keeping_what_is_done(made, self.m)
        if not plan.feasible and (old_way := without_a_new_plan(self.m, plan)) is not None:
            await self.record.write(Kind.FACT, {"name": old_way.name, "value": old_way.value})
            return _AGAIN
        if not plan.feasible:
            return await self.block(plan.blockers)
        await note_newcomers(self.ctx, self.record, seen.cluster, plan)
        await self.record.write(Kind.PLANNED, {"plan": encode(plan), "why": why})
        return _AGAIN

    # --- waiting and ending -----------------------------------------------------------------------------------

    async def wait(self, hold: Hold) -> Wait:
        """Wait, and say so once; what lasts too long is told. An effect that is under way needs no word: its intent
        says it."""
        now = self.ctx.clock.now()
        if late := outstayed(self.m, hold, now):
            return await self.block(late)
        until = now + timedelta(seconds=hold.for_s)
        under_way = bool(self.m.pending) and not hold.needs and not self.m.blockers
        if not under_way and not is_known(self.m, hold):
            limit = limit_of(self.m, hold, now)
            data = {"why": hold.why, "until": until.isoformat(), "needs": hold.needs, "code": hold.code}
            await self.record.write(Kind.WAITING, data | {"limit": limit.isoformat() if limit else None})
        return Wait(hold.why, until)

    async def block(self, blockers: tuple[Blocker, ...]) -> Wait:
        if self.m.blockers != blockers:
            for each in (each for each in blockers if each.code in PAGED):
                await self.ctx.page(self.m, each.message)
            await self.record.write(Kind.BLOCKED, {"blockers": [encode(each) for each in blockers]})
        return Wait(blockers[0].message, self.ctx.clock.now() + timedelta(seconds=BLOCKED_S))

    async def _close(self, seen: Observation) -> Wait | None:
        if self.m.pending:
            return await self.wait(Hold("under-way", "the last effects to be seen", POLL_S))
        if late := still_doubted(self.m, seen):
            what = late[0].pending.action.says
            return await self.wait(Hold("late-effects", f"what was asked for and may still come: {what}", POLL_S))
        if left := forgotten(self.m):
            remedy = "give it back by hand (noout status), then resume"
            return await self.block(
                tuple(Blocker("ownership.left", each, f"{each} is still ours", remedy) for each in left)
            )
        await take_away(self.ctx, self.record, seen)
        left_away = leftovers(self.m, seen)
        data: dict[str, Json] = {"leftovers": left_away}
        if self.m.aborting:
            reason = f": {self.m.abort_reason}" if self.m.abort_reason else ""
            data |= {"outcome": f"aborted{reason}", "phase": Phase.ABORTED.value}
        else:
            until = self.ctx.clock.now() + timedelta(seconds=self.ctx.probation_s)
            outcome = f"closed up, not repaired: {self.m.closing_up}" if self.m.closing_up else "done"
            outcome += ", guests left away" if any(not each["planned"] for each in left_away) else ""
            data |= {"outcome": outcome, "phase": Phase.DONE.value}
            if not self.m.closing_up:  # nothing was mended that could prove itself
                data["probation_until"] = until.isoformat()
        await self.record.write(Kind.CLOSED, data)
        return None


_AGAIN = Wait("decide again")
_CLOSER = Wait("look closer")
