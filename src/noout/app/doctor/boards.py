"""The BMCs: is each there, is it this node's, and what would it do by itself?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from noout.app.doctor.diagnosis import Finding, finding
from noout.app.doctor.picture import ClusterPicture, Picture
from noout.domain.cluster import Node
from noout.domain.hardware import HardwareState, Power
from noout.domain.reasons import Blocker, Caution

STARTS_BY_ITSELF = {"alwayson": "starts as soon as it has power", "laststate": "may start as soon as it has power"}


def check(cluster: ClusterPicture, picture: Picture) -> Iterator[Finding]:
    nodes = cluster.state.nodes if cluster.state else ()
    if nodes and not cluster.settings.bmc:
        said = "no node has a BMC in the configuration: only it can prove that the power is off"
        remedy = f"add [clusters.{cluster.name}.bmc.NODE] for each node"
        yield finding(cluster.name, Blocker("bmc.missing", cluster.name, said, remedy))
        return
    for node in nodes:
        if picture.only and node.id not in picture.only:
            continue
        place, table = str(node.id), f"[clusters.{cluster.name}.bmc.{node.id.name}]"
        board = cluster.boards.get(node.id)
        if board is None:
            said = f"{node.id.name} has no BMC in the configuration: only it can prove that the power is off"
            yield finding(place, Blocker("bmc.missing", place, said, f"add {table}"))
        elif not board.reachable:
            why = board.trouble or "no reason given"
            said = f"the BMC of {node.id.name} does not answer ({why}): no power step is safe"
            remedy = f"check {table} and the BMC's network; ipmitool mc reset cold on the node restarts it"
            yield finding(place, Blocker("bmc.silent", place, said, remedy))
        else:
            yield from _answers(cluster, node, board)
    yield from _twice(cluster)
    for id, fault in sorted(cluster.faults.items()):
        said = f"its hardware asks for a maintenance ({fault.urgency.value}): {fault.summary}"
        yield finding(str(id), Caution("hardware.fault", str(id), said, f"noout health {id}, then noout plan {id}"))


def _answers(cluster: ClusterPicture, node: Node, board: HardwareState) -> Iterator[Finding]:
    name, place = node.id.name, str(node.id)
    known = cluster.settings.nodes.get(name)
    serial = known.serial if known is not None else ""
    if serial and board.serial and serial.casefold() != board.serial.casefold():
        said = (
            f"the BMC of {name} belongs to {board.serial}, the configuration says {serial}: it may be another machine's"
        )
        remedy = (
            f"read the label at the rack; then correct the BMC's url or [clusters.{cluster.name}.nodes.{name}] serial"
        )
        evidence = {"bmc": board.serial, "configured": serial}
        yield finding(place, Blocker("bmc.other-machine", place, said, remedy, evidence))
    elif node.online and board.power is Power.OFF:
        said = f"{name} is online and its BMC says that the power is off: it may be another machine's"
        yield finding(
            place, Blocker("bmc.disagrees", place, said, "check the BMC's url; restart the BMC if it is right")
        )
    policy = STARTS_BY_ITSELF.get(board.power_restore.lower())
    if policy is not None:
        said = f"{name} {policy} (power restore policy {board.power_restore}): mind the technician's hands"
        remedy = "set it to AlwaysOff in the BMC, at least while somebody works inside"
        yield finding(place, Caution("bmc.power-restore", place, said, remedy))
    if board.led_on:
        said = f"the locate LED of {name} is on already: somebody may be looking for it"
        yield finding(place, Caution("bmc.led-on", place, said, "ask at the rack, then switch it off"))


def _twice(cluster: ClusterPicture) -> Iterator[Finding]:
    by_serial: dict[str, list[str]] = defaultdict(list)
    for node, board in sorted(cluster.boards.items()):
        if board.reachable and board.serial:
            by_serial[board.serial].append(node.name)
    for serial, names in by_serial.items():
        if len(names) > 1:
            said = f"the BMCs of {', '.join(names)} are one machine's ({serial})"
            remedy = f"correct their url under [clusters.{cluster.name}.bmc]"
            yield finding(cluster.name, Blocker("bmc.same-machine", serial, said, remedy))
