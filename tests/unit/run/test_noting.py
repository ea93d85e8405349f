"""noout's lines in a node's description: they come with the first effect, follow the steps, and leave no trace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from noout.adapters.store.memory import MemoryStore
from noout.codec import encode
from noout.domain.cluster import ClusterState
from noout.domain.errors import Refused, Retryable, Superseded
from noout.domain.journal import Kind
from noout.domain.note import CHARS_MAX, Note, read_note, with_note, without_note
from noout.ports import Description
from noout.run.context import Noted
from noout.run.noting import NOTE_S, announced, mind_note, put_note, take_away
from noout.run.record import Known, Record
from tests.unit.run.test_settle import Hand
from tests.unit.steps.scene import NODE, cluster, maintenance, seen

MID = "ams1-pve3-1"
NOTE = Note(MID, 12, "ab" * 32, "evacuate", "operator:anna", "a fan", "https://noout.example.net")


# --- the text ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("others", ["", "rack 4, unit 12", "# Notes\n\n- *old* disk\n<!-- mine -->"])
def test_what_others_wrote_stays_and_the_note_is_read_back(others: str) -> None:
    text = with_note(others, NOTE)
    assert text.startswith(others) and without_note(text) == others
    assert read_note(text) == Note(MID, 12, "ab" * 32)
    newer = with_note(text, replace(NOTE, seq=40, step="repair"))
    assert newer.count("noout begin") == 1 and without_note(newer) == others
    found = read_note(newer)
    assert found is not None and found.seq == 40


def test_what_others_write_below_it_meanwhile_stays_as_well() -> None:
    text = with_note("above", NOTE) + "below"
    assert without_note(text) == "above\n\nbelow"
    assert without_note(with_note(text, NOTE)) == "above\n\nbelow"
    assert without_note(text + "\n" + with_note("", NOTE)) == "above\n\nbelow", "and of two notes none is left"


def test_a_reason_can_neither_end_the_note_nor_forge_one() -> None:
    evil = f"x -->\n<!-- noout end -->\n<!-- noout run=other seq=99 digest={'0' * 64} -->"
    text = with_note("mine", replace(NOTE, reason=evil))
    assert without_note(text) == "mine" and read_note(text) == Note(MID, 12, "ab" * 32)


def test_a_description_without_a_note_has_none() -> None:
    assert read_note("noout run=x seq=1") is None and without_note("text\n\n") == "text"
    with pytest.raises(ValueError, match="more than 65536"):
        with_note("x" * CHARS_MAX, NOTE)


# --- writing it --------------------------------------------------------------------------------------------------


class Node:
    """A node's configuration; ``meanwhile`` happens between the read and the write, once."""

    def __init__(self, text: str = "") -> None:
        self.text, self.version, self.writes = text, 0, 0
        self.meanwhile: str | None = None
        self.error: Exception | None = None

    async def describe(self, node: Any) -> Description:
        if self.error is not None:
            raise self.error
        return Description(self.text + "\n" if self.text else "", str(self.version))

    async def set_description(self, node: Any, text: str, digest: str) -> None:
        if self.meanwhile is not None:
            self.text, self.version, self.meanwhile = self.meanwhile, self.version + 1, None
        if digest != str(self.version):
            raise Refused("detected modified configuration")
        self.text, self.version, self.writes = text, self.version + 1, self.writes + 1


async def test_what_somebody_writes_at_the_same_moment_is_not_lost() -> None:
    node = Node("rack 4")
    node.meanwhile = "rack 5"
    await put_note(node, maintenance(), NOTE)  # type: ignore[arg-type]
    assert without_note(node.text) == "rack 5" and read_note(node.text) is not None
    await put_note(node, maintenance(), None)  # type: ignore[arg-type]
    assert node.text == "rack 5" and node.writes == 2
    await put_note(node, maintenance(), None)  # type: ignore[arg-type]
    assert node.writes == 2, "what is so already is not written"
    read = await node.describe(None)
    node.text, node.version = "rack 6", node.version + 1
    await put_note(node, maintenance(), NOTE, read)  # type: ignore[arg-type]
    assert without_note(node.text) == "rack 6", "what was read before is not written over what came since"


class Run:
    """A journal with something owned, and what a run does about the note."""

    def __init__(self, node: Node, *, frozen: str = "") -> None:
        self.node, self.why = node, frozen
        self.store = self.journal = MemoryStore(Hand())  # type: ignore[arg-type]
        self.noted: dict[str, Noted] = {}
        self.described: dict[str, Any] = {}

    def site(self, node: Any) -> Run:
        return self

    @property
    def hypervisor(self) -> Node:
        return self.node

    async def frozen(self, m: Any) -> str:
        return self.why

    def leads(self) -> bool:
        return True

    def link(self, m: Any) -> str:
        return ""

    async def begin(self, *told: tuple[Kind, dict[str, Any]]) -> Record:
        opened = (Kind.OPENED, {"node": str(NODE), "mode": "auto", "reason": "a fan"})
        entered = (Kind.STEP_ENTERED, {"step": "evacuate"})
        for seq, (kind, data) in enumerate((opened, entered, *told)):
            await self.store.append(MID, seq, kind, data, "operator:anna")
        return await Record.read(Known(self.store), MID)

    async def minds(self, record: Record, state: ClusterState | None = None, after_s: float = 0.0) -> None:
        await mind_note(self, record, seen(state or cluster(), after_s=after_s))  # type: ignore[arg-type]


