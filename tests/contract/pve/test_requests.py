"""Every request that noout can send to Proxmox VE is one of the API's own: its path, parameters, kinds and limits.

The requests are those of the adapter's whole surface, made once on the lab; that none is left out is read from the
adapter's source. The lab's answers to them are held against what the API says it returns.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx2
import pytest

from noout.adapters.pve import PveClient, PveHypervisor
from noout.adapters.pve.discover import discover
from noout.adapters.pve.login import TicketLogin
from noout.adapters.pve.nodes import PveNodes
from noout.adapters.pve.survey import PveSurveyor
from noout.domain.cluster import ClusterState, Guest, Near
from noout.domain.errors import Refused
from noout.lab.world.model import Token
from tests.contract.lab_pve.schema import endpoints, misfits, optional, properties
from tests.contract.lab_pve.test_schema import BEYOND_THE_SCHEMA
from tests.contract.pve.asked import asked, matches
from tests.contract.pve.test_lab import PVE1, PVE3, PVE4, finished, on
from tests.support.labsite import LabSite, lab_site, servers
from tests.support.virtual import run_virtual

API = "/api2/json"
# Not in the schema, which covers only part of the API.
BEYOND = {
    *BEYOND_THE_SCHEMA,
    ("GET", "/cluster/sdn/vnets"),
    ("GET", "/cluster/sdn/zones"),
    ("GET", "/nodes/{node}/apt/versions"),
}
Schema = Mapping[tuple[str, str], dict[str, Any]]


@dataclass(frozen=True)
class Exchange:
    verb: str
    path: str
    params: tuple[tuple[str, str], ...]
    status: int
    data: Any

    def __str__(self) -> str:
        return f"{self.verb} {self.path} {dict(self.params)} -> {self.status}"


# --- making every request ------------------------------------------------------------------------------------


class Visit:
    """One lab, one state of it, and what is asked of each method of the adapter."""

    def __init__(self, site: LabSite, state: ClusterState) -> None:
        self.site, self.state, self.hypervisor = site, state, site.hypervisor
        self.upid = ""

    def guest(self, vmid: int) -> Guest:
        return on(self.state, vmid)

    async def migrate(self) -> None:
        options: dict[str, Any] = {"online": True, "with_local_disks": True, "target_storage": "local-lvm"}
        options |= {"with_conntrack": True, "limit_bytes_s": 300.0 * 1024**2}
        task = await self.hypervisor.migrate(self.guest(108), PVE1, **options)
        await self.hypervisor.migrate(self.guest(200), PVE1, online=True, target_storage="rbd", limit_bytes_s=5e8)
        await finished(self.site, task)
        self.upid = (await self.hypervisor.migrate(self.guest(104), PVE1, online=True)).upid
        await self.site.clock.sleep(8)

    async def observe(self) -> None:
        await self.hypervisor.observe()
        for effect in (False, True):
            flying = frozenset({self.guest(104).id})
            near = Near(
                flying, frozenset({(self.guest(108).id, PVE3)}), frozenset({PVE4}), frozenset({PVE3}), True, effect
            )
            await self.hypervisor.observe(near=near)

    async def own_addresses(self) -> None:
        for vmid in (104, 200):
            await self.hypervisor.own_addresses(self.guest(vmid))

    async def drive(self) -> None:
        holder = self.guest(109)
        await self.hypervisor.set_drive(holder, "ide2", None)
        await self.hypervisor.set_drive(holder, "ide2", next(d.volume for d in holder.disks if d.cdrom))

    async def stop_and_start(self) -> None:
        await finished(self.site, await self.hypervisor.shutdown_guest(self.guest(106), 180))

    async def modes(self) -> None:
        await self.hypervisor.maintenance_mode(PVE4, True)
        await self.hypervisor.maintenance_mode(PVE4, False)

    async def settings(self) -> None:
        await self.hypervisor.set_onboot(self.guest(107), True)
        await self.hypervisor.set_onboot(self.guest(200), False)

    async def balance(self) -> None:
        await self.hypervisor.set_crs("ha=basic,ha-rebalance-on-start=0")
        await self.hypervisor.set_crs("")

    async def describe(self) -> None:
        for text in ("noout was here", ""):
            await self.hypervisor.set_description(PVE4, text, (await self.hypervisor.describe(PVE4)).digest)

    async def cluster_noout(self) -> None:
        await self.hypervisor.set_cluster_noout(True)
        await self.hypervisor.set_cluster_noout(False)

    def calls(self) -> dict[str, Callable[[], Awaitable[Any]]]:
        """By the adapter's method, in an order that works out."""
        do = self.hypervisor
        return {
            "permissions": do.permissions,
            "observe": self.observe,
            "own_addresses": self.own_addresses,
            "precondition": lambda: do.precondition(self.guest(104), PVE1),
            "add_node_rule": lambda: do.add_node_rule("noout-x", [self.guest(100)], ["pve1", "pve2", "pve3"]),
            "delete_rule": lambda: do.delete_rule("noout-x"),
            "set_onboot": self.settings,
            "migrate": self.migrate,
            "task": lambda: do.task(self.upid),
            "progress": lambda: do.progress(self.upid),
            "moves_made": lambda: do.moves_made(self.guest(104), PVE3, self.site.clock.now()),
            "cancel": lambda: do.cancel(self.upid),
            "ha_migrate": lambda: do.ha_migrate(self.guest(101), PVE1),
            "set_drive": self.drive,
            "shutdown_guest": self.stop_and_start,
            "start_guest": lambda: do.start_guest(self.guest(106)),
            "set_failback": lambda: do.set_failback(self.guest(100), False),
            "set_crs": self.balance,
            "set_cluster_noout": self.cluster_noout,
            "describe": lambda: do.describe(PVE4),
            "set_description": self.describe,
            "maintenance_mode": self.modes,
            "ceph_service": lambda: do.ceph_service(PVE3, "stop", "osd.7"),
            "shutdown_node": lambda: do.shutdown_node(PVE3),
        }


