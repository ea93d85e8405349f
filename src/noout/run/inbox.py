"""Messages that people left, taken into the journal: each once, in order, with the reason where one is refused."""

from __future__ import annotations

import re

from noout.domain.journal import EXTEND_H_MAX, Kind, Message, MessageKind
from noout.domain.maintenance import Maintenance
from noout.domain.workorder import Answer
from noout.run.record import Record
from noout.steps.actions import shutdown_node
from noout.steps.checks import same_serial

NOT_FOR_THE_RUN = frozenset({
    MessageKind.LINK, MessageKind.LINK_OPENED, MessageKind.LINK_REVOKED, MessageKind.TURNED_DOWN,
})  # fmt: skip
FOR_THE_RUN = frozenset(MessageKind) - NOT_FOR_THE_RUN


async def take_messages(record: Record) -> None:
    """Append every message not seen yet. A refused one is journalled too: who was told no, and why."""
    for message in await record.journal.messages(record.m.id):
        if message.kind not in FOR_THE_RUN or message.key in record.m.messages_seen:
            continue
        data = {
            "key": message.key,
            "kind": str(message.kind),
            "at": message.at.isoformat(),
            "data": dict(message.data),
        }
        if why := refusal(record.m, message):
            data["refused"] = why
        await record.write(Kind.MESSAGE, data, message.actor)


def refusal(m: Maintenance, message: Message) -> str:
    """Why this message is not accepted now; "" when it is."""
    match message.kind:
        case MessageKind.APPROVE if m.plan is None:  # its opening was cut short: nobody has seen a plan
            return "there is no plan to approve: abort it and open it anew"
        case MessageKind.APPROVE if m.four_eyes and message.actor == m.opened_by:
            return f"{message.actor} has opened it: by the four-eyes rule somebody else approves it"
        case MessageKind.HANDS_ON:
            return _no_hands_on(m, str(message.data.get("serial") or ""))
        case MessageKind.FINDING:
            return _no_finding(m, message)
        case MessageKind.PHOTO:
            return _no_photo(m, message)
        case MessageKind.SERIAL_AGAIN:
            return _not_this_serial(m, str(message.data.get("serial") or ""))
        case MessageKind.SIGN_OFF:
            return _no_sign_off(m)
        case MessageKind.CLOSE_UP | MessageKind.EXTEND | MessageKind.LET_HEAL:
            return _no_word_on_the_hold(m, message)
        case MessageKind.FORCE_OFF:
            return _no_force_off(m)
        case MessageKind.CONFIRM if not isinstance(message.data.get("action"), str):
            return "it does not say which action is confirmed"
        case MessageKind.RESUME if message.data.get("accept_differences") and not _differences(m):
            return "the acceptance has named no difference that could be accepted"
        case MessageKind.ABORT if m.aborting:
            return "it is being aborted already"
    return ""


def _differences(m: Maintenance) -> list[str]:
    return list((m.facts.get("acceptance") or {}).get("differences") or ())


def _no_hands_on(m: Maintenance, serial: str) -> str:
    if m.work_order is None or m.aborting:
        return "there is no work order: the node is not ready for hands"
    if m.hands_on_by is not None:
        return f"{m.hands_on_by} is at the node already"
    return _not_this_serial(m, serial)


def _not_this_serial(m: Maintenance, serial: str) -> str:
    wanted = m.work_order.location.serial if m.work_order else ""
    if wanted and not same_serial(wanted, serial):
        return f"the serial does not match the work order: read {serial or 'nothing'}; this is another machine"
    return ""


def _no_finding(m: Maintenance, message: Message) -> str:
    if why := _not_on_the_list(m, message):
        return why
    return "" if message.data.get("answer") in set(Answer) else f"{message.data.get('answer')!r} is no answer"


def _no_photo(m: Maintenance, message: Message) -> str:
    if why := _not_on_the_list(m, message):
        return why
    return "" if re.fullmatch(r"[0-9a-f]{64}", str(message.data.get("photo"))) else "it does not say which photo"


def _not_on_the_list(m: Maintenance, message: Message) -> str:
    if m.work_order is None or m.node_off_at is None:
        return "the checklist opens when the node is off and its data held"
    if m.signed_off_by is not None:
        return "it was signed off already"
    if message.data.get("check") not in {check.key for check in m.work_order.checks}:
        return f"{message.data.get('check')!r} is not on this checklist"
    return ""


def _no_force_off(m: Maintenance) -> str:
    """Only after a shutdown was asked for and seen to fail; what the node and its data are then is looked at later."""
    if m.step != "repair" or m.node_off_at is not None or m.aborting:
        return f"{m.node.name} is not being shut down"
    if not m.failed.get(shutdown_node("repair", m.node).key):
        return f"{m.node.name} has not failed to shut down: it is given its time first"
    return ""


def _no_sign_off(m: Maintenance) -> str:
    if m.work_order is None or m.node_off_at is None:
        return "the node is not the technician's to give back"
    if m.signed_off_by is not None:
        return "it was signed off already"
    if m.aborting or m.closing_up:  # hands off is all that matters then
        return ""
    answered = {finding.check for finding in m.findings}
    left = [check.text for check in m.work_order.checks if check.required and check.key not in answered]
    return f"{len(left)} checks have no answer: {left[0]}" if left else ""


def _no_word_on_the_hold(m: Maintenance, message: Message) -> str:
    """Closing up, extending, letting heal: decisions for the time in which the node is away."""
    if m.aborting:
        return "it is being aborted: the node comes back in any case"
    if m.node_off_at is None or m.node_on_at is not None:
        return f"{m.node.name} is not away: there is nothing to decide about its data"
    if message.kind == MessageKind.EXTEND:
        hours = message.data.get("hours")
        if not isinstance(hours, int | float) or not 0 < hours <= EXTEND_H_MAX:
            return f"hours is {hours!r}: give more than 0 and at most {EXTEND_H_MAX:g}"
    if message.kind == MessageKind.LET_HEAL and not any(
        own.kind in ("noout", "cluster-noout", "osd-stopped") for own in m.owned
    ):
        return "this maintenance holds no data that could heal"
    return ""
