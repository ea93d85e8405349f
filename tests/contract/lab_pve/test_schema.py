"""Every method that the lab serves is PVE's own: its parameters, what it refuses, what it answers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from noout.lab.wire.pve.app import methods
from noout.lab.wire.pve.call import Method
from noout.lab.wire.pve.parameters import OneOf, Param
from tests.contract.lab_pve.schema import KEPT, endpoints, misfits, optional, properties
from tests.contract.lab_pve.site import Site

# Served, but not in the schema, which covers only part of the API.
BEYOND_THE_SCHEMA = {
    ("GET", "/cluster/backup"): "recorded; the exporter and the planner ask for it",
    ("GET", "/cluster/backup-info/not-backed-up"): "asked by the metrics exporter",
    ("GET", "/nodes/{node}/network"): "recorded",
    ("GET", "/nodes/{node}/apt/versions"): "read in its source; the doctor asks for it",
    ("GET", "/cluster/sdn/zones"): "read in its source; the doctor asks for it",
    ("GET", "/cluster/sdn/vnets"): "asked where a guest hangs on no bridge of its node; not recorded",
}
IN_PATH = {
    "node": "pve1",
    "vmid": "101",
    "osdid": "0",
    "flag": "noout",
    "sid": "vm:100",
    "rule": "web-nodes",
    "poolid": "customer-a",
    "name": "vmpool",
    "storage": "shared",
    "upid": "UPID:pve1:00000001:00000001:6B038196:qmstart:101:root@pam!lab:",
}
SERVED = methods().all


def name(method: Method) -> str:
    return f"{method.verb} {method.path}"


def path_of(method: Method, site: Site) -> str:
    values = dict(IN_PATH)
    if "/lxc/" in method.path:
        values["vmid"] = "200"
    if "{upid}" in method.path:
        values["upid"] = site.laws.new_task(site.cluster, "pve1", "qmstart", "101", "root@pam!lab").upid
    return re.sub(r"\{(\w+)\}", lambda m: values[m[1]], method.path)


def needed(method: Method) -> dict[str, Any]:
    """Values for what is required."""
    values: dict[str, Any] = {}
    params = method.params.common if isinstance(method.params, OneOf) else method.params
    for param in params:
        if param.required:
            fits = {"target": "pve2", "node": "pve2", "sid": "vm:103", "username": "ops@pve", "password": "Secret123!"}
            values[param.name] = (
                param.enum[0] if param.enum else fits.get(param.name, 1 if param.type != "string" else "0")
            )
    return values


@pytest.fixture(scope="module")
def known(recordings: Path) -> dict[tuple[str, str], dict[str, Any]]:
    return endpoints(recordings)


def facts(param: Param) -> dict[str, Any]:
    return {"type": param.type, "minimum": param.minimum, "maximum": param.maximum, "max_length": param.max_length}


def same_params(declared: list[Param], props: dict[str, dict[str, Any]]) -> list[str]:
    ours = {p.name: p for p in declared}
    found = [f"{n}: not declared" for n in props.keys() - ours.keys()]
    found += [f"{n}: PVE does not know it" for n in ours.keys() - props.keys()]
    for key in ours.keys() & props.keys():
        param, prop = ours[key], props[key]
        theirs = {ours_name: prop.get(their) for their, ours_name in KEPT.items()}
        for limit in ("minimum", "maximum", "max_length"):
            theirs[limit] = None if theirs[limit] is None else float(theirs[limit])
        if {k: float(v) if isinstance(v, int) else v for k, v in facts(param).items()} != theirs:
            found.append(f"{key}: {facts(param)} for {theirs}")
        if param.required == optional(prop):
            found.append(f"{key}: required {param.required}, PVE says optional={prop.get('optional')}")
        if list(param.enum) != list(prop.get("enum", [])):
            found.append(f"{key}: choices differ")
        if isinstance(prop.get("format"), str) and param.format is not None and param.format != prop["format"]:
            found.append(f"{key}: format {param.format} for {prop['format']}")
    return found


@pytest.mark.parametrize("method", SERVED, ids=name)
def test_parameters_are_those_of_the_schema(method: Method, known: dict[tuple[str, str], dict[str, Any]]) -> None:
    key = (method.verb, method.path)
    if key in BEYOND_THE_SCHEMA:
        assert key not in known
        return
    assert key in known, "PVE has no such method"
    if isinstance(method.params, OneOf):
        common, variants = {}, {}
        for part in known[key]["parameters"]["allOf"]:
            common |= part.get("properties", {})
            for one in part.get("oneOf", []):
                variants[one["instance-type"]] = one["properties"]
                assert list(method.params.by.enum) == part["type-property-schema"]["enum"]
        assert not same_params([*method.params.common, *method.path_params], common)
        assert variants.keys() == method.params.variants.keys()
        for variant, props in variants.items():
            assert not same_params(list(method.params.variants[variant]), props), variant
        return
    assert not same_params([*method.params, *method.path_params], properties(known[key]))


@pytest.mark.parametrize("method", SERVED, ids=name)
def test_permissions_are_those_of_the_schema(method: Method, known: dict[tuple[str, str], dict[str, Any]]) -> None:
    key = (method.verb, method.path)
    if key in BEYOND_THE_SCHEMA:
        return
    permissions = known[key].get("permissions") or {}
    assert method.perm == _as_declared(permissions)


def _as_declared(permissions: dict[str, Any]) -> str:
    if "check" not in permissions:
        return str(permissions.get("user", "all"))

    def one(check: list[Any]) -> str:
        assert check[0] == "perm"
        return f"{check[1]} {'|'.join(check[2])}"

    check = permissions["check"]
    return " or ".join(one(c) for c in check[1:]) if check[0] == "or" else one(check)


@pytest.mark.parametrize("method", SERVED, ids=name)
def test_an_unknown_parameter_is_refused(method: Method) -> None:
    site = Site()
    answer = site.ask(method.verb, path_of(method, site), {**needed(method), "no-such-thing": 1})
    assert (answer.status, answer.reason) == (400, "Parameter verification failed.")
    unknown = "property is not defined in schema and the schema does not allow additional properties"
    errors = answer.json["errors"]
    if isinstance(method.params, OneOf):
        assert errors  # the type is missing, and no variant can be judged without it
    else:
        assert errors["no-such-thing"] == unknown


@pytest.mark.parametrize("method", [m for m in SERVED if needed(m)], ids=name)
def test_a_required_parameter_is_missed(method: Method) -> None:
    site = Site()
    answer = site.ask(method.verb, path_of(method, site))
    assert answer.status == 400
    assert set(answer.json["errors"]) >= {k for k in needed(method) if not isinstance(method.params, OneOf)}
    assert set(answer.json["errors"].values()) == {"property is missing and it is not optional"}


def test_what_is_not_served_is_not_implemented(known: dict[tuple[str, str], dict[str, Any]]) -> None:
    site = Site()
    served = {(m.verb, m.path) for m in SERVED}
    missing = sorted(known.keys() - served)
    for verb, path in missing:
        asked = re.sub(r"\{(\w+)\}", lambda m: IN_PATH.get(m[1], "x"), path)
        answer = site.ask(verb, asked)
        expected = {(m.verb, m.path) for m in SERVED if methods().find(verb, asked)}
        if expected:
            continue  # a path that a served method with a named segment takes as well
        assert answer.status == 501, (verb, path, answer)
        assert answer.reason == f"Method '{verb} {asked}' not implemented"
        assert answer.json == {"data": None, "message": answer.reason}
    assert len(missing) > 150  # the schema holds far more than the lab claims


@pytest.mark.parametrize("method", [m for m in SERVED if m.verb == "GET"], ids=name)
def test_answers_fit_the_schema(method: Method, known: dict[tuple[str, str], dict[str, Any]]) -> None:
    key = (method.verb, method.path)
    if key in BEYOND_THE_SCHEMA or method.path == "/cluster/ha/groups":  # which PVE answers by an error alone
        return
    site = Site()
    site.cluster.pools["customer-a"] = "Customer A"
    site.cluster.guests[100].pool = "customer-a"
    site.cluster.guests[101].agent = True
    rule = {"rule": "web-nodes", "type": "node-affinity", "nodes": "pve1:2,pve2:1", "resources": "vm:100"}
    assert site.ask("POST", "/cluster/ha/rules", rule).status == 200
    site.laws.new_task(site.cluster, "pve1", "qmstart", "101", "root@pam!lab")
    values = needed(method) | ({"service": "osd", "action": "stop", "id": "0"} if "cmd-safety" in method.path else {})
    answer = site.ask("GET", path_of(method, site), values)
    assert answer.status == 200, answer
    assert not misfits(answer.json["data"], known[key].get("returns") or {})
