"""Faults to switch on, by name, and what switches them off again.

===================== =============================================================================================
fan-flapping          node, fan, per_hour=6, seconds=4, cause=dust|connector|bearing
fan-wear              node, fan, per_day=0.02, cause=bearing|dust: turns ever slower, by that share of its speed a day
migration             vmid, kind=fail|stall|no-converge|unplugged, times=None (how many migrations suffer it)
node-dies             node: the board loses power and will not come on until cleared
osd-will-not-return   osd: its start succeeds and its daemon dies
api-slow              pattern, seconds, times     api-error       pattern, status, times
api-lost-answer       pattern, times: done, but the answer never comes
api-stale             pattern, times              api-drop        pattern, times: the connection ends
bmc-mute              node: answers nothing
bmc-lies              node, about=reset|power|fans: a reset does nothing; the power state is turned round; all fans fine
dimm-missing-after    node: one DIMM fewer at the next power-on
nic-renamed-after     node: from its next power-on, as all of these, and mended when cleared: a port has another name
bond-half-after       node: a port of its bond has no carrier
mtu-wrong-after       node: its switch port lets 1400 bytes through
kernel-changed-after  node                        clock-off-after     node: 30 s ahead
kvm-missing-after     node                        disk-missing-after  node: the last one, and its OSD
ssh-refused           node
shell-error           pattern, text="Permission denied", exit=1: a command on any shell that is not carried out
shutdown-ignored      vmid: does not listen to a shutdown
backup-running        vmid, seconds=300: locked by a backup for so long
mon-clock-skew        mon, seconds
===================== =============================================================================================
``pattern`` is a regular expression on ``METHOD /path`` (``GET /api2/json/nodes``), or on a command line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, get_args

from noout.lab.world.after import AFTER
from noout.lab.world.kernel import HasNow, LawError
from noout.lab.world.model import Cluster, Fan, WireFault, World
from noout.lab.world.reach import ReachLaws

Cause = Literal["dust", "connector", "bearing"]
MIGRATION_KINDS = ("fail", "stall", "no-converge", "unplugged")
WIRE_KINDS = ("slow", "error", "lost-answer", "stale", "drop")


class FaultLaws(ReachLaws):
    def __init__(self, world: World, clock: HasNow) -> None:
        super().__init__(world, clock)
        self._times: dict[tuple[str, int], int] = {}  # migrations still to suffer their fault
        self._ssh_refused: set[tuple[str, str]] = set()
        self._shell_errors: dict[tuple[str, str], tuple[int, str]] = {}  # (cluster, pattern) -> exit code, stderr
        self._faults: dict[str, tuple[Callable[..., None], Callable[..., None]]] = {
            "fan-flapping": (self._flapping, self._flapping_off),
            "fan-wear": (self._wear, self._wear_off),
            "migration": (self._migration, self._migration_off),
            "node-dies": (self._dies, self._dies_off),
            "node-hangs": (self._hangs, self._hangs_off),
            "osd-will-not-return": (self._osd_stuck, self._osd_stuck_off),
            "bmc-mute": (self._mute, self._mute_off),
            "bmc-lies": (self._lies, self._lies_off),
            "dimm-missing-after": (self._dimm, self._dimm_off),
            "ssh-refused": (self._ssh, self._ssh_off),
            "shell-error": (self._shell, self._shell_off),
            "shutdown-ignored": (self._deafen, self._deafen_off),
            "backup-running": (self._backup, self._backup_off),
            "mon-clock-skew": (self._skew, self._skew_off),
            **{name: (partial(self._after_on, name), partial(self._after_off, name)) for name in AFTER},
        }

    @property
    def fault_names(self) -> list[str]:
        return sorted([*self._faults, *(f"api-{kind}" for kind in WIRE_KINDS)])

    def fault(self, cluster: Cluster, name: str, **params: Any) -> None:
        """Switch a fault on; LawError 400 for an unknown name, parameter or value."""
        self._apply(cluster, name, 0, params)
        shown = " ".join(f"{k}={v}" for k, v in sorted(params.items()))
        self.note(cluster, f"fault {name} on {shown}".rstrip())

    def clear_fault(self, cluster: Cluster, name: str, **params: Any) -> None:
        """Switch it off; the parameters name which one, where there can be several."""
        self._apply(cluster, name, 1, params)
        self.note(cluster, f"fault {name} off")

    def _apply(self, cluster: Cluster, name: str, which: int, params: dict[str, Any]) -> None:
        try:
            if name.startswith("api-") and name.removeprefix("api-") in WIRE_KINDS:
                (self._wire, self._wire_off)[which](cluster, name.removeprefix("api-"), **params)
            elif name in self._faults:
                self._faults[name][which](cluster, **params)
            else:
                raise LawError(f"no such fault: {name}; there are {', '.join(self.fault_names)}", 400)
        except (TypeError, KeyError, ValueError, re.error) as wrong:
            raise LawError(f"fault {name}: {wrong}", 400) from wrong

    def ssh_refused(self, cluster: Cluster, node: str) -> bool:
        return (cluster.name, node) in self._ssh_refused

    def shell_error(self, cluster: Cluster, line: str) -> tuple[int, str] | None:
        """What a shell answers to a command that it will not carry out: exit code and stderr."""
        for (name, pattern), answer in self._shell_errors.items():
            if name == cluster.name and re.search(pattern, line):
                return answer
        return None

    # --- fans and boards ---

    def _the_fan(self, cluster: Cluster, node: str, fan: str) -> Fan:
        return cluster.bmcs[node].fans[fan]

    def _flapping(
        self, cluster: Cluster, node: str, fan: str, per_hour: float = 6.0, seconds: float = 4.0, cause: Cause = "dust"
    ) -> None:
        if cause not in get_args(Cause) or float(per_hour) <= 0:
            raise ValueError(f"cause is one of {', '.join(get_args(Cause))} and per_hour more than 0")
        record = self._the_fan(cluster, node, fan)
        record.cause = cause
        self.flap(cluster, node, record, float(per_hour), float(seconds))

    def _flapping_off(self, cluster: Cluster, node: str, fan: str, **_: Any) -> None:
        record = self._the_fan(cluster, node, fan)
        record.flap_per_hour, record.cause = 0.0, ""

    def _wear(self, cluster: Cluster, node: str, fan: str, per_day: float = 0.02, cause: Cause = "bearing") -> None:
        if cause not in ("bearing", "dust") or not 0 < float(per_day) < 1:
            raise ValueError("cause is bearing or dust and per_day between 0 and 1")
        record = self._the_fan(cluster, node, fan)
        record.cause, record.wear_per_day, record.wears_since = cause, float(per_day), self.now

    def _wear_off(self, cluster: Cluster, node: str, fan: str, **_: Any) -> None:
        record = self._the_fan(cluster, node, fan)
        record.wear_per_day, record.cause = 0.0, ""

    def _dies(self, cluster: Cluster, node: str) -> None:
        self._dead.add((cluster.name, cluster.nodes[node].name))
        self.power_cut(cluster, node, "by a fault")

    def _dies_off(self, cluster: Cluster, node: str) -> None:
        self._dead.discard((cluster.name, node))

    def _hangs(self, cluster: Cluster, node: str) -> None:
        """Its next shutdown ends with the power still on."""
        self._hanging.add((cluster.name, cluster.nodes[node].name))

    def _hangs_off(self, cluster: Cluster, node: str) -> None:
        self._hanging.discard((cluster.name, node))

    def _mute(self, cluster: Cluster, node: str) -> None:
        cluster.bmcs[node].mute = True

    def _mute_off(self, cluster: Cluster, node: str) -> None:
        cluster.bmcs[node].mute = False

    def _lies(self, cluster: Cluster, node: str, about: str = "reset") -> None:
        if about not in ("reset", "power", "fans"):
            raise ValueError("about is reset, power or fans")
        self._lying[cluster.name, cluster.nodes[node].name] = about

    def _lies_off(self, cluster: Cluster, node: str, **_: Any) -> None:
        self._lying.pop((cluster.name, node), None)

    def _dimm(self, cluster: Cluster, node: str) -> None:
        self._dimm_lost.add((cluster.name, cluster.nodes[node].name))

    def _dimm_off(self, cluster: Cluster, node: str) -> None:
        self._dimm_lost.discard((cluster.name, node))

    def _after_on(self, name: str, cluster: Cluster, node: str) -> None:
        self._after.setdefault((cluster.name, cluster.nodes[node].name), set()).add(name)

    def _after_off(self, name: str, cluster: Cluster, node: str) -> None:
        self._after.get((cluster.name, node), set()).discard(name)
        AFTER[name][1](cluster, cluster.nodes[node])

    # --- guests and their moves ---

    def _migration(self, cluster: Cluster, vmid: int, kind: str, times: int | None = None) -> None:
        if kind not in MIGRATION_KINDS:
            raise ValueError(f"kind is one of {', '.join(MIGRATION_KINDS)}")
        self.guest(cluster, int(vmid))
        cluster.migration_faults[int(vmid)] = kind
        if times is not None:
            self._times[cluster.name, int(vmid)] = int(times)

    def _migration_off(self, cluster: Cluster, vmid: int, **_: Any) -> None:
        if cluster.migration_faults.pop(int(vmid), None) == "unplugged":
            self.lighten(self.guest(cluster, int(vmid)), "unplugged")
        self._times.pop((cluster.name, int(vmid)), None)

    def use_migration_fault(self, cluster: Cluster, vmid: int) -> None:
        left = self._times.get((cluster.name, vmid))
        if left is None:
            return
        self._times[cluster.name, vmid] = left - 1
        if left <= 1:
            cluster.migration_faults.pop(vmid, None)
            del self._times[cluster.name, vmid]

    def _deafen(self, cluster: Cluster, vmid: int) -> None:
        self._deaf.add((cluster.name, self.guest(cluster, int(vmid)).vmid))

    def _deafen_off(self, cluster: Cluster, vmid: int) -> None:
        self._deaf.discard((cluster.name, int(vmid)))

    def _backup(self, cluster: Cluster, vmid: int, seconds: float = 300.0) -> None:
        guest = self.guest(cluster, int(vmid))
        if guest.lock:
            raise ValueError(f"guest {vmid} is locked already ({guest.lock})")
        guest.lock = "backup"
        self.after(float(seconds), lambda: self._backup_off(cluster, vmid))

    def _backup_off(self, cluster: Cluster, vmid: int, **_: Any) -> None:
        guest = cluster.guests.get(int(vmid))
        if guest is not None and guest.lock == "backup":
            guest.lock = None

    # --- Ceph, the wire, the shell ---

    def _osd_stuck(self, cluster: Cluster, osd: int) -> None:
        self._ceph(cluster).osds[int(osd)].will_not_start = True

    def _osd_stuck_off(self, cluster: Cluster, osd: int) -> None:
        self._ceph(cluster).osds[int(osd)].will_not_start = False

    def _skew(self, cluster: Cluster, mon: str, seconds: float = 0.3) -> None:
        self._ceph(cluster).mons[mon].clock_skew = float(seconds)

    def _skew_off(self, cluster: Cluster, mon: str, **_: Any) -> None:
        self._ceph(cluster).mons[mon].clock_skew = 0.0

    def _wire(
        self, cluster: Cluster, kind: Any, pattern: str = ".*", status: int = 500, seconds: float = 5.0, times: int = 1
    ) -> None:
        re.compile(pattern)
        cluster.wire_faults.append(WireFault(kind, pattern, int(status), float(seconds), int(times)))

    def _wire_off(self, cluster: Cluster, kind: str, pattern: str | None = None, **_: Any) -> None:
        cluster.wire_faults[:] = [
            f for f in cluster.wire_faults if f.kind != kind or (pattern is not None and f.pattern != pattern)
        ]

    def _ssh(self, cluster: Cluster, node: str) -> None:
        self._ssh_refused.add((cluster.name, cluster.nodes[node].name))

    def _ssh_off(self, cluster: Cluster, node: str) -> None:
        self._ssh_refused.discard((cluster.name, node))

    def _shell(self, cluster: Cluster, pattern: str, text: str = "Permission denied", exit: int = 1) -> None:
        re.compile(pattern)
        self._shell_errors[cluster.name, pattern] = (int(exit), text)

    def _shell_off(self, cluster: Cluster, pattern: str, **_: Any) -> None:
        self._shell_errors.pop((cluster.name, pattern), None)
