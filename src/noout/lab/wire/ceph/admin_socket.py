"""``ceph daemon NAME COMMAND``: asks a daemon on this very node through its socket, with or without a quorum."""

from __future__ import annotations

import json

from noout.lab.wire.ceph.daemons import MON_FEATURES, monmap, quorum
from noout.lab.wire.ceph.maps import FEATURES, Document
from noout.lab.wire.outcome import Outcome
from noout.lab.world.laws import Laws
from noout.lab.world.model import Ceph, Cluster, Mon, Osd

NO_SOCKET = "admin_socket: exception getting command descriptions: [Errno 2] No such file or directory\n"


def ask_daemon(laws: Laws, cluster: Cluster, ceph: Ceph, node: str, words: list[str]) -> Outcome:
    """``words``: the daemon's name and the command. 22 where no such daemon runs here or it knows no such command."""
    name, command = (words[0], words[1:]) if words else ("", [])
    kind, _, which = name.partition(".")
    document: Document | None = None
    if kind == "mon" and which == node and which in ceph.mons:
        mon = ceph.mons[which]
        if mon.running:
            document = _mon_status(laws, cluster, ceph, mon) if command == ["mon_status"] else {}
    elif kind == "osd" and which.isascii() and which.isdigit() and int(which) in ceph.osds:
        osd = ceph.osds[int(which)]
        if osd.running and osd.host == node:
            document = _osd_status(ceph, osd) if command == ["status"] else {}
    if document is None:
        return Outcome(22, "", NO_SOCKET)
    if not document:
        return Outcome(22, "", f"no valid command found for {' '.join(command) or '(none)'}\n")
    return Outcome(0, json.dumps(document, indent=4) + "\n")


def _mon_status(laws: Laws, cluster: Cluster, ceph: Ceph, mon: Mon) -> Document:
    names = laws.ceph_quorum(cluster)
    head = (
        quorum(laws, cluster, ceph)
        if names
        else {"election_epoch": 24, "quorum": [], "quorum_names": [], "quorum_age": 0}
    )
    state = "probing" if mon.name not in names else "leader" if names[0] == mon.name else "peon"
    document: Document = {
        "name": mon.name,
        "rank": mon.rank,
        "state": state,
        "election_epoch": head["election_epoch"],
        "quorum": head["quorum"],
        "features": {
            "required_con": str(FEATURES),
            "required_mon": MON_FEATURES,
            "quorum_con": str(FEATURES),
            "quorum_mon": MON_FEATURES,
        },
        "outside_quorum": [] if names else [mon.name],
        "extra_probe_peers": [],
        "sync_provider": [],
        "monmap": monmap(laws, ceph),
        "feature_map": {},
        "stretch_mode": False,
    }
    return document | ({"quorum_age": head["quorum_age"]} if names else {})


def _osd_status(ceph: Ceph, osd: Osd) -> Document:
    return {
        "cluster_fsid": ceph.fsid,
        "osd_fsid": osd.uuid,
        "whoami": osd.id,
        "state": "active" if osd.up else "preboot" if osd.preboot else "booting",
        "oldest_map": 1,
        "newest_map": ceph.epoch,
        "num_pgs": sum(osd.id in pg.acting for pg in ceph.pgs.values()),
    }
