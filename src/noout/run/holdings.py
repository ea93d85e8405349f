"""The journal read for one question: what did this maintenance take, and what has it not given back?

More than the run's own state keeps: what was only asked for counts from its intent on, which is written before, and
what was taken for failed stays in doubt after the maintenance is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from noout.codec import decode
from noout.domain.cluster import NodeId
from noout.domain.journal import Event, Kind
from noout.domain.maintenance import Action
from noout.domain.ownership import Hold, Holding
from noout.steps.effects import EFFECTS

NOTE = "note"  # our lines in the description of the node
Place = tuple[str, str]  # kind, subject


@dataclass(slots=True)
class Holdings:
    """Of one maintenance's stream; ``feed`` it every event, in order. Unknown kinds change nothing."""

    maintenance: str = ""
    node: NodeId | None = None
    by: str = ""
    seq: int = 0
    live: bool = False
    found: dict[Place, Holding] = field(default_factory=dict)
    _asked: dict[str, Action] = field(default_factory=dict)  # by key, while it is pending

    @property
    def all(self) -> tuple[Holding, ...]:
        return tuple(self.found.values())

    def feed(self, events: Iterable[Event]) -> None:
        for event in events:
            self._feed(event)
            self.seq = event.seq

    def _feed(self, event: Event) -> None:
        data = event.data
        match event.kind:
            case Kind.OPENED | Kind.REOPENED:
                self.maintenance, self.by, self.live = event.stream, event.actor, True
                self.node = NodeId.parse(data["node"])
            case Kind.CLOSED:
                self.live = False
            case Kind.INTENT:
                self._intended(decode(Action, data["action"]), event)
            case Kind.FAILED:
                self._failed(data["key"], bool(data.get("may_come")), event)
            case Kind.DONE:
                self._asked.pop(data["key"], None)
            case Kind.OWNED:
                self._set((data["kind"], data["subject"]), Hold.HELD, event)
            case Kind.RELEASED:
                self._set((data["kind"], data["subject"]), Hold.RELEASED, event)
            case Kind.OBSERVED if "guest" in data and not data.get("to"):  # removed: nobody can start it again
                if ("guest-down", data["guest"]) in self.found:
                    self._set(("guest-down", data["guest"]), Hold.RELEASED, event)
            case Kind.FACT if data["name"] == NOTE:
                self._set((NOTE, str(self.node)), Hold.HELD if data.get("value") else Hold.RELEASED, event)

    def _intended(self, action: Action, event: Event) -> None:
        effect = EFFECTS.get(action.verb)
        if effect is None:
            return
        self._asked[action.key] = action
        if effect.takes:
            place = (effect.takes, action.subject)
            known = self.found.get(place)
            if known is None or known.hold is not Hold.HELD:
                self._set(place, Hold.ASKED, event, action.command)
        if effect.releases and (known := self.found.get((effect.releases, action.subject))) is not None:
            self.found[effect.releases, action.subject] = replace(known, releasing=True)

    def _failed(self, key: str, may_come: bool, event: Event) -> None:
        action = self._asked.pop(key, None)
        effect = EFFECTS.get(action.verb) if action is not None else None
        if action is None or effect is None:
            return
        known = self.found.get((effect.takes, action.subject))
        if known is not None and known.hold is Hold.ASKED:
            self._set((effect.takes, action.subject), Hold.DOUBTED if may_come else Hold.RELEASED, event)
        known = self.found.get((effect.releases, action.subject))
        if known is not None:
            self.found[effect.releases, action.subject] = replace(known, releasing=False)

    def _set(self, place: Place, hold: Hold, event: Event, command: str = "") -> None:
        assert self.node is not None
        known = self.found.get(place)
        if known is not None and known.hold is hold:
            return
        kind, subject = place
        said = command or (known.command if known else "")
        self.found[place] = Holding(
            self.node.cluster, kind, subject, self.maintenance, self.node, self.by, event.at, hold, said
        )
