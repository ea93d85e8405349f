"""The prober of instants against the lab's control API, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from noout.adapters.http import Server
from noout.adapters.probe import InstantProber
from noout.domain.cluster import GuestId
from noout.domain.errors import Broken, Retryable
from noout.domain.impact import Sample, Service
from noout.lab.wire.control import control_app
from tests.support.labsite import LabSite, lab_site
from tests.support.virtual import run_virtual

WEB, DNS = Service(GuestId("ams1", 104), "search", "tcp:443"), Service(GuestId("ams1", 200), "dns", "udp:53")


def virtual(test: Callable[[LabSite, InstantProber], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        async def main() -> None:
            site = lab_site()
            site.network.apps[("127.0.0.1", 8306)] = control_app(site.laws, 1.0)
            server = Server("http://127.0.0.1:8306/lab/v1", transport=site.network)
            await test(site, InstantProber(server, site.clock))

        run_virtual(main(), limit_s=3600)

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@virtual
async def test_one_answer_for_each_instant(site: LabSite, prober: InstantProber) -> None:
    since = site.clock.now()
    until = since + timedelta(seconds=10)
    samples = await prober.collect([WEB, DNS], since, until, 0.5)
    assert site.clock.now() == until
    assert [s.at for s in samples if s.guest == WEB.guest] == [since + timedelta(seconds=0.5 * i) for i in range(1, 21)]
    assert len(samples) == 40
    assert all(sample.ok for sample in samples)


@virtual
async def test_a_relocation_is_seen_as_it_was(site: LabSite, prober: InstantProber) -> None:
    state = await site.hypervisor.observe()
    container = next(guest for guest in state.guests if guest.id == DNS.guest)
    since = site.clock.now()
    await site.hypervisor.migrate(container, site.node("pve1"), online=True)
    samples: list[Sample] = []
    for slice_ in range(6):
        begin = since + timedelta(seconds=20 * slice_)
        samples += await prober.collect([DNS, WEB], begin, begin + timedelta(seconds=20), 0.2)
    dark = [sample.at for sample in samples if sample.guest == DNS.guest and not sample.ok]
    assert dark
    spells = site.cluster.guests[200].dark
    for at in dark:
        assert any(s.since <= at.timestamp() and (s.until is None or at.timestamp() < s.until) for s in spells)
    assert all(sample.ok for sample in samples if sample.guest == WEB.guest)
    assert len({(sample.guest, sample.at) for sample in samples}) == len(samples) == 2 * 600


@virtual
async def test_an_instant_without_an_answer_gives_no_sample(site: LabSite, prober: InstantProber) -> None:
    """A prober whose clock is behind says null for what it has not reached."""
    since = site.clock.now()

    async def behind(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, json={"answers": {"104": [True, None, False]}})

    late = InstantProber(Server("http://late", transport=httpx2.MockTransport(behind)), site.clock)
    samples = await late.collect([WEB], since, since + timedelta(seconds=3), 1.0)
    assert [(sample.at - since, sample.ok) for sample in samples] == [
        (timedelta(seconds=1), True),
        (timedelta(seconds=3), False),
    ]


@virtual
async def test_an_unknown_guest_and_a_dead_prober_are_told(site: LabSite, prober: InstantProber) -> None:
    since = site.clock.now()
    stranger = Service(GuestId("ams1", 999), "stranger", "tcp:443")
    with pytest.raises(Broken, match="999"):
        await prober.collect([stranger], since, since + timedelta(seconds=1), 1.0)
    site.network.unplugged.add(("127.0.0.1", 8306))
    with pytest.raises(Retryable, match="does not answer"):
        await prober.collect([WEB], since, since + timedelta(seconds=1), 1.0)


@virtual
async def test_many_instants_go_in_parts(site: LabSite, prober: InstantProber) -> None:
    everybody = [Service(GuestId("ams1", vmid), str(vmid), "tcp:443") for vmid in sorted(site.cluster.guests)]
    since = site.clock.now()
    samples = await prober.collect(everybody, since, since + timedelta(seconds=300), 0.2)
    assert len(samples) == 1500 * len(everybody)
    assert sum("/probe" in url for _, url in site.network.requests) == 2