def record(site: LabSite, made: list[Exchange]) -> None:
    """Note what goes over the wire from now on."""
    pass_on = site.network.handle_async_request

    async def noted(request: httpx2.Request) -> httpx2.Response:
        response = await pass_on(request)
        await response.aread()
        form = request.content.decode() if request.method in ("POST", "PUT") else request.url.query.decode()
        params = tuple(parse_qsl(form, keep_blank_values=True))
        data = response.json().get("data") if response.content else None
        path = unquote(request.url.path).removeprefix(API)
        made.append(Exchange(request.method, path, params, response.status_code, data))
        return response

    site.network.handle_async_request = noted  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def made() -> list[Exchange]:
    exchanges: list[Exchange] = []

    async def every_request() -> None:
        site = lab_site()
        granted = next(token.acl for token in site.cluster.tokens if token.name == "lab")
        mighty = {
            "/": granted["/"]
            | {"VM.Config.CDROM", "VM.Config.Options", "VM.GuestAgent.Audit", "SDN.Audit", "Sys.Syslog"}
        }
        site.cluster.tokens.append(Token("noout@pve", None, "a password", mighty))
        for token in site.cluster.tokens:
            if token.name == "lab" and token.userid == "noout@pve":
                token.acl = mighty
        site.cluster.guests[115].bridges = ["vnet1"]  # none of its node's own: an SDN network, perhaps
        record(site, exchanges)
        visit = Visit(site, await site.hypervisor.observe())
        for call in visit.calls().values():
            await call()
        await PveSurveyor(site.client).survey([PVE1])
        await PveNodes(site.client).observe()
        await discover(site.client)
        login = TicketLogin("ams1", "noout@pve", "a password", site.clock)
        await PveClient("ams1", servers(site.network, site.cluster), login, site.clock).get("/version")
        with pytest.raises(Refused):
            await site.hypervisor.delete_rule("no-such-rule")

    run_virtual(every_request(), limit_s=3600)
    return exchanges


# --- holding them against the schema ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema(recordings: Path) -> Schema:
    return endpoints(recordings)


def endpoint_of(schema: Schema, each: Exchange) -> tuple[str, str] | None:
    """The method of the API: a fixed segment wins over a named one."""

    def fits(path: str) -> bool:
        return re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)), each.path) is not None

    return min(
        (key for key in schema if key[0] == each.verb and fits(key[1])), key=lambda k: k[1].count("{"), default=None
    )


def rule_for(rules: Mapping[str, dict[str, Any]], name: str) -> dict[str, Any] | None:
    """Numbered parameters (``ide2``) stand in the schema once, as ``ide[n]``."""
    return rules.get(name) or rules.get(re.sub(r"\d+$", "[n]", name))


