"""VMs and containers: lists, configuration, status, power."""

from __future__ import annotations

import re
from typing import Any

from noout.lab.wire.pve.call import Call, Methods, PveError, bad_parameter
from noout.lab.wire.pve.config_params import LXC_CONFIG, QEMU_CONFIG, QEMU_CONFIG_ASYNC
from noout.lab.wire.pve.parameters import flag, node, text, whole
from noout.lab.wire.pve.rows import digest, figure, hastate, load, network
from noout.lab.world.model import Disk, Guest

methods = Methods()
_PRESSURES = [f"pressure{what}{how}" for what in ("cpu", "io", "memory") for how in ("full", "some")]
_SIZES = ((1024**4, "T"), (1024**3, "G"), (1024**2, "M"), (1024, "K"))
_AUDIT = "/vms/{vmid} VM.Audit"
_POWER = "/vms/{vmid} VM.PowerMgmt"


# --- lists and status -----------------------------------------------------------------------------------------


def _row(call: Call, guest: Guest, full: bool) -> dict[str, Any]:
    """A guest as its own node shows it: without delay."""
    row: dict[str, Any] = {
        **load(guest, guest.status, call.now),
        "cpus": guest.cores,
        "name": guest.name,
        "status": "running" if guest.status == "paused" else guest.status,
        "vmid": guest.vmid,
    }
    running = guest.status in ("running", "paused")
    if guest.tags:
        row["tags"] = ";".join(guest.tags)
    if guest.lock:
        row["lock"] = guest.lock
    if guest.template:
        row["template"] = 1
    if running:
        row |= {"pid": 1000 + figure(guest.vmid, guest.started_at) % 60000, **dict.fromkeys(_PRESSURES, 0)}
    if guest.type == "lxc":
        seconds = row["uptime"]
        row |= {"diskread": seconds * 3000, "diskwrite": seconds * 9000, "maxswap": 0, "swap": 0, "type": "lxc"}
    elif full:
        row["qmpstatus"] = guest.qmpstatus or guest.status
        if running and guest.bridges:
            netin, netout = network(guest, guest.status, call.now)
            row["nics"] = {f"tap{guest.vmid}i0": {"netin": netin, "netout": netout}}
    return row


def _list(call: Call, kind: str) -> list[dict[str, Any]]:
    return [
        _row(call, g, bool(call.params.get("full")))
        for _, g in sorted(call.cluster.guests.items())
        if g.type == kind and g.node == call.node.name and call.may(f"/vms/{g.vmid}", "VM.Audit")
    ]


@methods.serve("GET", "/nodes/{node}/qemu", [flag("full")])
def qemu_list(call: Call) -> Any:
    return _list(call, "qemu")


@methods.serve("GET", "/nodes/{node}/lxc")
def lxc_list(call: Call) -> Any:
    return _list(call, "lxc")


def _current(call: Call, kind: str) -> dict[str, Any]:
    guest = call.guest(kind)
    state = hastate(call.cluster, guest)
    row = _row(call, guest, full=True)
    row["ha"] = {"managed": 0} if state is None else {"managed": 1, "state": state}
    if kind == "qemu" and guest.agent:
        row["agent"] = 1
    return row


@methods.serve("GET", "/nodes/{node}/qemu/{vmid}/status/current", perm=_AUDIT)
def qemu_current(call: Call) -> Any:
    return _current(call, "qemu")


@methods.serve("GET", "/nodes/{node}/lxc/{vmid}/status/current", perm=_AUDIT)
def lxc_current(call: Call) -> Any:
    return _current(call, "lxc")


# --- configuration --------------------------------------------------------------------------------------------


def _size(size: int) -> str:
    return next((f"{size // unit}{letter}" for unit, letter in _SIZES if size and size % unit == 0), str(size))


def _drive(disk: Disk) -> str:
    if disk.cdrom:
        return f"{disk.volid},media=cdrom" + (f",size={_size(disk.size)}" if disk.size else "")
    return f"{disk.volid},size={_size(disk.size)}" + ("" if disk.replicate else ",replicate=0")


def mac_of(guest: Guest, i: int) -> str:
    """Of its network card ``i``."""
    raw = digest("mac", guest.vmid, i).upper()
    return f"BC:24:11:{raw[0:2]}:{raw[2:4]}:{raw[4:6]}"


def _uuid(*what: object) -> str:
    raw = digest(*what)
    return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-a{raw[17:20]}-{raw[20:32]}"


