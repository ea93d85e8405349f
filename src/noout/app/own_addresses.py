"""Guests whose probe names no host and whose configuration states no address are asked for theirs, when a plan is
made: by their agent, or, of a container, by its node. A migration changes none; the next maintenance asks anew."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from noout.app.compose import Installation
from noout.app.witnessing import services_of
from noout.domain.cluster import ClusterState, Guest, GuestId
from noout.domain.customers import Customer, owner
from noout.domain.errors import Forbidden, NooutError
from noout.domain.maintenance import Json
from noout.domain.probes import parse, usable
from noout.ports import Hypervisor
from noout.settings_probes import DIRECT, ProbeSettings
from noout.witness.claims import believed, known_addresses

AT_ONCE = 2  # an agent that does not answer holds one of its node's few workers for three seconds
PATIENCE_S = 20.0  # for all of them: a maintenance begins also where many agents are mute


@dataclass(frozen=True, slots=True)
class Addressed:
    """``guests``: as given, with the addresses that they tell. ``asked``: where they are asked by their own word;
    ``unmeasured``: those that are not measured for want of an address, and why."""

    guests: tuple[Guest, ...]
    asked: dict[GuestId, str] = field(default_factory=dict)
    unmeasured: dict[GuestId, str] = field(default_factory=dict)

    @property
    def fact(self) -> Json:
        """For the journal; None where nobody had to be asked."""
        if not (self.asked or self.unmeasured):
            return None
        names = {guest.id: guest.name for guest in self.guests}
        asked = {str(guest): {"name": names[guest], "address": address} for guest, address in self.asked.items()}
        unmeasured = {str(guest): {"name": names[guest], "why": why} for guest, why in self.unmeasured.items()}
        return {"asked": asked, "unmeasured": unmeasured}


async def with_own_addresses(found: Installation, state: ClusterState, guests: Sequence[Guest]) -> Addressed:
    """Asks those alone that are probed and have no address yet. Never raises for a guest that does not tell."""
    probes = found.settings.probes
    lacking = [guest for guest in guests if lacks_address(guest, probes)]
    if not probes.networks:
        why = "its address is not known: name it in its probe, or say in [probes] networks where it may be asked"
        return Addressed(tuple(guests), unmeasured={guest.id: why for guest in lacking})
    told, mute = await _ask(found.hypervisors[state.name], lacking)
    foreign = {guest.id: _foreign(guest, found.customers) for guest in lacking}
    trusted = believed(told, probes.networks, known_addresses(state, guests), foreign)
    added = tuple(
        replace(guest, addresses=(*guest.addresses, *trusted.addresses.get(guest.id, ()))) for guest in guests
    )
    asked = {guest: addresses[0] for guest, addresses in trusted.addresses.items()}
    return Addressed(added, asked, {**mute, **trusted.refused})


def _foreign(guest: Guest, customers: Sequence[Customer]) -> tuple[str, ...]:
    mine = owner(customers, guest)
    return tuple(network for each in customers if each != mine for network in each.networks)


def lacks_address(guest: Guest, probes: ProbeSettings) -> bool:
    """It is to be asked at an address of its own, and none is known. Another prober has ways of its own."""
    if probes.via != DIRECT:
        return False
    hosts = [parse(service.probe).host for service in services_of([guest], probes)]
    return "" in hosts and not usable(guest.addresses, probes.networks)


async def _ask(
    hypervisor: Hypervisor, guests: Sequence[Guest]
) -> tuple[dict[GuestId, Sequence[str]], dict[GuestId, str]]:
    """What each tells; why nothing of the others."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def of(guest: Guest) -> Sequence[str]:
        async with gate:
            return await hypervisor.own_addresses(guest)

    mute = {guest.id: "it does not run, and tells no address" for guest in guests if not guest.running}
    tasks = {guest.id: asyncio.create_task(of(guest)) for guest in guests if guest.running}
    try:
        if tasks:
            await asyncio.wait(tasks.values(), timeout=PATIENCE_S)
        late = {guest for guest, task in tasks.items() if not task.done()}
    finally:
        for task in tasks.values():
            task.cancel()
    told: dict[GuestId, Sequence[str]] = {}
    for guest, task in tasks.items():
        try:
            if guest in late:
                mute[guest] = f"it did not tell its address within {PATIENCE_S:g} s"
            else:
                told[guest] = task.result()
        except Forbidden as error:
            mute[guest] = f"its address is not known: noout's token lacks {error.privilege.split('|')[0]}"
        except NooutError as error:
            mute[guest] = f"its address is not known: {error.message}"
    return told, mute
