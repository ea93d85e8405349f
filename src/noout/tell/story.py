"""The story, hour by hour: each chapter stands on events of the journal, or is not told. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from noout.domain.hardware import Episode
from noout.domain.impact import Cause
from noout.domain.maintenance import Moved, Phase
from noout.domain.workorder import Answer
from noout.tell.counterfactual import could_copy
from noout.tell.say import Say
from noout.tell.subject import Subject

_TEMPLATES = ("fans", "power", "memory")
_REPLACE = ("fans.replace", "power.replace")
TOLD_WORK = (
    "fans.clean",
    "fans.inspect",
    "fans.replace",
    "power.inspect",
    "power.replace",
    "bus.inspect",
    "connectors.reseat",
)
_HARDWARE = ("hardware.memory", "hardware.drives", "hardware.cables")  # told in one breath, so only when all were done
_WAYS = ("live", "relocate", "shutdown", "offline")


@dataclass(frozen=True, slots=True)
class Chapter:
    when: str
    title: str
    text: str


def tell_story(about: Subject, say: Say) -> tuple[Chapter, ...]:
    """The chapters of what did happen, in order."""
    chapters = [_fault(about, say), _out(about, say), _hold(about, say), _work(about, say), _test(about, say)]
    chapters += [_home(about, say), _off(about, say), _probation(about, say)]
    return tuple(chapter for chapter in chapters if chapter is not None)


def _episodes(about: Subject) -> list[Episode]:
    fault = about.m.fault
    return [episode for verdict in fault.verdicts for episode in verdict.episodes] if fault else []


def _fault(about: Subject, say: Say) -> Chapter:
    """What was seen before, counted from its episodes; without episodes it is said without figures."""
    fault = about.m.fault
    template = fault.template if fault and fault.template in _TEMPLATES else "other"
    title = say(f"fault.{template}.title")
    episodes = _episodes(about)
    if not episodes:
        return Chapter(say.day(about.m.opened_at), title, say(f"fault.{template}.plain"))
    first = min(episode.since for episode in episodes)
    last = max(episode.until or episode.since for episode in episodes)
    # Stops close together count as one episode, and a poll cannot tell a stop's end: so "at least", and no length.
    text = say(f"fault.{template}", times=say.counted("times", len(episodes)))
    return Chapter(say.days(first, last), title, text)


def _moves(about: Subject, say: Say, moves: Sequence[Moved], prefix: str) -> str:
    sentences = []
    for way in _WAYS:
        names = sorted({move.name for move in moves if move.kind.value == way})
        if names:
            sentences.append(say(f"{prefix}.{way}.{'one' if len(names) == 1 else 'many'}", names=say.names(names)))
    return " ".join(sentences)


def _out(about: Subject, say: Say) -> Chapter | None:
    moves = about.moves(homeward=False)
    if not moves:
        return None
    times = say.clocks(min(move.started for move in moves), max(move.finished for move in moves))
    title = "out.title" if all(move.kind.value == "live" for move in moves) else "out.title.some"
    return Chapter(times, say(title), f"{_moves(about, say, moves, 'out')}{_felt(about, say)}")


def _felt(about: Subject, say: Say) -> str:
    """What the agreed restarts were measured to cost, or that nobody measured."""
    told, unmeasured = "", []
    for guest in about.affected:
        if guest.id not in about.restarted:
            continue
        seen = about.experience_of(guest)
        agreed = [
            (gap.length, gap)
            for gap in (seen.interruptions if seen and seen.measured else ())
            if gap.length is not None and gap.cause in (Cause.RELOCATION, Cause.RESTART)
        ]
        if agreed:
            length, gap = max(agreed, key=lambda each: each[0])
            how, resolution = say.how(gap.probe), say.pause(gap.resolution_s)
            told += " " + say("felt", service=guest.name, length=say.pause(length), how=how, resolution=resolution)
        elif seen is None or not seen.measured:
            unmeasured.append(guest.name)
    return f"{told} {say('felt.not', names=say.names(unmeasured))}" if unmeasured else told


def _hold(about: Subject, say: Say) -> Chapter | None:
    if about.held_at is None:
        return None
    return Chapter(
        say.clock(about.held_at), say("hold.title"), say("hold" if could_copy(about.m.facts) else "hold.plain")
    )


def _work(about: Subject, say: Say) -> Chapter | None:
    m = about.m
    if m.node_off_at is None:
        return None
    answers = {finding.check: finding.answer for finding in m.findings}
    done = [say(f"did.{check}") for check in TOLD_WORK if answers.get(check) is Answer.DONE]
    if all(answers.get(check) is Answer.DONE for check in _HARDWARE):
        done.append(say("did.hardware"))
    plain = "work.begun" if m.closing_up else "work.plain"
    sentences = [say("work", done=say.names(done)) if done else say(plain)]
    if m.closing_up:
        sentences.append(say("work.second" if m.urgent else "work.not-done"))
    if any(answers.get(check) is Answer.NOT_NEEDED for check in _REPLACE):
        sentences.append(say("work.not-replaced"))
    problems = sum(answer is Answer.PROBLEM for answer in answers.values())
    if problems:
        sentences.append(say.counted("work.problems", problems))
    end = m.signed_off_at or m.node_on_at or m.node_off_at
    return Chapter(say.clocks(m.node_off_at, max(end, m.node_off_at)), say("work.title"), " ".join(sentences))


def _test(about: Subject, say: Say) -> Chapter | None:
    """Once the server was accepted; of the storage only where it had been told to wait."""
    m = about.m
    if m.node_on_at is None or m.phase not in (Phase.RETURNING, Phase.DONE) or about.called_off:
        return None
    storage = " " + say("test.storage") if about.released_at is not None else ""
    soak = ""
    if m.acceptance_until is not None and m.acceptance_until > m.node_on_at:
        soak = " " + say("test.soak", span=say.span(m.acceptance_until - m.node_on_at)) + _proves(about, say)
    times = say.clocks(m.node_on_at, max(about.released_at or m.node_on_at, m.node_on_at))
    if m.closing_up:
        return Chapter(times, say("test.as-was.title"), say("test.as-was") + storage)
    return Chapter(times, say("test.title"), say("test") + storage + soak)


def _proves(about: Subject, say: Say) -> str:
    """How surely the old fault would have shown itself in the test; nothing where that is not known."""
    accepted = about.m.facts.get("acceptance") or {}
    low, high = accepted.get("chance_between") or (0.0, 1.0)
    if about.m.closing_up or (low, high) in ((0.0, 1.0), (1.0, 1.0)):
        return ""
    return " " + say("test.proves", low=max(1, round(100 * low)), high=min(99, round(100 * high)))


def _home(about: Subject, say: Say) -> Chapter | None:
    moves = about.moves(homeward=True)
    if not moves:
        return None
    times = say.clocks(min(move.started for move in moves), max(move.finished for move in moves))
    return Chapter(times, say("home.title"), _moves(about, say, moves, "home"))


def _off(about: Subject, say: Say) -> Chapter | None:
    if not about.called_off:
        return None
    end = about.m.closed_at
    return Chapter(say.clock(end) if end else "", say("off.title"), say("off"))


def _probation(about: Subject, say: Say) -> Chapter | None:
    until, over_at = about.m.probation_until, about.m.probation_over_at
    if until is None or about.called_off:
        return None
    if over_at is not None:
        how = "back" if about.m.probation_failed else "cured"
        return Chapter(
            say.clock(over_at), say(f"probation.{how}.title", date=say.day(over_at)), say(f"probation.{how}")
        )
    return Chapter(
        say.clock(about.m.closed_at) if about.m.closed_at else "",
        say("probation.title", date=say.day(until)),
        say("probation"),
    )