def _more(guest: Guest, i: int) -> str:
    options = guest.net_options[i] if i < len(guest.net_options) else ""
    return f",{options}" if options else ""


_DEVICES = {"usb": "host=0529:0001", "serial": "/dev/ttyS0", "parallel": "/dev/parport0", "ivshmem": "size=32"}


def config_of(guest: Guest) -> dict[str, Any]:
    """The guest's configuration as GET .../config shows it, with its digest."""
    config: dict[str, Any] = {}
    if guest.type == "qemu":
        drives = [d.key for d in guest.disks if not d.cdrom]
        nets = [f"net{i}" for i in range(len(guest.bridges))]
        config |= {
            "agent": str(int(guest.agent)),
            "boot": f"order={';'.join(drives[:1] + nets[:1])}",
            "cores": guest.cores,
            "cpu": guest.cpu_type,
            "memory": str(guest.maxmem // 1024**2),
            "meta": f"creation-qemu=10.0.2,ctime={1_700_000_000 + guest.vmid}",
            "name": guest.name,
            "scsihw": "virtio-scsi-single",
            "smbios1": f"uuid={_uuid('smbios', guest.vmid)}",
            "vmgenid": _uuid("generation", guest.vmid),
        }
        config |= {
            f"net{i}": f"virtio={mac_of(guest, i)},bridge={b}{_more(guest, i)}" for i, b in enumerate(guest.bridges)
        }
        for name in guest.local_resources:
            config[name] = _DEVICES.get(name.rstrip("0123456789"), "0000:81:00.0,pcie=1")
        for name, mapping in guest.mapped.items():
            config[name] = mapping if name.startswith("virtiofs") else f"mapping={mapping}"
    else:
        config |= {
            "arch": "amd64",
            "cores": guest.cores,
            "hostname": guest.name,
            "memory": guest.maxmem // 1024**2,
            "ostype": "debian",
            "swap": 0,
        }
        for i, bridge in enumerate(guest.bridges):
            config[f"net{i}"] = f"name=eth{i},bridge={bridge},hwaddr={mac_of(guest, i)},type=veth{_more(guest, i)}"
    config |= guest.settings
    if guest.snapshots:
        config["parent"] = guest.snapshots[-1].name
    config |= {d.key: _drive(d) for d in guest.disks}
    if guest.onboot:
        config["onboot"] = 1
    if guest.tags:
        config["tags"] = ";".join(guest.tags)
    if guest.description:
        config["description"] = guest.description
    if guest.lock:
        config["lock"] = guest.lock
    return {**config, "digest": digest(guest.vmid, sorted(config.items(), key=str))}


_CONFIG_GET = [flag("current"), text("snapshot", max_length=40, format="pve-configid")]


def _config(call: Call, kind: str) -> dict[str, Any]:
    guest = call.guest(kind)
    if "snapshot" in call.params:
        raise PveError(f"snapshot '{call.params['snapshot']}' does not exist")
    return config_of(guest)


@methods.serve("GET", "/nodes/{node}/qemu/{vmid}/config", _CONFIG_GET, perm=_AUDIT)
def qemu_config(call: Call) -> Any:
    return _config(call, "qemu")


@methods.serve("GET", "/nodes/{node}/lxc/{vmid}/config", _CONFIG_GET, perm=_AUDIT)
def lxc_config(call: Call) -> Any:
    return _config(call, "lxc")


@methods.serve("GET", "/nodes/{node}/qemu/{vmid}/pending", perm=_AUDIT)
def qemu_pending(call: Call) -> Any:
    return [{"key": k, "value": v} for k, v in config_of(call.guest("qemu")).items()]


@methods.serve("GET", "/nodes/{node}/lxc/{vmid}/pending", perm=_AUDIT)
def lxc_pending(call: Call) -> Any:
    return [{"key": k, "value": v} for k, v in config_of(call.guest("lxc")).items()]


def _snapshots(call: Call, kind: str) -> list[dict[str, Any]]:
    """Each after its parent, and the present."""
    guest = call.guest(kind)
    now: dict[str, Any] = {"description": "You are here!", "digest": config_of(guest)["digest"], "name": "current"}
    rows: list[dict[str, Any]] = []
    for snapshot in guest.snapshots:
        row = {"description": "", "name": snapshot.name, "snaptime": int(snapshot.taken)}
        rows.append(row | ({"parent": rows[-1]["name"]} if rows else {}))
        if kind == "qemu":
            rows[-1]["vmstate"] = int(bool(snapshot.vmstate))
    parent = {"parent": rows[-1]["name"]} if rows else {}
    return [*rows, {**now, **parent, "running": int(guest.status == "running")}]


@methods.serve("GET", "/nodes/{node}/qemu/{vmid}/snapshot", perm=_AUDIT)
def qemu_snapshots(call: Call) -> Any:
    return _snapshots(call, "qemu")


@methods.serve("GET", "/nodes/{node}/lxc/{vmid}/snapshot", perm=_AUDIT)
def lxc_snapshots(call: Call) -> Any:
    return _snapshots(call, "lxc")


# --- changes of the configuration -----------------------------------------------------------------------------

_OPTIONS = ("description", "name", "hostname", "onboot", "tags")
_PRIVILEGES = (
    ("Memory", r"memory|balloon|shares|swap"),
    ("CPU", r"cpu|cores|sockets|vcpus|cpulimit|cpuunits|numa\d*|affinity"),
    ("Disk", r"(scsi|virtio|sata|ide|efidisk|tpmstate|unused|mp)\d+|rootfs"),
    ("Network", r"net\d+|nameserver|searchdomain"),
    ("HWType", r"usb\d+|hostpci\d+|serial\d+|parallel\d+|vga|machine|bios|scsihw|audio0|rng0"),
    ("Cloudinit", r"ci\w+|ipconfig\d+|sshkeys"),
)
_CONTROL = ("node", "vmid", "digest", "delete", "background_delay")


def _change(call: Call, kind: str) -> None:
    """What the lab lets be changed: description, name, onboot, tags, and the medium of a CD drive."""
    guest = call.guest(kind)
    config = config_of(guest)
    wanted = {k: v for k, v in call.params.items() if k not in _CONTROL}
    deleted = [d for d in re.split(r"[,;\s]+", call.params.get("delete", "")) if d]
    if "lock" in wanted or "skiplock" in wanted:
        raise PveError(f"only root can set '{'lock' if 'lock' in wanted else 'skiplock'}' config")
    if call.params.get("digest", config["digest"]) != config["digest"]:
        raise PveError("detected modified configuration - file changed by other user? Try again.")
    if guest.lock:
        raise PveError(f"{'CT' if kind == 'lxc' else 'VM'} is locked ({guest.lock})")
    for name in [*wanted, *deleted]:
        drive = next((d for d in guest.disks if d.key == name and d.cdrom), None)
        call.require(f"/vms/{guest.vmid}", "VM.Config.CDROM" if drive else f"VM.Config.{_privilege(name)}")
        if name not in _OPTIONS and drive is None:
            raise PveError(f"the lab does not change '{name}' of a guest")
    for name in deleted:
        _set(call, guest, name, None)
    for name, value in wanted.items():
        _set(call, guest, name, value)
    guest.digest = config_of(guest)["digest"]


def _privilege(name: str) -> str:
    """The last word of the privilege that changing this needs."""
    return next((word for word, names in _PRIVILEGES if re.fullmatch(names, name)), "Options")


def _set(call: Call, guest: Guest, name: str, value: Any) -> None:
    if name == "onboot":
        guest.onboot = bool(value)
    elif name == "tags":
        guest.tags = sorted(filter(None, re.split(r"[,;\s]+", value or "")))
    elif name == "description":
        guest.description = value or ""
    elif name in ("name", "hostname"):
        guest.name = value or f"VM{guest.vmid}"
    else:
        drive = next(d for d in guest.disks if d.key == name)
        medium = (value or "none").split(",")[0].removeprefix("file=")
        if medium != "none" and medium.split(":")[0] not in call.cluster.storages:
            raise bad_parameter(name, f"storage '{medium.split(':')[0]}' does not exist")
        drive.volid, drive.size = medium, drive.size if medium != "none" else 0
    call.laws.note(call.cluster, f"guest {guest.vmid}: {name} changed by {call.who.full_id}")


_QEMU_CHANGE = (
    "/vms/{vmid} VM.Config.Disk|VM.Config.CDROM|VM.Config.CPU|VM.Config.Memory|VM.Config.Network|VM.Config.HWType|"
    "VM.Config.Options|VM.Config.Cloudinit"
)
_LXC_CHANGE = "/vms/{vmid} VM.Config.Disk|VM.Config.CPU|VM.Config.Memory|VM.Config.Network|VM.Config.Options"


@methods.serve("PUT", "/nodes/{node}/qemu/{vmid}/config", QEMU_CONFIG, perm=_QEMU_CHANGE)
def set_qemu_config(call: Call) -> Any:
    _change(call, "qemu")
    return None


@methods.serve("POST", "/nodes/{node}/qemu/{vmid}/config", QEMU_CONFIG_ASYNC, perm=_QEMU_CHANGE)
def set_qemu_config_by_task(call: Call) -> Any:
    _change(call, "qemu")
    task = call.laws.new_task(call.cluster, call.node.name, "qmconfig", str(call.params["vmid"]), call.who.full_id)
    call.laws.finish_task(call.cluster, task)
    return task.upid


@methods.serve("PUT", "/nodes/{node}/lxc/{vmid}/config", LXC_CONFIG, perm=_LXC_CHANGE)
def set_lxc_config(call: Call) -> Any:
    _change(call, "lxc")
    return None


# --- power ----------------------------------------------------------------------------------------------------

_SKIPLOCK = flag("skiplock")


def _only_root(call: Call, *names: str) -> None:
    for name in names:
        if name in call.params and call.who.full_id != "root@pam":
            raise bad_parameter(name, "Only root may use this option.")


def _start(call: Call, kind: str) -> str:
    guest = call.guest(kind)
    _only_root(call, "skiplock", "migratedfrom", "stateuri", "migration_type", "migration_network", "targetstorage")
    return call.laws.start_guest(call.cluster, guest.vmid, call.who.full_id).upid


def _stop(call: Call, kind: str) -> str:
    guest = call.guest(kind)
    _only_root(call, "skiplock", "keepActive", "migratedfrom")
    return call.laws.stop_guest(call.cluster, guest.vmid, call.who.full_id).upid


def _shutdown(call: Call, kind: str) -> str:
    guest = call.guest(kind)
    _only_root(call, "skiplock", "keepActive")
    timeout = call.params.get("timeout", 180 if kind == "qemu" else 60)
    force = bool(call.params.get("forceStop"))
    return call.laws.shutdown_guest(call.cluster, guest.vmid, call.who.full_id, timeout, force).upid


@methods.serve(
    "POST",
    "/nodes/{node}/qemu/{vmid}/status/start",
    [
        text("force-cpu"),
        text("machine"),
        node("migratedfrom"),
        text("migration_network", format="CIDR"),
        text("migration_type", enum=("secure", "insecure")),
        text("nets-host-mtu", pattern=r"net\d+=\d+(,net\d+=\d+)*"),
        _SKIPLOCK,
        text("stateuri", max_length=128),
        text("targetstorage", format="storage-pair-list"),
        whole("timeout", minimum=0),
        flag("with-conntrack-state"),
    ],
    perm=_POWER,
)
def qemu_start(call: Call) -> Any:
    return _start(call, "qemu")


@methods.serve("POST", "/nodes/{node}/lxc/{vmid}/status/start", [flag("debug"), _SKIPLOCK], perm=_POWER)
def lxc_start(call: Call) -> Any:
    return _start(call, "lxc")


@methods.serve(
    "POST",
    "/nodes/{node}/qemu/{vmid}/status/stop",
    [
        flag("keepActive"),
        node("migratedfrom"),
        flag("overrule-shutdown"),
        _SKIPLOCK,
        whole("timeout", minimum=0),
    ],
    perm=_POWER,
)
def qemu_stop(call: Call) -> Any:
    return _stop(call, "qemu")


@methods.serve("POST", "/nodes/{node}/lxc/{vmid}/status/stop", [flag("overrule-shutdown"), _SKIPLOCK], perm=_POWER)
def lxc_stop(call: Call) -> Any:
    return _stop(call, "lxc")


@methods.serve(
    "POST",
    "/nodes/{node}/qemu/{vmid}/status/shutdown",
    [flag("forceStop"), flag("keepActive"), _SKIPLOCK, whole("timeout", minimum=0)],
    perm=_POWER,
)
def qemu_shutdown(call: Call) -> Any:
    return _shutdown(call, "qemu")


@methods.serve(
    "POST",
    "/nodes/{node}/lxc/{vmid}/status/shutdown",
    [flag("forceStop"), whole("timeout", minimum=0)],
    perm=_POWER,
)
def lxc_shutdown(call: Call) -> Any:
    return _shutdown(call, "lxc")
