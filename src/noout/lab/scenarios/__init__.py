"""Named worlds: what is unlike the default one, and what goes wrong in it, and when.

Each is a TOML file here, named as the scenario::

    title = "One sentence."
    [world]                     # optional: nodes, clusters (a scenario may need them so)
    [[guest]]                   # changes to guests: vmid, then fields of the guest; ``iso``: a local ISO in the drive
    [[node]]                    # changes to nodes: name ("*": all), then fields of the node; ``mon``: one runs there
    [[storage]] [[rule]] ...    # things to add: see ``changes``
    [[happens]]                 # in order of ``at`` (seconds after the start; default 0)
    at = 60
    fault = "fan-flapping"      # one of: fault | clear | flag | group_flag | move | hands
    node = "pve3"               # all other keys are its parameters; ``cluster`` defaults to the first
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from noout.lab.scenarios.changes import TABLES, change_cluster, change_guest
from noout.lab.world.build import EPOCH, build_world
from noout.lab.world.laws import LawError, Laws
from noout.lab.world.model import MiB, Mon, World

VERBS = ("fault", "clear", "flag", "group_flag", "move", "hands")
NODE_FIELDS = (
    "maxmem", "kernel_installed", "network_changes", "clock_ahead", "pve_version", "boot_disk_health", "bridges",
    "vlan_aware", "cpu_model", "cpu_vendor", "cpu_flags",
)  # fmt: skip
GUEST_FIELDS = (
    "tags", "pool", "local_resources", "dirty_rate", "maxmem", "agent", "agent_trouble", "ip", "onboot", "cpu_type",
    "bridges", "lock", "mapped", "net_options", "qmpstatus", "settings", "template",
)  # fmt: skip


class ScenarioError(Exception):
    """No such scenario, or a file of one that cannot be understood: one sentence."""


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    world: dict[str, int] = field(default_factory=dict)
    guests: tuple[dict[str, Any], ...] = ()
    nodes: tuple[dict[str, Any], ...] = ()
    happens: tuple[dict[str, Any], ...] = ()
    tables: dict[str, Any] = field(default_factory=dict)  # of ``changes``


def names() -> list[str]:
    """Every scenario, ``default`` first."""
    found = sorted(f.name[:-5] for f in resources.files(__package__).iterdir() if f.name.endswith(".toml"))
    return ["default", *(name for name in found if name != "default")]


def load(name: str) -> Scenario:
    """Read one; ScenarioError if there is none of that name, or its file is wrong."""
    if name not in names():
        raise ScenarioError(f"no scenario is called {name!r}; there are {', '.join(names())}")
    document = tomllib.loads(resources.files(__package__).joinpath(f"{name}.toml").read_text("utf-8"))
    unknown = set(document) - {"title", "world", "guest", "node", "happens", *TABLES}
    if unknown:
        raise ScenarioError(f"{name}.toml: unknown key {sorted(unknown)[0]}")
    happens = document.get("happens", [])
    for event in happens:
        if len([verb for verb in VERBS if verb in event]) != 1:
            raise ScenarioError(f"{name}.toml: each [[happens]] needs one of {', '.join(VERBS)}")
    return Scenario(
        name,
        document["title"],
        document.get("world", {}),
        tuple(document.get("guest", [])),
        tuple(document.get("node", [])),
        tuple(happens),
        {table: document[table] for table in TABLES if table in document},
    )


def build(
    name: str = "default", *, nodes: int = 6, guests: int = 24, seed: int = 1, epoch: float = EPOCH, clusters: int = 1
) -> tuple[World, Callable[[Laws], None]]:
    """The scenario's world, and what switches its happenings on once there are laws for it.

    A scenario that needs other counts of nodes or clusters has its way. ScenarioError as ``load``.
    """
    scenario = load(name)
    shape = {"nodes": nodes, "guests": guests, "clusters": clusters} | scenario.world
    world = build_world(seed=seed, epoch=epoch, **shape)
    for change in scenario.guests:
        _change_guest(scenario, world, change)
    for change in scenario.nodes:
        _change_nodes(scenario, world, change)
    try:
        change_cluster(next(iter(world.clusters.values())), scenario.tables)
    except (TypeError, KeyError) as wrong:
        raise ScenarioError(f"{name}.toml: {wrong}") from None

    def switch_on(laws: Laws) -> None:
        laws.advance()
        for event in scenario.happens:
            _schedule(laws, scenario, event)

    return world, switch_on


def _change_guest(scenario: Scenario, world: World, change: dict[str, Any]) -> None:
    cluster = next(iter(world.clusters.values()))
    guest = cluster.guests.get(change["vmid"])
    if guest is None:  # a smaller world than the scenario's: nothing to change
        return
    for key, value in change.items():
        if key == "iso":
            for disk in guest.disks:
                if disk.cdrom:
                    full = ("local:iso/debian-13.1.0-amd64-netinst.iso", 700 * MiB)
                    disk.volid, disk.size = full if value else ("none", 0)
        elif key in GUEST_FIELDS:
            setattr(guest, key, value)
        elif key != "vmid" and not change_guest(cluster, guest, key, value):
            raise ScenarioError(f"{scenario.name}.toml: a guest has no {key}")


def _change_nodes(scenario: Scenario, world: World, change: dict[str, Any]) -> None:
    cluster = next(iter(world.clusters.values()))
    for node in cluster.nodes.values():
        if change["name"] not in ("*", node.name):
            continue
        for key, value in change.items():
            if key == "mon" and cluster.ceph is not None:
                cluster.ceph.mons.setdefault(node.name, Mon(node.name, len(cluster.ceph.mons), node.ip))
            elif key in NODE_FIELDS:
                setattr(node, key, value)
            elif key not in ("name", "mon"):
                raise ScenarioError(f"{scenario.name}.toml: a node has no {key}")


def _schedule(laws: Laws, scenario: Scenario, event: dict[str, Any]) -> None:
    params = dict(event)
    at = float(params.pop("at", 0))
    cluster = laws.cluster(params.pop("cluster", next(iter(laws.world.clusters))))
    verb = next(v for v in VERBS if v in params)
    what = params.pop(verb)
    acts: dict[str, Callable[[], object]] = {
        "fault": lambda: laws.fault(cluster, what, **params),
        "clear": lambda: laws.clear_fault(cluster, what, **params),
        "flag": lambda: laws.ceph_flag(cluster, what, bool(params.get("on", True)), by="piet"),
        "group_flag": lambda: laws.ceph_group_flags(
            cluster, params["host"], [what], bool(params.get("on", True)), by="piet"
        ),
        "move": lambda: laws.operator_moves(cluster, what, params["target"]),
        "hands": lambda: laws.hands(cluster, action=what, **params),
    }
    act = acts[verb]

    def happen() -> None:
        try:
            act()
        except LawError as refusal:  # the world has moved on, or is too small: told in its log, not to its clients
            laws.note(cluster, f"scenario {scenario.name}: {verb} {what} refused: {refusal.message}")

    if at > 0:
        laws.at(laws.world.epoch + at, happen)
        return
    try:
        act()
    except LawError as refusal:
        raise ScenarioError(f"{scenario.name}: {verb} {what}: {refusal.message}") from refusal
