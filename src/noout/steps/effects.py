"""What each verb does to the world, how one sees that it happened, and what it takes into or out of ownership.

Acting asks; verifying looks. A task's exit status is never proof of success: it only explains a failure that was
observed. Every ``verify`` ends: an effect that does not show within its limit has failed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from noout.domain.cluster import NodeId
from noout.domain.errors import Broken, Refused
from noout.domain.hardware import Power
from noout.domain.maintenance import Action, Maintenance, Observation, Pending
from noout.ports import CephCluster
from noout.steps import guest_effects as guests
from noout.steps import media
from noout.steps import setting_effects as settings
from noout.steps.site import Site
from noout.steps.step import Failed, Verdict, Verified, within

Do = Callable[[Action, Observation, Site], Awaitable[str | None]]
Look = Callable[[Pending, Maintenance, Observation], Verdict]


@dataclass(frozen=True, slots=True)
class Effect:
    """``takes``/``releases``: the kind of ``Owned`` that its success begins or ends."""

    act: Do
    verify: Look
    takes: str = ""
    releases: str = ""


# --- Ceph: flags, mgr, daemons --------------------------------------------------------------------------------


def _ceph(site: Site) -> CephCluster:
    if site.ceph is None:
        raise Broken("no Ceph cluster is configured for this cluster", remedy="add [clusters.NAME.ceph]")
    return site.ceph


async def _set_flag(action: Action, seen: Observation, site: Site) -> None:
    """Looked at once more: Ceph does not tell who set a flag, and what others have set meanwhile must stay theirs."""
    flag, host = str(action.args["flag"]), action.subject
    if flag in (await _ceph(site).observe()).host_flags.get(host, frozenset()):
        raise Refused(f"somebody else has just set {flag} for host {host}: it serves, and is theirs to clear")
    await _ceph(site).set_host_flags(host, frozenset({flag}))


async def _unset_flag(action: Action, seen: Observation, site: Site) -> None:
    await _ceph(site).unset_host_flags(action.subject, frozenset({str(action.args["flag"])}))


def has_flag(seen: Observation, host: str, flag: str) -> bool:
    return seen.ceph is not None and flag in seen.ceph.host_flags.get(host, frozenset())


def _flag_is_set(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    flag = str(pending.action.args["flag"])
    if has_flag(seen, pending.action.subject, flag):
        return Verified({"read_back": f"host {pending.action.subject} has flags {flag}"})
    return within(30, pending, seen, f"{flag} does not show in the OSD map")


def _flag_is_unset(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    flag = str(pending.action.args["flag"])
    if seen.ceph is not None and not has_flag(seen, pending.action.subject, flag):
        return Verified({"read_back": f"host {pending.action.subject} has no flag {flag}"})
    return _given_back(pending, seen, flag)


def _given_back(pending: Pending, seen: Observation, flag: str) -> Verdict:
    """A flag that still shows. Where Ceph said that it cleared ours, it is another's by now, and not ours to clear."""
    verdict = within(30, pending, seen, f"{flag} still shows in the OSD map")
    cleared = pending.started and not pending.unknown
    if isinstance(verdict, Failed) and cleared and seen.ceph is not None:
        return Verified({"read_back": f"Ceph cleared {flag}; somebody else has set it since"})
    return verdict


def _set_cluster_noout(on: bool) -> Do:
    async def do(action: Action, seen: Observation, site: Site) -> None:
        if on and "noout" in (await _ceph(site).observe()).flags:
            raise Refused("somebody else has just set noout for the whole cluster: it serves, and is theirs to clear")
        await site.hypervisor.set_cluster_noout(on)

    return do


