"""From samples to accounts: what is told is what was kept to all the time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from noout.app.telling import experiences_of
from noout.codec import encode
from noout.domain.cluster import NodeId
from noout.domain.impact import Sample
from noout.domain.maintenance import Maintenance, Mode
from tests.sim.play import installation, settings_of
from tests.support.labsite import lab_site
from tests.support.virtual import run_virtual


def test_the_interval_told_is_the_one_kept_to_all_the_time() -> None:
    """Asked every second, and five times a second while something moves: "every 0.2 s" would claim too much."""

    async def main() -> None:
        lab = lab_site()
        found, store = installation(lab, settings_of(lab, probes={"every_s": 1.0, "every_moving_s": 0.2}))
        guest = next(each for each in (await lab.hypervisor.observe()).guests if each.running)
        start = found.clock.now()
        opened = Maintenance("m1", NodeId("ams1", "pve3"), "fans", Mode.AUTO, start, "anna", 1)
        state = replace(opened, facts={"guests": [encode(guest)]}, closed_at=start + timedelta(seconds=10))
        beats = [*range(1, 6), *(5 + n / 5 for n in range(1, 6)), *range(7, 11)]
        samples = [Sample(guest.id, start + timedelta(seconds=beat), beat not in (5.4, 5.6)) for beat in beats]
        await store.add_samples("m1", samples)
        (account,) = await experiences_of(found, state)
        assert account.every_s == 1.0
        assert account.resolution_s == 1.0
        (gap,) = account.interruptions  # found all the same
        assert gap.missed == 2

    run_virtual(main(), limit_s=7200)
