"""The Redfish adapter against the lab's BMCs, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from noout.adapters.bmc import RedfishBmc
from noout.adapters.http import Server
from noout.domain.errors import Refused, Retryable
from noout.domain.hardware import Power, SensorKind
from tests.support.labsite import LabSite, lab_site
from tests.support.virtual import run_virtual


def virtual(test: Callable[[LabSite, RedfishBmc], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        async def main() -> None:
            site = lab_site()
            await test(site, site.bmcs[site.node("pve3")])

        run_virtual(main(), limit_s=7200)

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@virtual
async def test_an_observation_shows_the_board_as_it_is(site: LabSite, bmc: RedfishBmc) -> None:
    board = site.cluster.bmcs["pve3"]
    state = await bmc.observe()
    assert (state.reachable, state.power, state.led_on, state.trouble) == (True, Power.ON, False, "")
    assert (state.serial, state.model) == (board.serial, board.model)
    fans = {reading.sensor: reading for reading in state.readings if reading.kind is SensorKind.FAN}
    assert set(fans) == set(board.fans)
    assert all(fan.lower_critical == 1800 and fan.value and fan.health == "OK" for fan in fans.values())
    heat = {r.sensor for r in state.readings if r.kind is SensorKind.TEMPERATURE}
    assert heat == set(board.temperatures)
    assert state.redundancy == {"fans": "OK", "power-supplies": "OK"}
    assert state.inventory["dimms"] == "16"
    assert len(site.network.requests) <= 12, "BMCs are slow: few requests"


@virtual
async def test_a_second_look_is_cheaper(site: LabSite, bmc: RedfishBmc) -> None:
    await bmc.observe()
    before = len(site.network.requests)
    await bmc.observe(log=False)
    assert len(site.network.requests) - before <= 4


@virtual
async def test_a_stopped_fan_and_its_log_entry(site: LabSite, bmc: RedfishBmc) -> None:
    site.laws.bmc_record(site.cluster, "pve3", "Critical", "FAN3B: lower critical going low", "FAN3B")
    now = site.laws.now
    site.cluster.bmcs["pve3"].fans["FAN3B"].stops.append((now, now + 60))
    state = await bmc.observe()
    fan = next(reading for reading in state.readings if reading.sensor == "FAN3B")
    assert fan.value == 0
    assert fan.health == "Critical"
    assert state.redundancy["fans"] == "Degraded"
    assert state.log[-1].sensor == "FAN3B"
    assert state.log[-1].severity == "Critical"


@virtual
async def test_a_long_log_is_read_newest_first_and_bounded(site: LabSite, bmc: RedfishBmc) -> None:
    for number in range(500):
        site.laws.bmc_record(site.cluster, "pve3", "Warning", f"event {number}", "FAN1A")
        await site.clock.sleep(1)
    state = await bmc.observe()
    assert state.log[-1].message == "event 499"
    assert len(state.log) == 200
    assert [entry.at for entry in state.log] == sorted(entry.at for entry in state.log)


@virtual
async def test_a_node_that_is_off_still_has_a_bmc(site: LabSite, bmc: RedfishBmc) -> None:
    site.laws.bmc_reset(site.cluster, "pve3", "ForceOff")
    await site.clock.sleep(30)
    state = await bmc.observe()
    assert state.reachable
    assert state.power is Power.OFF
    fans = [reading for reading in state.readings if reading.kind is SensorKind.FAN]
    assert {fan.value for fan in fans} == {None}, "a fan without power has not stopped"
    assert all(fan.present for fan in fans)


@virtual
async def test_power_on_is_proved_by_looking(site: LabSite, bmc: RedfishBmc) -> None:
    site.laws.bmc_reset(site.cluster, "pve3", "ForceOff")
    await site.clock.sleep(30)
    await bmc.power_on()
    await site.clock.sleep(30)
    assert (await bmc.observe()).power is Power.ON
    posts = len([method for method, _ in site.network.requests if method == "POST"])
    await bmc.power_on()
    assert len([method for method, _ in site.network.requests if method == "POST"]) == posts, "it was on already"


@virtual
async def test_a_bmc_with_nothing_but_a_button(site: LabSite, bmc: RedfishBmc) -> None:
    site.cluster.bmcs["pve3"].reset_types = ["ForceOff", "PushPowerButton"]
    site.laws.bmc_reset(site.cluster, "pve3", "ForceOff")
    await site.clock.sleep(30)
    await bmc.power_on()
    await site.clock.sleep(30)
    assert (await bmc.observe()).power is Power.ON


@virtual
async def test_a_bmc_that_cannot_power_on_says_what_it_can(site: LabSite, bmc: RedfishBmc) -> None:
    site.laws.bmc_reset(site.cluster, "pve3", "ForceOff")
    site.cluster.bmcs["pve3"].reset_types = ["ForceOff", "Nmi"]
    await site.clock.sleep(30)
    with pytest.raises(Refused, match="Nmi"):
        await bmc.power_on()


@virtual
async def test_the_led_is_read_back(site: LabSite, bmc: RedfishBmc) -> None:
    await bmc.locate(True)
    assert site.cluster.bmcs["pve3"].led
    assert (await bmc.observe()).led_on
    await bmc.locate(True)
    await bmc.locate(False)
    assert not site.cluster.bmcs["pve3"].led
    assert [method for method, _ in site.network.requests].count("PATCH") == 2


@virtual
async def test_a_mute_bmc_is_unreachable_and_raises_nothing(site: LabSite, bmc: RedfishBmc) -> None:
    await bmc.observe()
    site.laws.fault(site.cluster, "bmc-mute", node="pve3")
    began = site.clock.now()
    state = await bmc.observe()
    assert not state.reachable
    assert state.power is Power.UNKNOWN
    assert state.readings == ()
    assert "does not answer" in state.trouble
    assert (site.clock.now() - began).total_seconds() <= 15
    site.laws.clear_fault(site.cluster, "bmc-mute", node="pve3")
    assert (await bmc.observe()).reachable


@virtual
async def test_pulled_cords_take_the_bmc_along(site: LabSite, bmc: RedfishBmc) -> None:
    site.cluster.bmcs["pve3"].cords_pulled = True
    assert not (await bmc.observe()).reachable
    with pytest.raises(Retryable):
        await bmc.locate(True)


@virtual
async def test_a_wrong_password_is_told_without_it(site: LabSite, bmc: RedfishBmc) -> None:
    server = Server("https://bmc-pve3.ams1", transport=site.network)
    state = await RedfishBmc(bmc.node, server, "ADMIN", "wrong-password", site.clock).observe()
    assert not state.reachable
    assert "password file" in state.trouble
    assert "wrong-password" not in state.trouble


@virtual
async def test_sessions(site: LabSite, bmc: RedfishBmc) -> None:
    """The password goes once; a session that ended is opened anew."""
    server = Server("https://bmc-pve3.ams1", transport=site.network)
    visitor = RedfishBmc(bmc.node, server, "ADMIN", "lab-bmc", site.clock, session=True)
    assert (await visitor.observe()).reachable
    logins = [url for method, url in site.network.requests if method == "POST"]
    assert len(logins) == 1
    visitor.client._token = "ended"
    assert (await visitor.observe()).reachable
    assert len([url for method, url in site.network.requests if method == "POST"]) == 2


@virtual
async def test_a_session_ends_when_noout_ends(site: LabSite, bmc: RedfishBmc) -> None:
    """A BMC has few sessions; those of programs that are gone would lock people out."""
    server = Server("https://bmc-pve3.ams1", transport=site.network)
    visitor = RedfishBmc(bmc.node, server, "ADMIN", "lab-bmc", site.clock, session=True)
    await visitor.observe()
    token = visitor.client._token
    await visitor.close()
    assert site.network.requests[-1][0] == "DELETE"
    other = RedfishBmc(bmc.node, server, "ADMIN", "lab-bmc", site.clock, session=True)
    other.client._token = token
    assert (await other.observe()).reachable, "logged in anew"
    assert other.client._token != token


@virtual
async def test_power_is_cut_only_where_the_machine_allows_it(site: LabSite, bmc: RedfishBmc) -> None:
    site.cluster.bmcs["pve3"].reset_types = ["On", "GracefulShutdown"]
    with pytest.raises(Refused, match="it offers On, GracefulShutdown"):
        await bmc.force_off()
    assert site.cluster.nodes["pve3"].power


@virtual
async def test_what_it_does_when_power_comes_back(site: LabSite, bmc: RedfishBmc) -> None:
    assert (await bmc.observe()).power_restore == "AlwaysOff"
    site.cluster.bmcs["pve3"].power_restore_policy = "AlwaysOn"
    assert (await bmc.observe()).power_restore == "AlwaysOn"


@virtual
async def test_two_looks_at_once_share_a_session(site: LabSite, bmc: RedfishBmc) -> None:
    server = Server("https://bmc-pve3.ams1", transport=site.network)
    visitor = RedfishBmc(bmc.node, server, "ADMIN", "lab-bmc", site.clock, session=True)
    first, second = await asyncio.gather(visitor.observe(log=False), visitor.observe(log=False))
    assert first.reachable and second.reachable
    assert [method for method, _ in site.network.requests].count("POST") == 1
