"""Whatever is changed in a journal after it was written is found; what was erased with a word of its own is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from noout.domain.heads import Head, head_error, read_heads, write_heads
from noout.domain.journal import ERASED, GENESIS, Event, chain_error, digest, reading

T0 = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
STREAM = "ams1-pve3-1"
Told = list[tuple[str, dict[str, Any], str]]

leaves = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=4)
documents = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
told = st.lists(
    st.tuples(
        st.sampled_from(["fact", "waiting"]),
        st.dictionaries(st.text(max_size=3), documents, max_size=3),
        st.sampled_from(["noout", "operator:anna"]),
    ),
    min_size=1,
    max_size=6,
)


def chain(lines: Told, previous: str = GENESIS, seq: int = 0, stream: str = STREAM) -> list[Event]:
    events = []
    for kind, data, actor in lines:
        seq += 1
        at = T0 + timedelta(seconds=seq)
        previous = digest(previous, stream, seq, at, kind, data, actor)
        events.append(Event(stream, seq, at, kind, data, actor, previous))
    return events


CHANGES: dict[str, Any] = {
    "stream": lambda draw, event: replace(event, stream=event.stream + draw(st.sampled_from(["x", " ", "-2"]))),
    "seq": lambda draw, event: replace(event, seq=event.seq + draw(st.integers(-3, 3).filter(bool))),
    "at": lambda draw, event: replace(event, at=event.at + timedelta(microseconds=draw(st.integers(1, 10**9)))),
    "kind": lambda draw, event: replace(event, kind=draw(st.text(max_size=8))),
    "data": lambda draw, event: replace(event, data=draw(st.dictionaries(st.text(max_size=3), documents, max_size=3))),
    "actor": lambda draw, event: replace(event, actor=draw(st.text(max_size=8))),
    "digest": lambda draw, event: replace(event, digest=draw(st.text("0123456789abcdef", min_size=64, max_size=64))),
}


@pytest.mark.parametrize("what", CHANGES)
@settings(max_examples=10, deadline=None)
@given(lines=told, data=st.data())
def test_a_changed_field_is_found(what: str, lines: Told, data: st.DataObject) -> None:
    events = chain(lines)
    number = data.draw(st.integers(0, len(events) - 1))
    changed = CHANGES[what](data.draw, events[number])
    # -0.0 is 0.0, 1 is True: what is written down as JSON decides.
    assume(reading(changed) != reading(events[number]) or changed.digest != events[number].digest)
    assert chain_error(events) is None
    assert chain_error([*events[:number], changed, *events[number + 1 :]]) is not None


@settings(max_examples=20, deadline=None)
@given(lines=told, data=st.data())
def test_a_changed_byte_of_the_text_is_found(lines: Told, data: st.DataObject) -> None:
    """One character of what an event says, anywhere in it."""
    events = chain([*lines, ("message", {"note": "fan 3B", "list": [1, {"deep": "abc"}]}, "technician:ruben")])
    text = data.draw(st.sampled_from(["fan 3B", "abc"]))
    place = data.draw(st.integers(0, len(text) - 1))
    other = text[:place] + data.draw(st.characters(exclude_characters=text[place])) + text[place + 1 :]
    said = (
        {"note": other, "list": [1, {"deep": "abc"}]}
        if text == "fan 3B"
        else {"note": "fan 3B", "list": [1, {"deep": other}]}
    )
    assert chain_error([*events[:-1], replace(events[-1], data=said)]) == (
        f"{STREAM}: event {len(events)} (message) was changed after it was written"
    )


@settings(max_examples=20, deadline=None)
@given(lines=told.filter(lambda each: len(each) > 1), data=st.data())
def test_a_removed_moved_or_inserted_event_is_found(lines: Told, data: st.DataObject) -> None:
    events = chain(lines)
    number = data.draw(st.integers(0, len(events) - 2))
    assert chain_error([*events[:number], *events[number + 1 :]]) is not None, "removed"
    swapped = list(events)
    swapped[number], swapped[number + 1] = swapped[number + 1], swapped[number]
    assert chain_error(swapped) is not None, "in another order"
    assert chain_error([*events[: number + 1], events[number], *events[number + 1 :]]) is not None, "twice"
    stranger = chain([("fact", {"made": "up"}, "noout")], events[number].digest, number + 1)
    later = [replace(each, seq=each.seq + 1) for each in events[number + 1 :]]
    assert chain_error([*events[: number + 1], *stranger, *later]) is not None, "inserted"


@settings(max_examples=20, deadline=None)
@given(lines=told, data=st.data())
def test_what_a_chain_alone_cannot_tell_published_heads_do(lines: Told, data: st.DataObject) -> None:
    """Cut short, or written anew from some event on: whole in itself, and not what was published."""
    events = chain(lines)
    head = Head(STREAM, len(events), events[-1].digest, T0)
    assert head_error(head, [*events, *chain(lines, events[-1].digest, len(events))]) is None, "it may grow"
    number = data.draw(st.integers(0, len(events) - 1))
    cut = events[:number]
    assert (chain_error(cut) is None and "cut short" in (head_error(head, cut) or "")) or not cut
    kind, said, actor = lines[number]
    anew = chain([*lines[:number], (kind, {**said, "made up": 1}, actor), *lines[number + 1 :]])
    assert chain_error(anew) is None and "written anew" in (head_error(head, anew) or "")
    assert "is gone" in (head_error(head, []) or "")


def test_heads_are_read_as_they_were_written_among_what_others_wrote() -> None:
    heads = [Head(STREAM, 203, "4f" * 32, T0), Head("standstill", 2, "9c" * 32, T0)]
    more = [Head(STREAM, 210, "5a" * 32, T0 + timedelta(days=1))]
    mail = f"Subject: heads\r\n\r\n{write_heads(heads, T0)}--\n{write_heads(more, T0 + timedelta(days=1))}"
    assert read_heads(mail) == [*heads, *more]
    assert write_heads(more, T0).splitlines()[-1] == "# end of 1 head"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: "", "there are no heads"),
        (lambda text: text.replace("# noout", "# no"), "there are no heads"),
        (lambda text: text[: text.index("standstill")], "breaks off"),
        (lambda text: text.replace("standstill 2", "standstill two"), "line 3 is no head"),
        (lambda text: "\n".join(line for line in text.splitlines() if "standstill" not in line), "1 heads stand there"),
        (lambda text: text.replace("# end of 2 heads\n", "") * 2, "have no end"),
    ],
)
def test_a_part_of_the_heads_is_refused(damage: Any, said: str) -> None:
    whole = write_heads([Head(STREAM, 203, "4f" * 32, T0), Head("standstill", 2, "9c" * 32, T0)], T0)
    with pytest.raises(ValueError, match=said):
        read_heads(damage(whole))


def erased(events: list[Event], number: int, **changes: Any) -> list[Event]:
    """As after an erasure: one event reads differently, and the last one says so."""
    less = replace(events[number], **changes)
    says = chain([(ERASED, {"reads": {str(less.seq): reading(less)}}, "operator:anna")], events[-1].digest, len(events))
    return [*events[:number], less, *events[number + 1 :], *says]


def test_what_was_erased_leaves_the_chain_whole_and_nothing_else_may_change() -> None:
    events = chain([("message", {"note": "call Ruben"}, "technician:ruben"), ("fact", {}, "noout")])
    after = erased(events, 0, data={"note": "call (erased)"})
    assert chain_error(after) is None
    assert chain_error(after[:-1]) is not None, "nobody says that it was erased"
    assert chain_error([replace(after[0], data={"note": "call Anna"}), *after[1:]]) is not None
    assert chain_error([after[0], replace(after[1], data={"x": 1}), after[2]]) is not None
    again = erased(after, 0, data={"note": "(erased)"})
    assert chain_error(again) is None
    assert chain_error([after[0], *again[1:]]) is not None, "how it read between the two does not count any more"


def test_an_erasure_speaks_of_what_was_before_it_only() -> None:
    events = chain([("fact", {"n": 1}, "noout")])
    early = chain([(ERASED, {"reads": {"2": "0" * 64, "x": "y"}}, "operator:anna"), ("fact", {"n": 2}, "noout")])
    assert chain_error(early) is None
    assert chain_error([early[0], replace(early[1], data={"n": 3})]) is not None
    other = replace(early[1], data={"n": 3})
    foretold = chain([(ERASED, {"reads": {"2": reading(other)}}, "operator:anna"), ("fact", {"n": 2}, "noout")])
    assert chain_error([foretold[0], replace(foretold[1], data={"n": 3})]) is not None
    assert chain_error(events) is None
