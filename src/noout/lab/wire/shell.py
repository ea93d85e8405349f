"""A node's shell: the few commands that Proxmox VE and Ceph offer nowhere else.

``run_command`` gets an argument vector. No shell stands behind it: quotes, semicolons and pipes are plain
characters of an argument, and what is not in the list below ends with 127 like any unknown command.
"""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Callable

from noout.lab.wire.ceph.cli import run_ceph
from noout.lab.wire.network import ip, ping
from noout.lab.wire.outcome import Outcome
from noout.lab.world.laws import LawError, Laws
from noout.lab.world.model import Cluster

Command = Callable[[Laws, Cluster, str, list[str]], Outcome]
USER = "root@pam"


def split(command_line: str) -> list[str] | None:
    """The words of what an SSH client sent; None when its quotes do not match."""
    try:
        return shlex.split(command_line)
    except ValueError:
        return None


def run_command(laws: Laws, cluster: Cluster, node: str, argv: list[str]) -> Outcome:
    """Run ``argv`` as root on ``node``, now. Never raises for what a caller typed."""
    laws.advance()
    if not argv:
        return Outcome(0)
    if argv[0] == "timeout":
        return _limited(laws, cluster, node, argv[1:])
    if (refused := laws.shell_error(cluster, " ".join(argv))) is not None:
        return Outcome(refused[0], "", f"{refused[1]}\n")
    name = argv[0].rsplit("/", 1)[-1]
    command = COMMANDS.get(name)
    if command is None:
        return Outcome(127, "", f"bash: line 1: {argv[0]}: command not found\n")
    try:
        return command(laws, cluster, node, argv[1:])
    except LawError as refusal:
        return Outcome(255, "", f"{refusal.message}\n")


def _limited(laws: Laws, cluster: Cluster, node: str, args: list[str]) -> Outcome:
    """``timeout [--kill-after=N] SECONDS COMMAND...``: what would hang longer ends with 124 when the time is up."""
    rest = args[1:] if args[:1] and args[0].startswith("--kill-after=") else args
    try:
        limit_s = float(rest[0])
    except (IndexError, ValueError):
        return Outcome(125, "", f"timeout: invalid time interval {' '.join(rest[:1])!r}\n")
    if not rest[1:]:
        return Outcome(125, "", "timeout: missing operand\n")
    outcome = run_command(laws, cluster, node, rest[1:])
    if outcome.after_s is not None and outcome.after_s <= limit_s:
        return outcome
    return Outcome(124, after_s=limit_s)


# --- Proxmox VE ---------------------------------------------------------------------------------------------


def _ha_manager(laws: Laws, cluster: Cluster, node: str, args: list[str]) -> Outcome:
    if args == ["status"]:
        return Outcome(0, _ha_status(laws, cluster))
    if args[:2] == ["crm-command", "node-maintenance"] and len(args) == 4 and args[2] in ("enable", "disable"):
        target = args[3]
        if target not in cluster.nodes:
            return Outcome(255, "", f"unable to {args[2]} maintenance mode: no such cluster node '{target}'\n")
        laws.crm_maintenance(cluster, target, args[2] == "enable")
        return Outcome(0)
    if args[:2] in (["crm-command", "migrate"], ["crm-command", "relocate"]) and len(args) == 4:
        move = laws.ha_migrate if args[1] == "migrate" else laws.ha_relocate
        move(cluster, args[2], args[3], USER)
        return Outcome(0)
    usage = "ERROR: unknown command 'ha-manager {}'\nUSAGE: ha-manager <COMMAND> [ARGS] [OPTIONS]\n"
    return Outcome(255, "", usage.format(" ".join(args)))


def _ha_status(laws: Laws, cluster: Cluster) -> str:
    """The plain lines of ``ha-manager status``."""
    ha = cluster.ha
    date = _date(ha.timestamp)
    lines = ["quorum OK" if cluster.quorate else "quorum No quorum on node!"]
    lines.append(f"master {ha.master} (active, {date})")
    for name, lrm in sorted(ha.lrm.items()):
        state = "maintenance mode" if lrm.state == "maintenance" else lrm.state
        if not cluster.nodes[name].online:
            state = "old timestamp - dead?"
        lines.append(f"lrm {name} ({state}, {_date(lrm.timestamp)})")
    lines += [f"service {sid} ({service.node}, {service.state})" for sid, service in sorted(ha.services.items())]
    return "\n".join(lines) + "\n"


