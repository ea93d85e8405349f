"""Load curves: sixty instants of a node or a guest. The lab keeps no history, so only the last one carries figures."""

from __future__ import annotations

from typing import Any

from noout.lab.wire.pve.call import Call, Methods
from noout.lab.wire.pve.parameters import Param, text
from noout.lab.wire.pve.rows import ROOT_DISK, load, node_cpu, node_memory, root_used

methods = Methods()
_STEPS_S = {"hour": 60, "day": 1800, "week": 10800, "month": 43200, "year": 604800, "decade": 6048000}
_PRESSURES = ("cpufull", "cpusome", "iofull", "iosome", "memoryfull", "memorysome")


def _asked(*steps: str) -> list[Param]:
    return [text("timeframe", enum=steps, required=True), text("cf", enum=("AVERAGE", "MAX"))]


def _curve(call: Call, latest: dict[str, Any]) -> list[dict[str, Any]]:
    step = _STEPS_S[call.params["timeframe"]]
    last = int(call.now) // step * step
    rows: list[dict[str, Any]] = [{"time": last - step * back} for back in range(59, -1, -1)]
    rows[-1] |= latest
    return rows


@methods.serve("GET", "/nodes/{node}/rrddata", _asked(*_STEPS_S), perm="/nodes/{node} Sys.Audit", proxied=False)
def of_node(call: Call) -> Any:
    if not call.node.online:
        return _curve(call, {})
    used, cpu = node_memory(call.cluster, call.node), node_cpu(call.cluster, call.node)
    quiet = "arcsize iowait netin netout swaptotal swapused pressurecpusome pressureiofull pressureiosome"
    figures: dict[str, Any] = dict.fromkeys(f"{quiet} pressurememoryfull pressurememorysome".split(), 0)
    figures |= {
        "cpu": cpu,
        "loadavg": round(cpu * call.node.cores, 2),
        "maxcpu": call.node.cores,
        "memavailable": call.node.maxmem - used,
        "memtotal": call.node.maxmem,
        "memused": used,
        "roottotal": ROOT_DISK,
        "rootused": root_used(call.node),
    }
    return _curve(call, figures)


def _of_guest(call: Call) -> list[dict[str, Any]]:
    """Any node has every guest's curve; of a guest that it never heard of it has empty instants. The names are those
    that Proxmox VE's own graphs ask for; no answer was recorded."""
    guest = call.cluster.guests.get(call.params["vmid"])
    if guest is None or guest.status != "running":
        return _curve(call, {})
    now = load(guest, guest.status, call.now)
    kept = ("cpu", "disk", "maxdisk", "maxmem", "mem", "memhost")
    figures = {name: now[name] for name in kept} | {"maxcpu": guest.cores}
    figures |= dict.fromkeys(("diskread", "diskwrite", "netin", "netout"), 0)
    return _curve(call, figures | {f"pressure{what}": 0 for what in _PRESSURES})


_GUEST_STEPS = _asked("hour", "day", "week", "month", "year")


@methods.serve("GET", "/nodes/{node}/qemu/{vmid}/rrddata", _GUEST_STEPS, perm="/vms/{vmid} VM.Audit", proxied=False)
def of_vm(call: Call) -> Any:
    return _of_guest(call)


@methods.serve("GET", "/nodes/{node}/lxc/{vmid}/rrddata", _GUEST_STEPS, perm="/vms/{vmid} VM.Audit", proxied=False)
def of_container(call: Call) -> Any:
    return _of_guest(call)
