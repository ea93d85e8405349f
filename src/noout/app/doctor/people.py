"""Customers and probes: whose is each guest, and would anybody see an interruption?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from noout.app.doctor.diagnosis import Finding, Looked, finding
from noout.app.doctor.picture import ClusterPicture, Picture
from noout.app.privileges import AGENT, missing
from noout.app.witnessing import services_of
from noout.domain.cluster import Guest, GuestId
from noout.domain.reasons import Caution

FEW = 6


def check(cluster: ClusterPicture, picture: Picture) -> Iterator[Finding]:
    unprobed = []
    for guest in _theirs(cluster):
        claims = [customer.key for customer in picture.customers if customer.owns(guest)]
        if len(claims) > 1:
            said = (
                f"{guest.id.vmid} {guest.name} belongs to several customers ({', '.join(claims)}): none is told of it"
            )
            remedy = "let one of their pools or tags in [customers] claim it"
            yield finding(cluster.name, Caution("customers.claimed-twice", str(guest.id), said, remedy))
        elif claims and guest.running and not _probed(guest, picture):
            unprobed.append(guest)
    if unprobed:
        named = ", ".join(f"{guest.id.vmid} {guest.name}" for guest in unprobed[:FEW])
        more = f" and {len(unprobed) - FEW} more" if len(unprobed) > FEW else ""
        said = f'nobody would see an interruption of {named}{more}: their reports would say "not measured"'
        remedy = f'[probes.services] "{unprobed[0].id}" = "tcp:ADDRESS:PORT"'
        yield finding(
            cluster.name, Caution("probes.missing", cluster.name, said, remedy, {"guests": str(len(unprobed))})
        )
    yield from _without_address(cluster)


def _without_address(cluster: ClusterPicture) -> Iterator[Finding]:
    """Guests to be asked at an address of their own, which nobody knows. One privilege may be all that is missing."""
    names = {guest.id: guest.name for guest in cluster.state.guests} if cluster.state else {}
    alike: dict[str, list[GuestId]] = defaultdict(list)
    for guest, why in sorted(cluster.unmeasured.items()):
        alike[why].append(guest)
    lacking = [*missing(cluster.granted, AGENT)]
    for why, guests in alike.items():
        named = ", ".join(f"{guest.vmid} {names.get(guest, '')}".rstrip() for guest in guests[:FEW])
        more = f" and {len(guests) - FEW} more" if len(guests) > FEW else ""
        said = f"probed, and yet not measured: {named}{more}: {why}"
        remedy = "name the address in its probe, or see to its guest agent"
        if lacking and lacking[0][0] in why:
            remedy = f'pveum role modify noout --append 1 --privs "{lacking[0][0]}", or name the address in its probe'
        evidence = {"guests": str(len(guests))}
        yield finding(cluster.name, Caution("probes.no-address", cluster.name, said, remedy, evidence))


def _theirs(cluster: ClusterPicture) -> list[Guest]:
    return [guest for guest in cluster.state.guests if not guest.template] if cluster.state else []


def _probed(guest: Guest, picture: Picture) -> bool:
    return bool(services_of([guest], picture.probes))


def looked(cluster: ClusterPicture, picture: Picture) -> Iterator[Looked]:
    """Guests of nobody are common (the provider's own); how many there are is told, not held against anybody."""
    guests = _theirs(cluster)
    owned = sum(any(customer.owns(guest) for customer in picture.customers) for guest in guests)
    probed = sum(_probed(guest, picture) for guest in guests)
    said = f"{owned} guests of {len(picture.customers)} customers, {len(guests) - owned} of nobody; {probed} are probed"
    yield Looked(cluster.name, said)
