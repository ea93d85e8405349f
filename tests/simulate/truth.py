"""Is it so? What the journal calls done, looked up in the world itself, not over the wire."""

from __future__ import annotations

from typing import Any

from noout.lab.world.model import Cluster


def is_so(cluster: Cluster, verb: str, subject: str, args: dict[str, Any]) -> bool | None:
    """None for what the world's model does not tell."""
    ceph = cluster.ceph
    assert ceph is not None
    name = subject.partition(".")[2]
    guest = cluster.guests.get(int(subject.rpartition("/")[2])) if subject.rpartition("/")[2].isdigit() else None
    node = cluster.nodes.get(subject.rpartition("/")[2])
    match verb:
        case "set-noout" | "set-noup":
            return str(args["flag"]) in ceph.crush_node_flags.get(subject, set())
        case "stop-osd" | "start-osd":
            return ceph.osds[int(name)].up is (verb == "start-osd")
        case "stop-mon" | "start-mon":
            return ceph.mons[name].in_quorum is (verb == "start-mon")
        case "migrate" | "ha-migrate" if guest is not None:
            return guest.node == args["target"] and guest.vmid not in {m.guest for m in cluster.migrations.values()}
        case "shutdown-guest" | "start-guest" if guest is not None:
            return guest.status == ("stopped" if verb == "shutdown-guest" else "running")
        case "onboot-off" | "onboot-back" if guest is not None:
            return guest.onboot is (verb == "onboot-back")
        case "shutdown-node" | "force-off" | "power-on" if node is not None:
            return node.power is (verb == "power-on")
        case "fail-mgr":
            return ceph.mgr_active != subject
    return None
