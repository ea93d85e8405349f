"""The maintenances of one installation: open one, tell it something, carry it out, follow it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress

from noout.app.compose import Installation
from noout.app.fitness import require_fit
from noout.app.neighbours import Neighbours
from noout.app.news import OPENINGS
from noout.app.older import require_latest
from noout.app.own_addresses import with_own_addresses
from noout.app.sentences import sentence
from noout.app.technician import FieldWork
from noout.app.touch import Sight
from noout.codec import encode
from noout.domain.ceph import CephState
from noout.domain.cluster import NodeId
from noout.domain.errors import Broken, NooutError, Refused, Superseded, UsageError
from noout.domain.hardware import Fault, HardwareState
from noout.domain.journal import Kind, Message, MessageKind
from noout.domain.maintenance import Json, Maintenance, Mode, Plan
from noout.run.fold import fold, fold_one
from noout.run.inbox import refusal
from noout.run.touched import touched

CLAIM_S = 120.0
CLAIMS_SEEN = 20
FOLLOW_EVERY_S = 0.5  # wall seconds between two looks at the journal, for people who watch


class Maintenances:
    """Every maintenance in the installation's journal, open and closed."""

    def __init__(self, found: Installation) -> None:
        self.found = found
        self._neighbours = Neighbours(found)

    # --- looking -------------------------------------------------------------------------------------------

    async def all(self) -> list[Maintenance]:
        """Oldest first."""
        known = self.found.known
        states = [await known.find(stream) for stream in await self.found.journal.streams()]
        return sorted((state for state in states if state is not None), key=lambda m: m.opened_at)

    async def find(self, maintenance: str) -> Maintenance | None:
        return await self.found.known.find(maintenance)

    async def get(self, maintenance: str) -> Maintenance:
        """UsageError, naming the open ones, when there is none of that name."""
        found = await self.find(maintenance)
        if found is None:
            known = ", ".join(each.id for each in await self.all() if each.open) or "none open"
            raise UsageError(f"there is no maintenance {maintenance}", remedy=f"see `noout status` ({known})")
        return found

    async def running(self, node: NodeId, fsid: str = "") -> Maintenance | None:
        """The open maintenance of this node; Refused when another node of its cluster, or of its Ceph, is in one."""
        open_ones = [each for each in await self.all() if each.open]
        for each in open_ones:
            if each.node == node:
                return each
        for each in open_ones:
            if each.node.cluster == node.cluster or (fsid and each.fsid == fsid):
                shared = "cluster" if each.node.cluster == node.cluster else f"Ceph ({fsid})"
                raise Refused(
                    f"{each.node} is in maintenance ({each.id}): one at a time in a {shared}",
                    remedy=f"finish or abort it first: noout status {each.id}",
                )
        return None

    async def _claim(self, mid: str, node: NodeId, fsid: str, actor: str) -> None:
        """Say in one place, before it begins, that this maintenance is being opened: of two at once in a cluster, or
        in a Ceph, one is refused.

        Whoever reads an older claim sees either its maintenance, or that it is being opened at this moment; a claim
        whose opener died is passed over after CLAIM_S.
        """
        mine = {"maintenance": mid, "cluster": node.cluster, "fsid": fsid}
        while True:
            claims = await self.found.journal.read(OPENINGS)
            streams = set(await self.found.journal.streams())
            now = self.found.clock.now()
            for claim in claims[-CLAIMS_SEEN:]:
                other = claim.data["maintenance"]
                young = other not in streams and (now - claim.at).total_seconds() < CLAIM_S
                if young and _in_each_others_way(claim.data, mine):
                    raise Refused(f"another maintenance ({other}) is being opened", remedy="try again in two minutes")
            if await self.running(node, fsid) is not None:
                raise Refused(f"{node} is in maintenance already", remedy="noout status")
            with suppress(Superseded):  # another opening at this moment: perhaps in another cluster
                await self.found.journal.append(
                    OPENINGS, claims[-1].seq if claims else 0, "opening.claimed", mine, actor
                )
                return

    # --- opening and telling -------------------------------------------------------------------------------

    async def open(
        self,
        node: NodeId,
        *,
        reason: str,
        mode: Mode,
        actor: str,
        plan: Plan,
        fault: Fault | None = None,
        approved: bool = True,
        address: str = "",
    ) -> str:
        """Begin a maintenance of ``node``; its id. Its opener approves the plan by this, unless not ``approved`` (who
        may not say yes to plans) or under the four-eyes rule: then its run waits for somebody who does. ``address``:
        from where it is asked for, where that is known.

        Where the last one's repair was found wanting, that one is taken up again: same id, same journal.

        Raises Refused for a plan with blockers, when another maintenance runs in the cluster, or when noout may not
        act on this node (``require_fit``).
        """
        if not plan.feasible:
            first = plan.blockers[0]
            raise Refused(f"{node} cannot be evacuated: {first.message}", remedy=first.remedy)
        journal = self.found.journal
        state = await self.found.hypervisor(node).observe()
        fsid = await require_fit(self.found, state, node)
        await require_latest(self.found, state)
        guests = await with_own_addresses(self.found, state, touched(state, plan))
        again = await self._not_cured(node)
        taken = await journal.streams()
        number = 1 + sum(1 for stream in taken if stream.startswith(f"{node.cluster}-{node.name}-"))
        mid = again.id if again is not None else f"{node.cluster}-{node.name}-{number}"
        await self._claim(mid, node, fsid, actor)
        came = {"from": address} if address else {}
        opening: list[tuple[Kind, Mapping[str, Json]]] = [
            (
                Kind.REOPENED if again is not None else Kind.OPENED,
                {
                    "node": str(node),
                    "reason": reason or (fault.summary if fault else "planned work"),
                    "mode": mode.value,
                    "fsid": fsid,
                    **({"four_eyes": True} if self.found.settings.policy.four_eyes else {}),
                    "fault": encode(fault) if fault else None,
                    **came,
                },
            ),
            (Kind.FACT, {"name": "guests", "value": [encode(guest) for guest in guests.guests]}),
            (Kind.PLANNED, {"plan": encode(plan)}),
        ]
        if guests.fact is not None:
            opening.append((Kind.FACT, {"name": "own-addresses", "value": guests.fact}))
        if approved and not self.found.settings.policy.four_eyes:
            opening.append((Kind.APPROVED, {"by": actor, **came}))
        for seq, (kind, data) in enumerate(opening, start=again.seq if again is not None else 0):
            await journal.append(mid, seq, kind, data, actor)
        return mid

    async def _not_cured(self, node: NodeId) -> Maintenance | None:
        """The node's last maintenance where its probation failed: that one is taken up again, under its own name."""
        mine = [each for each in await self.all() if each.node == node]
        last = max(mine, key=lambda each: each.closed_at or each.opened_at, default=None)
        return last if last is not None and not last.open and last.probation_failed else None

    async def tell(
        self, maintenance: str, kind: MessageKind, actor: str, data: Mapping[str, Json], key: str = ""
    ) -> None:
        """Leave a message for the run; with a ``key``, what was left under it before counts. Refused when the
        maintenance is over."""
        state = await self.get(maintenance)
        if not state.open:
            raise Refused(f"{maintenance} is over ({state.outcome})", remedy="`noout status` shows what is open")
        message = Message(f"{actor}/{key or uuid.uuid4().hex}", kind, actor, self.found.clock.now(), data)
        if kind is MessageKind.APPROVE and (why := refusal(state, message)):  # the run would say no to it as well
            raise Refused(why, remedy=f"noout status {maintenance}")
        await self.post(maintenance, message)

    async def post(self, maintenance: str, message: Message) -> bool:
        """Leave a message; the run looks at its inbox when it wakes."""
        return await self.found.journal.post(maintenance, message)

    def field_work(self) -> FieldWork:
        """What technicians can do, over this installation."""
        return FieldWork(
            clock=self.found.clock,
            maintenance=self.find,
            messages=self.found.journal.messages,
            post=self.post,
            look=self.look,
            photos=self.found.photos,
            timezone=lambda cluster: self.found.settings.clusters[cluster].timezone,
        )

    async def look(self, state: Maintenance) -> Sight:
        """One fresh look at the node for the technician's verdict; what does not answer is left unknown."""
        found, node = self.found, state.node
        ceph = found.cephs.get(node.cluster)
        # As the run recorded it when it began: "" where Ceph keeps nothing on this node.
        host = str(state.facts.get("crush_host", found.crush_host(node)) or "")

        async def hardware() -> HardwareState | None:
            return await found.bmcs[node].observe(log=False) if node in found.bmcs else None

        async def held() -> CephState | None:
            try:
                return await ceph.observe() if ceph is not None else None
            except NooutError:
                return None

        # Side by side: the verdict is only as fresh as the older of the two.
        seen, data, away = await asyncio.gather(hardware(), held(), self._neighbours.gone(state))
        return Sight(seen, data, host, has_ceph=ceph is not None and host != "", gone=away)

    async def follow(self, maintenance: str, say: Callable[[str], None]) -> AsyncIterator[Maintenance]:
        """Yield its state again and again until it is over; every event is told to ``say`` once, as a sentence.

        A store that does not answer any more is said once, and waited for."""
        state: Maintenance | None = None
        away = False
        while True:
            try:
                events = await self.found.journal.read(maintenance, state.seq if state else 0)
            except Broken as error:
                if state is None:
                    raise
                if not away:
                    say(f"waits for the journal: {error}")
                away, events = True, ()
            else:
                away = False
            for event in events:
                state = fold((event,)) if state is None else fold_one(state, event)
                if (text := sentence(event)) is not None:
                    say(text)
            if state is None:
                raise UsageError(f"there is no maintenance {maintenance}", remedy="see `noout status`")
            yield state
            if not state.open:
                return
            await asyncio.sleep(FOLLOW_EVERY_S)


def _in_each_others_way(one: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
    """Two claims; an old one does not say where it is."""
    same_ceph = bool(other["fsid"]) and one.get("fsid") == other["fsid"]
    return one.get("cluster") in (None, other["cluster"]) or same_ceph