def _cluster_noout(on: bool) -> Look:
    def look(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
        if seen.ceph is not None and ("noout" in seen.ceph.flags) is on:
            return Verified({"read_back": f"the OSD map has {'' if on else 'no '}noout"})
        return (
            within(30, pending, seen, "noout does not show in the OSD map")
            if on
            else _given_back(pending, seen, "noout")
        )

    return look


async def _fail_mgr(action: Action, seen: Observation, site: Site) -> None:
    await _ceph(site).fail_mgr()


def _mgr_changed(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    if seen.ceph is not None and seen.ceph.mgr_active and seen.ceph.mgr_active != pending.action.subject:
        return Verified({"active": seen.ceph.mgr_active})
    return within(60, pending, seen, "no other mgr is active")


async def _fail_mds(action: Action, seen: Observation, site: Site) -> None:
    await _ceph(site).fail_mds(action.subject)


def _mds_changed(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
    if seen.ceph is not None and seen.ceph.mds_active and pending.action.subject not in seen.ceph.mds_active:
        return Verified({"active": list(seen.ceph.mds_active)})
    return within(120, pending, seen, "no other MDS is active")


def _service(verb: str) -> Do:
    async def do(action: Action, seen: Observation, site: Site) -> str | None:
        task = await site.hypervisor.ceph_service(NodeId.parse(str(action.args["node"])), verb, action.subject)
        return task.upid

    return do


def _mon(running: bool) -> Look:
    def look(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
        name = pending.action.subject.partition(".")[2]
        if seen.ceph is None or not seen.ceph.mon_quorum_ok:
            return within(180, pending, seen, "the mons have no quorum")
        if (name in seen.ceph.quorum) is running:
            return Verified({"quorum": list(seen.ceph.quorum)})
        return within(180, pending, seen, f"mon {name} is {'not in' if running else 'still in'} the quorum")

    return look


def _osd(up: bool) -> Look:
    def look(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
        number = int(pending.action.subject.partition(".")[2])
        osd = next((each for each in seen.ceph.osds if each.id == number), None) if seen.ceph else None
        if osd is not None and osd.up is up:
            return Verified()
        return within(180, pending, seen, f"osd.{number} is {'not up' if up else 'still up'}")

    return look


# --- power and LED --------------------------------------------------------------------------------------------


async def _shutdown_node(action: Action, seen: Observation, site: Site) -> None:
    await site.hypervisor.shutdown_node(NodeId.parse(action.subject))


async def _force_off(action: Action, seen: Observation, site: Site) -> None:
    await site.bmc.force_off()


async def _power_on(action: Action, seen: Observation, site: Site) -> None:
    await site.bmc.power_on()


def _power(wanted: Power, limit_s: float) -> Look:
    def look(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
        if seen.hardware is None or not seen.hardware.reachable:
            return within(limit_s, pending, seen, "the BMC does not answer, so nobody knows about the power")
        if seen.hardware.power is wanted:
            return Verified({"power": wanted.value})
        return within(limit_s, pending, seen, f"the BMC says power {seen.hardware.power.value}")

    return look


async def _led_on(action: Action, seen: Observation, site: Site) -> None:
    await site.bmc.locate(True)


async def _led_off(action: Action, seen: Observation, site: Site) -> None:
    await site.bmc.locate(False)


def _led(on: bool) -> Look:
    def look(pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
        if seen.hardware is not None and seen.hardware.reachable and seen.hardware.led_on is on:
            return Verified()
        return within(30, pending, seen, f"the BMC does not say the LED is {'on' if on else 'off'}")

    return look


EFFECTS: dict[str, Effect] = {
    "migrate": Effect(guests.migrate, guests.has_moved),
    "ha-migrate": Effect(guests.ha_migrate, guests.has_moved_by_ha),
    "eject": Effect(media.take_out, media.is_out, takes=media.OWNED),
    "insert": Effect(media.put_in, media.is_back, releases=media.OWNED),
    "leave-ejected": Effect(media.let_be, media.is_left, releases=media.OWNED),
    "cancel": Effect(guests.cancel, guests.is_cancelled),
    "shutdown-guest": Effect(guests.shutdown, guests.is_down, takes="guest-down"),
    "start-guest": Effect(guests.start, guests.is_running, releases="guest-down"),
    "cordon": Effect(settings.cordon, settings.is_cordoned, takes="maintenance-mode"),
    "uncordon": Effect(settings.uncordon, settings.is_uncordoned, releases="maintenance-mode"),
    "add-rule": Effect(settings.add_rule, settings.rule_stands, takes="ha-rule"),
    "delete-rule": Effect(settings.delete_rule, settings.rule_is_gone, releases="ha-rule"),
    "failback-off": Effect(settings.set_failback(False), settings.failback_is_off, takes="failback"),
    "failback-back": Effect(settings.set_failback(True), settings.failback_is_back, releases="failback"),
    "onboot-off": Effect(settings.set_onboot(False), settings.onboot_is_off, takes="onboot"),
    "onboot-back": Effect(settings.set_onboot(True), settings.onboot_is_back, releases="onboot"),
    "rebalancer-off": Effect(settings.rebalancer_off, settings.rebalancer_is_off, takes="rebalancer"),
    "rebalancer-back": Effect(settings.rebalancer_back, settings.rebalancer_is_back, releases="rebalancer"),
    "fail-mgr": Effect(_fail_mgr, _mgr_changed),
    "fail-mds": Effect(_fail_mds, _mds_changed),
    "set-noout": Effect(_set_flag, _flag_is_set, takes="noout"),
    "unset-noout": Effect(_unset_flag, _flag_is_unset, releases="noout"),
    "set-cluster-noout": Effect(_set_cluster_noout(True), _cluster_noout(True), takes="cluster-noout"),
    "unset-cluster-noout": Effect(_set_cluster_noout(False), _cluster_noout(False), releases="cluster-noout"),
    "set-noup": Effect(_set_flag, _flag_is_set, takes="noup"),
    "unset-noup": Effect(_unset_flag, _flag_is_unset, releases="noup"),
    "stop-mon": Effect(_service("stop"), _mon(False), takes="mon-stopped"),
    "start-mon": Effect(_service("start"), _mon(True), releases="mon-stopped"),
    "stop-osd": Effect(_service("stop"), _osd(False), takes="osd-stopped"),
    "start-osd": Effect(_service("start"), _osd(True), releases="osd-stopped"),
    "shutdown-node": Effect(_shutdown_node, _power(Power.OFF, 900)),
    "force-off": Effect(_force_off, _power(Power.OFF, 60)),
    "power-on": Effect(_power_on, _power(Power.ON, 120)),
    "led-on": Effect(_led_on, _led(True), takes="led"),
    "led-off": Effect(_led_off, _led(False), releases="led"),
}


class Reconciler:
    """The two verbs that are the same in every step: they depend on the action alone."""

    async def act(self, action: Action, seen: Observation, site: Site) -> str | None:
        return await EFFECTS[action.verb].act(action, seen, site)

    def verify(self, pending: Pending, m: Maintenance, seen: Observation) -> Verdict:
        return EFFECTS[pending.action.verb].verify(pending, m, seen)
