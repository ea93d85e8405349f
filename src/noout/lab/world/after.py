"""What is different on a node after its next power-on: cables, cards, firmware, disks; and what mends each."""

from __future__ import annotations

from collections.abc import Callable

from noout.lab.world.model import Cluster, Node

OTHER_KERNEL = "6.17.2-1-pve"
CLOCK_AHEAD_S = 30.0
NARROW_MTU = 1400
CONFIGURED_PORTS = ("eno1", "eno2")
Change = Callable[[Cluster, Node], None]


def _renamed(cluster: Cluster, node: Node) -> None:
    """The card is found in another slot: the configuration's bond waits for a port that is called otherwise now."""
    node.ports = [CONFIGURED_PORTS[0], "enp65s0f1"]


def _named_again(cluster: Cluster, node: Node) -> None:
    node.ports = list(CONFIGURED_PORTS)


def _cable_out(cluster: Cluster, node: Node) -> None:
    node.ports_down = [node.ports[-1]]


def _cable_in(cluster: Cluster, node: Node) -> None:
    node.ports_down = []


def _narrow(cluster: Cluster, node: Node) -> None:
    """It hangs on another switch port, which lets smaller frames through than the node is configured for."""
    node.path_mtu = NARROW_MTU


def _wide(cluster: Cluster, node: Node) -> None:
    node.path_mtu = 9000


def _other_kernel(cluster: Cluster, node: Node) -> None:
    node.kernel = OTHER_KERNEL


def _own_kernel(cluster: Cluster, node: Node) -> None:
    node.kernel = next((other.kernel for other in cluster.nodes.values() if other is not node), Node.kernel)


def _clock_off(cluster: Cluster, node: Node) -> None:
    node.clock_ahead = CLOCK_AHEAD_S


def _clock_right(cluster: Cluster, node: Node) -> None:
    node.clock_ahead = 0.0


def _no_kvm(cluster: Cluster, node: Node) -> None:
    node.hvm = False


def _kvm(cluster: Cluster, node: Node) -> None:
    node.hvm = True


def _disk_out(cluster: Cluster, node: Node) -> None:
    """Its last disk is not found, and the OSD on it does not start."""
    node.disks_lost = 1
    _last_osd(cluster, node, True)


def _disk_in(cluster: Cluster, node: Node) -> None:
    node.disks_lost = 0
    _last_osd(cluster, node, False)


def _last_osd(cluster: Cluster, node: Node, lost: bool) -> None:
    own = [osd for osd in cluster.ceph.osds.values() if osd.host == node.name] if cluster.ceph else []
    for osd in own[-1:]:
        osd.will_not_start = lost


AFTER: dict[str, tuple[Change, Change]] = {
    "nic-renamed-after": (_renamed, _named_again),
    "bond-half-after": (_cable_out, _cable_in),
    "mtu-wrong-after": (_narrow, _wide),
    "kernel-changed-after": (_other_kernel, _own_kernel),
    "clock-off-after": (_clock_off, _clock_right),
    "kvm-missing-after": (_no_kvm, _kvm),
    "disk-missing-after": (_disk_out, _disk_in),
}
