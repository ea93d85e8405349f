"""What stands around the guests: packages of a node, SDN zones, the QDevice."""

from __future__ import annotations

import hashlib
from typing import Any

from noout.lab.wire.pve.call import Call, Methods
from noout.lab.wire.pve.parameters import flag, text

methods = Methods()
_PACKAGES = {
    "ceph": "19.2.3-pve2",
    "corosync": "3.1.9-pve2",
    "pve-cluster": "9.1.6",
    "pve-container": "6.1.10",
    "pve-ha-manager": "5.2.0",
    "pve-qemu-kvm": "10.1.2-7",
    "qemu-server": "9.2.6",
}
_ZONE_TYPES = ("evpn", "faucet", "qinq", "simple", "vlan", "vxlan")


@methods.serve("GET", "/nodes/{node}/apt/versions", perm="/nodes/{node} Sys.Audit")
def versions(call: Call) -> Any:
    """The packages that Proxmox VE reports: OldVersion is what is installed."""
    node = call.node
    manager = node.pve_version or call.cluster.version
    newest = node.kernel_installed or node.kernel
    rows = [
        {**_package("proxmox-ve", f"{manager.rsplit('.', 1)[0]}.0"), "RunningKernel": node.kernel},
        {**_package("pve-manager", manager), "ManagerVersion": manager},
    ]
    rows += [_package(name, version) for name, version in _PACKAGES.items()]
    rows += [
        _package(f"proxmox-kernel-{release}-signed", release.removesuffix("-pve"))
        for release in sorted({node.kernel, newest})
    ]
    return rows


def _package(name: str, version: str) -> dict[str, Any]:
    return {
        "Arch": "amd64",
        "CurrentState": "Installed",
        "Description": f"{name} of the lab",
        "OldVersion": version,
        "Origin": "Proxmox",
        "Package": name,
        "Priority": "optional",
        "Section": "admin",
        "Title": name,
        "Version": version,
    }


@methods.serve(
    "GET", "/cluster/sdn/zones", [flag("pending"), flag("running"), text("type", enum=_ZONE_TYPES)]
)  # fmt: skip
def zones(call: Call) -> Any:
    return [
        {"digest": hashlib.sha1(str(zone).encode(), usedforsecurity=False).hexdigest(), **zone}
        for zone in call.cluster.sdn_zones
        if call.may(f"/sdn/zones/{zone['zone']}", "SDN.Audit|SDN.Allocate")
        and call.params.get("type") in (None, zone["type"])
    ]


@methods.serve("GET", "/cluster/config/qdevice", perm="/ Sys.Audit")
def qdevice(call: Call) -> Any:
    if not call.cluster.qdevice:
        return {}
    return {
        "Algorithm": "Fifty-Fifty split",
        "Model": "Net",
        "QNetd host": f"{call.here.ip.rsplit('.', 1)[0]}.253:5403",
        "State": "Connected",
        "Tie-breaker": "Node with lowest node ID",
    }
