"""/cluster/ha/rules: where guests under HA may and should run, and which belong together or apart."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from noout.lab.wire.pve.call import Call, Methods, PveError
from noout.lab.wire.pve.parameters import OneOf, flag, text
from noout.lab.wire.pve.rows import digest
from noout.lab.world.laws import LawError
from noout.lab.world.model import Cluster, HaRule

methods = Methods()
_AUDIT, _CONSOLE = "/ Sys.Audit", "/ Sys.Console"

_RULE_TYPE = text("type", enum=("node-affinity", "resource-affinity"))
_COMMENT, _DISABLE = text("comment", max_length=4096), flag("disable")
_NODES, _RESOURCES = text("nodes", format="pve-ha-node-list"), text("resources", format="pve-ha-resource-id-list")
_AFFINITY = text("affinity", enum=("positive", "negative"))
_CREATE = OneOf(
    by=_RULE_TYPE.needed(),
    variants={
        "node-affinity": (_COMMENT, _DISABLE, _NODES.needed(), _RESOURCES.needed(), flag("strict")),
        "resource-affinity": (_AFFINITY.needed(), _COMMENT, _DISABLE, _RESOURCES.needed()),
    },
    common=(text("rule", format="pve-configid", required=True),),
)
_UPDATE = OneOf(
    by=_RULE_TYPE.needed(),
    variants={
        "node-affinity": (_COMMENT, _DISABLE, _NODES, _RESOURCES, flag("strict")),
        "resource-affinity": (_AFFINITY, _COMMENT, _DISABLE, _RESOURCES),
    },
    common=(text("delete", max_length=4096, format="pve-configid-list"), text("digest", max_length=64)),
)


def _rule_row(cluster: Cluster, rule: HaRule) -> dict[str, Any]:
    order = list(cluster.ha.rules).index(rule.rule) + 1
    row: dict[str, Any] = {"order": order, "resources": ",".join(rule.resources), "rule": rule.rule, "type": rule.type}
    if rule.type == "node-affinity":
        row["nodes"] = ",".join(f"{n}:{p}" if p else n for n, p in rule.nodes.items())
        row["strict"] = int(rule.strict)
    else:
        row["affinity"] = rule.affinity
    if rule.disable:
        row["disable"] = 1
    if rule.comment:
        row["comment"] = rule.comment
    return {**row, "digest": _rules_digest(cluster)}


def _rules_digest(cluster: Cluster) -> str:
    return digest(*(f"{r}" for r in cluster.ha.rules.values()))


def _built(before: HaRule, params: dict[str, Any]) -> HaRule:
    values: dict[str, Any] = {k: params[k] for k in ("comment", "disable", "strict", "affinity") if k in params}
    if "nodes" in params:
        pairs = (item.partition(":") for item in params["nodes"].split(",") if item)
        values["nodes"] = {name: int(priority or 0) for name, _, priority in pairs}
    if "resources" in params:
        values["resources"] = [r for r in params["resources"].split(",") if r]
    return replace(before, **values)


def _check(call: Call, rule: HaRule, verb: str) -> None:
    """What a rule may not be, beyond what the world's own law refuses."""
    if rule.type == "resource-affinity" and not rule.disable:
        for other in call.cluster.ha.rules.values():
            shared = set(rule.resources) & set(other.resources)
            if other.type == "node-affinity" and shared and not other.disable and len(set(other.nodes.values())) > 1:
                _invalid(rule, verb, "resources are in node affinity rules with multiple priorities")
        if rule.affinity == "negative" and len(rule.resources) > len(call.cluster.nodes):
            _invalid(rule, verb, "rule defines more resources than available nodes")
        if len(rule.resources) < 2:
            _invalid(rule, verb, "rule is ineffective as there are less than two resources")
    try:
        call.laws.rule_set(call.cluster, rule)
    except LawError as error:
        _invalid(rule, verb, error.message)


def _invalid(rule: HaRule, verb: str, why: str) -> None:
    raise PveError(f"{verb} ha rule failed: 400 Rule '{rule.rule}' is invalid.\nresources: {why}")


@methods.serve("GET", "/cluster/ha/rules", [text("resource"), _RULE_TYPE], perm=_AUDIT)
def rules(call: Call) -> Any:
    wanted, sid = call.params.get("type"), call.params.get("resource")
    return [
        _rule_row(call.cluster, r)
        for r in call.cluster.ha.rules.values()
        if wanted in (None, r.type) and (sid is None or sid in r.resources)
    ]


@methods.serve("POST", "/cluster/ha/rules", _CREATE, perm=_CONSOLE)
def create_rule(call: Call) -> Any:
    name = call.params["rule"]
    if name in call.cluster.ha.rules:
        raise PveError(f"create ha rule failed: HA rule '{name}' already defined")
    _check(call, _built(HaRule(name, call.params["type"], []), call.params), "create")
    return None


def _rule(call: Call) -> HaRule:
    name = call.params["rule"]
    if name not in call.cluster.ha.rules:
        raise PveError(f"no such ha rule '{name}'")
    return call.cluster.ha.rules[name]


@methods.serve("GET", "/cluster/ha/rules/{rule}", perm=_AUDIT)
def get_rule(call: Call) -> Any:
    return _rule_row(call.cluster, _rule(call))


@methods.serve("PUT", "/cluster/ha/rules/{rule}", _UPDATE, perm=_CONSOLE)
def set_rule(call: Call) -> Any:
    before = _rule(call)
    if call.params["type"] != before.type:
        raise PveError(f"cannot change type of rule '{before.rule}'")
    if call.params.get("digest", "") not in ("", _rules_digest(call.cluster)):
        raise PveError("detected modified configuration - file changed by other user? Try again.")
    deleted = set(re.split(r"[,;\s]+", call.params.get("delete", "")))
    cleared: dict[str, Any] = {"comment": "", "disable": False, "strict": False}
    blank = replace(before, **{k: v for k, v in cleared.items() if k in deleted})
    _check(call, _built(blank, call.params), "update")
    return None


@methods.serve("DELETE", "/cluster/ha/rules/{rule}", perm=_CONSOLE)
def delete_rule(call: Call) -> Any:
    _rule(call)
    call.laws.rule_delete(call.cluster, call.params["rule"])
    return None