def allowed(endpoint: dict[str, Any], params: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The parameters of a method; of the right variant where there are several."""
    found = properties(endpoint)
    for part in endpoint.get("parameters", {}).get("allOf", []):
        found = {**found, **part.get("properties", {})}
        if "type-property" in part:
            found = {**found, part["type-property"]: part["type-property-schema"]}
        for variant in part.get("oneOf", []):
            if variant["instance-type"] == params.get(part.get("type-property", "type")):
                found = {**found, **variant["properties"]}
    return found


def unfit(value: str, rule: dict[str, Any]) -> str:
    """Why a value is not what the parameter takes; "" if it is."""
    kind = rule.get("type")
    if kind == "boolean":
        return "" if value in ("0", "1") else "no boolean"
    if kind in ("integer", "number"):
        if not re.fullmatch(r"-?\d+" if kind == "integer" else r"-?\d+(\.\d+)?", value):
            return f"no {kind}"
        low, high = float(rule.get("minimum", "-inf")), float(rule.get("maximum", "inf"))
        return "" if low <= float(value) <= high else "out of bounds"
    if rule.get("enum") and value not in rule["enum"]:
        return f"not one of {rule['enum']}"
    if len(value) > int(rule.get("maxLength", 10**6)):
        return "too long"
    if (pattern := rule.get("pattern")) and not re.fullmatch(pattern, value):
        return f"not like {pattern}"
    return ""


def wrong(schema: Schema, each: Exchange) -> list[str]:
    key = endpoint_of(schema, each)
    if key is None:
        known = any(verb == each.verb and matches(re.sub(r"\{\w+\}", "{}", path), each.path) for verb, path in BEYOND)
        return [] if known else ["Proxmox VE has no such method"]
    names = re.findall(r"\{(\w+)\}", key[1])
    values = re.fullmatch(re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(key[1])), each.path)
    assert values is not None
    params = dict(each.params)
    rules = allowed(schema[key], params)
    given = {**params, **dict(zip(names, values.groups(), strict=True))}
    found = [f"{name}: unknown" for name in given if rule_for(rules, name) is None]
    found += [f"{name}: missing" for name, rule in rules.items() if not optional(rule) and name not in given]
    for name, value in given.items():
        rule = rule_for(rules, name)
        if rule is not None and (why := unfit(value, rule)):
            found.append(f"{name}={value}: {why}")
    if len(params) != len(each.params):
        found.append("a parameter is given twice")
    return found


def test_every_method_of_the_adapter_was_called() -> None:
    public = {name for name, _ in inspect.getmembers(PveHypervisor, inspect.iscoroutinefunction) if name[0] != "_"}
    assert public == Visit(lab_site(wall=lambda: 0.0), None).calls().keys()  # type: ignore[arg-type]


def test_every_request_in_the_source_was_made(made: list[Exchange]) -> None:
    written = asked()
    assert len(written) > 30
    left_out = {
        f"{verb} {path}" for verb, path in written if not any(verb == e.verb and matches(path, e.path) for e in made)
    }
    assert not left_out
    unwritten = {str(e) for e in made if not any(verb == e.verb and matches(path, e.path) for verb, path in written)}
    assert not unwritten, "the source is read wrongly"


def test_every_request_is_one_of_the_api(made: list[Exchange], schema: Schema) -> None:
    found = {f"{each}: {'; '.join(why)}" for each in made if (why := wrong(schema, each))}
    assert not found


def test_every_answer_is_one_of_the_api(made: list[Exchange], schema: Schema) -> None:
    found = set()
    for each in made:
        key = endpoint_of(schema, each)
        if key is not None and each.status == 200:
            found |= {f"{each.verb} {each.path}: {why}" for why in misfits(each.data, schema[key].get("returns") or {})}
    assert not found


@pytest.mark.parametrize(
    ("verb", "path", "params", "why"),
    [
        ("GET", "/nodes/pve1/qemus", {}, "no such method"),
        ("POST", "/nodes/pve1/qemu/104/migrate", {"target": "pve2", "force_it": "1"}, "force_it: unknown"),
        ("POST", "/nodes/pve1/qemu/104/migrate", {"online": "1"}, "target: missing"),
        ("POST", "/nodes/pve1/qemu/104/migrate", {"target": "pve2", "online": "True"}, "no boolean"),
        ("GET", "/nodes/pve1/qemu/99/config", {}, "out of bounds"),
        ("POST", "/nodes/pve1/status", {"command": "poweroff"}, "not one of"),
        ("POST", "/cluster/ha/rules", {"rule": "a", "type": "node-affinity", "resources": "vm:1"}, "nodes: missing"),
    ],
)
def test_a_wrong_request_is_noticed(schema: Schema, verb: str, path: str, params: dict[str, str], why: str) -> None:
    assert why in "; ".join(wrong(schema, Exchange(verb, path, tuple(params.items()), 200, None)))