OWNED = (Kind.OWNED, {"kind": "failback", "subject": "ams1/101"})


async def test_it_comes_with_the_first_effect_and_names_an_event_of_the_journal() -> None:
    run = Run(Node("rack 4"))
    await run.minds(await run.begin())
    assert run.node.writes == 0, "nothing is begun yet"
    run = Run(Node("rack 4"))
    record = await run.begin(OWNED)
    await run.minds(record)
    note = read_note(run.node.text)
    (written,) = [event for event in await run.store.read(MID) if event.kind == Kind.FACT]
    assert note is not None and (note.run, note.seq, note.digest) == (MID, written.seq, written.digest)
    assert "begun by operator:anna" in run.node.text and "a fan" in run.node.text
    await run.minds(record)
    assert run.node.writes == 1
    await record.write(Kind.STEP_ENTERED, {"step": "dispatch"})
    await run.minds(record)
    later = read_note(run.node.text)
    assert later is not None and later.seq > note.seq and "dispatch" in run.node.text


async def test_within_a_step_it_follows_the_journal_at_once_where_something_is_taken_else_now_and_then() -> None:
    run = Run(Node("rack 4"))
    record = await run.begin(OWNED)
    await run.minds(record)

    def noted() -> int:
        note = read_note(run.node.text)
        assert note is not None
        return note.seq

    first = noted()
    await record.write(Kind.FACT, {"name": "x", "value": 1})
    for after_s in (1.0, NOTE_S - 1):
        await run.minds(record, after_s=after_s)
    assert noted() == first, "a little behind"
    await run.minds(record, after_s=NOTE_S)
    assert noted() == record.m.seq > first
    await run.minds(record, after_s=3 * NOTE_S)
    assert run.node.writes == 2, "nothing has been written since"
    await record.write(Kind.OWNED, {"kind": "noout", "subject": "pve3"})
    await run.minds(record, after_s=3 * NOTE_S + 1)
    events = await run.store.read(MID)
    assert noted() == record.m.seq == len(events) and read_note(run.node.text) is not None
    assert events[-1].digest in run.node.text and "rack 4" in run.node.text
    assert sum(event.data.get("name") == "note" for event in events) == 1, "and the journal is not filled with it"


async def test_after_a_restart_it_is_brought_up_to_date() -> None:
    run = Run(Node("rack 4"))
    record = await run.begin(OWNED)
    await run.minds(record)
    await record.write(Kind.FACT, {"name": "x", "value": 1})
    run.noted.clear()
    await run.minds(record)
    note = read_note(run.node.text)
    assert note is not None and note.seq == record.m.seq


async def test_it_goes_before_the_end_and_the_journal_says_so() -> None:
    run = Run(Node("rack 4"))
    record = await run.begin(OWNED)
    await run.minds(record)
    await take_away(run, record, seen(cluster()))  # type: ignore[arg-type]
    assert run.node.text == "rack 4" and record.m.facts["note"] is None


async def test_no_note_while_everything_is_stopped_or_the_node_is_off() -> None:
    run = Run(Node(), frozen="stopped by operator:piet")
    await run.minds(await run.begin(OWNED))
    assert run.node.writes == 0
    run = Run(Node())
    await run.minds(await run.begin(OWNED), cluster(offline=("pve3",)))
    assert run.node.writes == 0


async def test_what_fails_is_one_caution_and_never_an_error() -> None:
    run = Run(Node())
    run.node.error = Retryable("no answer")
    record = await run.begin(OWNED)
    await run.minds(record)
    await record.write(Kind.STEP_ENTERED, {"step": "dispatch"})
    await run.minds(record)
    (caution,) = [each for each in record.m.cautions if each.code == "node.note"]
    assert "could not be written into the description of pve3: no answer" in caution.message
    await take_away(run, record, seen(cluster()))  # type: ignore[arg-type]
    assert record.m.facts["note"] is not None, "it may have been written: the ledger keeps it"


async def test_a_run_that_was_overtaken_writes_nothing() -> None:
    run = Run(Node())
    record = await run.begin(OWNED)
    await run.store.append(MID, record.m.seq, Kind.FACT, {"name": "x", "value": encode(1)})
    with pytest.raises(Superseded):
        await run.minds(record)
    assert run.node.writes == 0


async def test_the_question_for_the_first_effect_says_that_a_note_will_be_written() -> None:
    """In step mode nothing is done unasked: not the note either."""
    run = Run(Node())
    fresh = await run.begin()
    assert "the description of pve3 says that it is in maintenance" in announced(fresh.m)
    record = await Run(Node()).begin(OWNED)
    assert announced(record.m) == ""
    await run.minds(fresh)
    assert run.node.writes == 0, "no note goes before the first effect that was said yes to"
