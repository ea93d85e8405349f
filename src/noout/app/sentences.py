"""The journal as a person reads it: one sentence per event, or none for what only machines need."""

from __future__ import annotations

from noout.domain.journal import Event, Kind
from noout.domain.maintenance import Json
from noout.steps.neighbours import WRONG_SERVER

STEPS = {
    "evacuate": "evacuate: every guest leaves",
    "dispatch": "dispatch: the LED is on, the work order waits for the technician",
    "hold-data": "hold data: Ceph is told that this is planned",
    "repair": "repair: the node goes down for the technician",
    "reintegrate": "reintegrate: tested, then trusted again",
    "return": "return: every guest comes home",
}


def sentence(event: Event) -> str | None:
    """What the event says, without its time."""
    data = event.data
    match event.kind:
        case Kind.OPENED:
            return f"opened: {data.get('reason', '')}"
        case Kind.PLANNED:
            plan = data["plan"]
            return f"plan: {len(plan['moves'])} guests move, {len(plan['returns'])} come back"
        case Kind.APPROVED:
            return f"approved by {data.get('by', event.actor)}"
        case Kind.STEP_ENTERED:
            return f"■ {STEPS.get(str(data['step']), str(data['step']))}"
        case Kind.INTENT:
            return str(data["action"]["says"])
        case Kind.FAILED:
            return f"failed: {data.get('why', '')}"
        case Kind.MOVED:
            return _moved(event)
        case Kind.OBSERVED:
            return f"seen: {data.get('what', data.get('text', ''))}"
        case Kind.BLOCKED:
            blockers = data.get("blockers", [])
            return (
                "; ".join(f"blocked: {each['message']} → {each['remedy']}" for each in blockers) or "no longer blocked"
            )
        case Kind.WAITING:
            return _waiting(event)
        case Kind.MESSAGE:
            return _message(event)
        case Kind.WORK_ORDER:
            return f"work order {data['work_order']['number']} issued"
        case Kind.FACT if data.get("name") == "second-fault":
            return f"SECOND FAULT: {data.get('value')}: close up now"
        case Kind.FACT if data.get("name") == WRONG_SERVER:
            return _wrong_server(data.get("value") or [])
        case Kind.FACT if data.get("name") == "backing-off":
            return _backing_off(data.get("value"))
        case Kind.FACT if data.get("name") == "own-addresses":
            return _own_addresses(data["value"])
        case Kind.CLOSED:
            return f"closed: {data.get('outcome', '')}{_left_away(data.get('leftovers') or [])}"
        case Kind.PROBATION_FAILED:
            return f"not cured: {data.get('why', '')} → noout maintain takes it up again"
        case Kind.PROBATION_PASSED:
            return "repaired: the fault stayed away through the probation"
        case Kind.REOPENED:
            return f"taken up again: {data.get('reason', '')}"
        case _:
            return None


ANSWERS = {"approval": "noout approve", "confirmation": "noout approve", "operator": "noout resume"}


def _waiting(event: Event) -> str | None:
    """Only what somebody can end; with the command that does, where it is one."""
    needs = event.data.get("needs")
    if not needs:
        return None
    answer = f" → {ANSWERS[needs]} {event.stream}" if needs in ANSWERS else ""
    return f"waits: {event.data['why']}{answer}"


def _wrong_server(away: list[str]) -> str:
    if not away:
        return "every other server stands again, or is known to be away: no wrong-server alarm"
    return f"WRONG SERVER? {', '.join(away)} went away while the technician is at work: they are told not to touch"


def _backing_off(value: Json) -> str:
    if not isinstance(value, dict):
        return "Ceph serves its clients in time again: guests are moved on"
    return f"Ceph is slow ({', '.join(value['checks'])}): no further guest is moved until it is not, or for a while"


def _own_addresses(value: Json) -> str:
    """Where guests are asked by their own word, and who is not measured for want of an address."""
    asked = [f"{each['name']} ({guest}) at {each['address']}" for guest, each in sorted(value["asked"].items())]
    said = [f"probed at the address that it tells itself: {', '.join(asked)}"] if asked else []
    for guest, each in sorted(value["unmeasured"].items()):
        said.append(f"not measured: {each['name']} ({guest}): {each['why']}")
    return "; ".join(said)


def _moved(event: Event) -> str:
    moved = event.data["moved"]
    source = moved["source"]["name"]
    stayed = f"runs on {source} again" if moved["homeward"] else f"shut down on {source}"
    where = f"{source} → {moved['target']['name']}" if moved["target"] else stayed
    blackout = f", QEMU's own pause {moved['blackout_ms']} ms" if moved["blackout_ms"] is not None else ""
    return f"{moved['name']}: {where}{blackout}"


def _message(event: Event) -> str | None:
    data = event.data
    said = data.get("data", {})
    refused = f" (refused: {data['refused']})" if data.get("refused") else ""
    match data.get("kind"):
        case "finding":
            note = f" ({said['note']})" if said.get("note") else ""
            part = f", part {said['part']}" if said.get("part") else ""
            return f"{event.actor}: {said['check']} {said['answer']}{note}{part}{refused}"
        case "photo":
            return f"{event.actor}: a photo of {said.get('check')}{refused}"
        case kind:
            return f"{event.actor}: {kind}{refused}"


def _left_away(leftovers: list[Json]) -> str:
    """Each guest that is not home, with the reason; of those that were to stay, how many."""
    planned = sum(bool(each["planned"]) for each in leftovers)
    said = f"; {planned} guest{'s stay' if planned != 1 else ' stays'} where the plan put them" if planned else ""
    for each in leftovers:
        if not each["planned"]:
            said += f"; {each['name']} ({each['guest']}) stays on {each['node']}: {each['why']} → {each['next']}"
    return said