def _date(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%a %b %e %H:%M:%S %Y")


def _pveversion(laws: Laws, cluster: Cluster, node: str, args: list[str]) -> Outcome:
    kernel = cluster.nodes[node].kernel
    return Outcome(0, f"pve-manager/{cluster.version}/0123456789abcdef (running kernel: {kernel})\n")


# --- systemd ------------------------------------------------------------------------------------------------

UNIT_S = 1.5  # systemctl returns when the daemon has come or gone
UNITS = {"ceph-osd": "osd", "ceph-mon": "mon", "ceph-mgr": "mgr"}


def _systemctl(laws: Laws, cluster: Cluster, node: str, args: list[str]) -> Outcome:
    """``systemctl start|stop|restart|is-active ceph-osd@3`` (and -mon, -mgr), on the node where the unit lives."""
    words = [word for word in args if not word.startswith("-")]
    if len(words) < 2 or words[0] not in ("start", "stop", "restart", "is-active"):
        return Outcome(1, "", f"Unknown command verb {' '.join(words) or '(none)'}.\n")
    verb, codes, said = words[0], [0], []
    for unit in words[1:]:
        state = _unit_state(cluster, node, unit)
        if verb == "is-active":
            said.append("active" if state else "inactive")
            codes.append(0 if state else 3 if state is not None else 4)
        elif state is None:
            name = unit if unit.endswith(".service") else f"{unit}.service"
            return Outcome(5, "", f"Failed to {verb} {name}: Unit {name} not found.\n")
        else:
            kind, _, instance = unit.removesuffix(".service").partition("@")
            laws.ceph_service(cluster, node, verb, f"{UNITS[kind]}.{instance}", USER)
    waits = 0.0 if verb == "is-active" else UNIT_S
    return Outcome(max(codes), "".join(f"{line}\n" for line in said), after_s=waits)


def _unit_state(cluster: Cluster, node: str, unit: str) -> bool | None:
    """Does the daemon's process run? None where this node has no such unit."""
    kind, at, instance = unit.removesuffix(".service").partition("@")
    ceph = cluster.ceph
    if ceph is None or not at:
        return None
    if kind == "ceph-osd" and instance.isascii() and instance.isdigit() and int(instance) in ceph.osds:
        osd = ceph.osds[int(instance)]
        return osd.running if osd.host == node else None
    if kind == "ceph-mon" and instance == node and instance in ceph.mons:
        return ceph.mons[instance].running
    if kind == "ceph-mgr" and instance == node and instance in ceph.mgrs:
        return ceph.mgrs[instance].running
    return None


# --- the rest -----------------------------------------------------------------------------------------------


def _ceph(laws: Laws, cluster: Cluster, node: str, args: list[str]) -> Outcome:
    return run_ceph(laws, cluster, node, args)


def _hostname(laws: Laws, cluster: Cluster, node: str, args: list[str]) -> Outcome:
    return Outcome(0, f"{node}\n")


def _uname(laws: Laws, cluster: Cluster, node: str, args: list[str]) -> Outcome:
    return Outcome(0, f"{cluster.nodes[node].kernel}\n" if args == ["-r"] else "Linux\n")


def _uptime(laws: Laws, cluster: Cluster, node: str, args: list[str]) -> Outcome:
    """``cat /proc/uptime``: seconds since boot."""
    booted = cluster.nodes[node].booted_at
    if args != ["/proc/uptime"] or booted is None:
        return Outcome(1, "", f"cat: {' '.join(args)}: No such file or directory\n")
    return Outcome(0, f"{laws.now - booted:.2f} 0.00\n")


def _true(laws: Laws, cluster: Cluster, node: str, args: list[str]) -> Outcome:
    return Outcome(0)


COMMANDS: dict[str, Command] = {
    "ceph": _ceph,
    "ha-manager": _ha_manager,
    "pveversion": _pveversion,
    "systemctl": _systemctl,
    "hostname": _hostname,
    "uname": _uname,
    "cat": _uptime,
    "true": _true,
    "ip": ip,
    "ping": ping,
}
