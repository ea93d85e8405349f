"""The lab's own control API, /lab/v1: what tests and the demo's technician see and do. noout asks it for probes only.

======  ==================  ============================================================================
GET     /lab/v1             the clock: epoch, now, speed, seed, clusters
GET     /lab/v1/state       the clusters as they truly are (``?cluster=`` for one)
GET     /lab/v1/happened    what came about: ``[{at, cluster, text}]`` (``?since=`` Unix seconds, exclusive)
POST    /lab/v1/faults      ``{"cluster", "name", ...}``: switch a fault on
DELETE  /lab/v1/faults/N    ``{"cluster", ...}``: switch fault N off
POST    /lab/v1/hands       ``{"cluster", "node", "action", ...}``: the technician's hands
POST    /lab/v1/probe       ``{"cluster", "services": [vmid..], "at": [unix seconds..]}``: did they answer
======  ==================  ============================================================================

``cluster`` may be left out where there is one. Whatever is wrong with a request is told in one sentence, with 400.
"""

from __future__ import annotations

import json
import math
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from noout.lab.world.laws import LawError, Laws
from noout.lab.world.model import Ceph, Cluster, Guest

Document = dict[str, Any]
PROBES_MAX = 200_000  # services × instants in one request


class Wrong(Exception):
    """A request that cannot be understood: one sentence."""


class Control:
    def __init__(self, laws: Laws, speed: float) -> None:
        self.laws = laws
        self.speed = speed

    # --- reading a request -------------------------------------------------------------------------------

    async def _body(self, request: Request) -> Document:
        raw = await request.body()
        try:
            body = json.loads(raw or b"{}")
        except ValueError as error:
            raise Wrong(f"the body is not JSON: {error}") from error
        if not isinstance(body, dict):
            raise Wrong("the body has to be a JSON object")
        return body

    def _cluster(self, name: object) -> Cluster:
        clusters = self.laws.world.clusters
        if name is None and len(clusters) == 1:
            return next(iter(clusters.values()))
        if not isinstance(name, str) or name not in clusters:
            raise Wrong(f"cluster has to be one of {', '.join(clusters)}, not {name!r}")
        return clusters[name]

    @staticmethod
    def _text(body: Document, key: str) -> str:
        value = body.pop(key, None)
        if not isinstance(value, str) or not value:
            raise Wrong(f"{key} is missing or not a text")
        return value

    # --- seeing ------------------------------------------------------------------------------------------

    async def clock(self, request: Request) -> Response:
        now, world = self.laws.advance(), self.laws.world
        names = list(world.clusters)
        return JSONResponse(
            {"epoch": world.epoch, "now": now, "speed": self.speed, "seed": world.seed, "clusters": names}
        )

    async def state(self, request: Request) -> Response:
        now = self.laws.advance()
        wanted = request.query_params.get("cluster")
        clusters = [self._cluster(wanted)] if wanted else list(self.laws.world.clusters.values())
        return JSONResponse({"now": now, "clusters": {c.name: self._describe(c) for c in clusters}})

    def _describe(self, cluster: Cluster) -> Document:
        return {
            "nodes": {name: self._node(cluster, name) for name in cluster.nodes},
            "guests": {str(vmid): _guest(guest) for vmid, guest in cluster.guests.items()},
            "migrations": {
                str(vmid): {"source": m.source, "target": m.target, "phase": m.phase, "by_ha": m.by_ha}
                for vmid, m in cluster.migrations.items()
            },
            "ceph": _ceph(self.laws, cluster, cluster.ceph) if cluster.ceph else None,
            "tasks_running": [task.upid for task in cluster.tasks.values() if task.status == "running"],
        }

    def _node(self, cluster: Cluster, name: str) -> Document:
        node, bmc = cluster.nodes[name], cluster.bmcs.get(name)
        document: Document = {
            "power": node.power,
            "online": node.online,
            "ha": cluster.ha.node_status.get(name),
            "maintenance": cluster.ha.lrm[name].mode if name in cluster.ha.lrm else None,
        }
        if bmc is not None:
            document |= {
                "led": bmc.led,
                "lid_open": bmc.lid_open,
                "label": bmc.serial,
                "cords_pulled": bmc.cords_pulled,
                "bmc_mute": bmc.mute,
                "dimms": bmc.dimms,
                "fans": self.laws.fan_readings(cluster, name),
                "fan_faults": {fan.name: fan.cause for fan in bmc.fans.values() if fan.cause},
            }
        return document

    async def happened(self, request: Request) -> Response:
        now = self.laws.advance()
        try:
            since = float(request.query_params.get("since", "-inf"))
        except ValueError as error:
            raise Wrong("since is Unix seconds") from error
        rows = [
            {"at": at, "cluster": cluster, "text": text} for at, cluster, text in self.laws.world.happened if at > since
        ]
        return JSONResponse({"now": now, "happened": rows})

    # --- doing -------------------------------------------------------------------------------------------

    async def fault(self, request: Request) -> Response:
        body = await self._body(request)
        self.laws.advance()
        cluster, name = self._cluster(body.pop("cluster", None)), self._text(body, "name")
        self._do(lambda: self.laws.fault(cluster, name, **body), name)
        return JSONResponse({"cluster": cluster.name, "name": name, **body}, 201)

    async def clear_fault(self, request: Request) -> Response:
        body = await self._body(request)
        self.laws.advance()
        query = dict(request.query_params)
        cluster = self._cluster(body.pop("cluster", query.pop("cluster", None)))
        name = request.path_params["name"]
        self._do(lambda: self.laws.clear_fault(cluster, name, **query, **body), name)
        return Response(status_code=204)

    async def hands(self, request: Request) -> Response:
        body = await self._body(request)
        self.laws.advance()
        cluster, node = self._cluster(body.pop("cluster", None)), self._text(body, "node")
        action = self._text(body, "action")
        if node not in cluster.nodes:
            raise Wrong(f"node has to be one of {', '.join(cluster.nodes)}, not {node!r}")
        self._do(lambda: self.laws.hands(cluster, node, action, **body), action)
        return JSONResponse(self._node(cluster, node))

    @staticmethod
    def _do(act: Any, name: str) -> None:
        """Call a law with a stranger's parameters: what does not fit is the stranger's mistake, not ours."""
        try:
            act()
        except LawError as refusal:
            raise Wrong(refusal.message) from refusal
        except KeyError as missing:
            raise Wrong(f"{name}: {missing.args[0]!r} is unknown or missing") from missing
        except (TypeError, ValueError) as error:
            raise Wrong(f"{name}: {error}") from error

    async def probe(self, request: Request) -> Response:
        """Answers one by one, ``{"answers": {vmid: [true, false, ..]}}`` in the order of ``at``.

        An instant in the future has no answer yet: null.
        """
        body = await self._body(request)
        now = self.laws.advance()
        cluster = self._cluster(body.get("cluster"))
        services, instants = body.get("services"), body.get("at")
        if not isinstance(services, list) or not all(type(vmid) is int for vmid in services):
            raise Wrong("services has to be a list of guest numbers")
        if not isinstance(instants, list) or not all(type(at) in (int, float) and math.isfinite(at) for at in instants):
            raise Wrong("at has to be a list of Unix seconds")
        if len(services) * len(instants) > PROBES_MAX:
            raise Wrong(f"at most {PROBES_MAX} probes a request")
        unknown = [vmid for vmid in services if vmid not in cluster.guests]
        if unknown:
            raise Wrong(f"there is no guest {unknown[0]} in {cluster.name}")
        answers = {
            str(vmid): [self.laws.probe(cluster, vmid, float(at)) if at <= now else None for at in instants]
            for vmid in services
        }
        return JSONResponse({"now": now, "cluster": cluster.name, "at": instants, "answers": answers})


def _guest(guest: Guest) -> Document:
    return {
        "name": guest.name,
        "type": guest.type,
        "node": guest.node,
        "status": guest.status,
        "pool": guest.pool,
        "tags": guest.tags,
        "dark": [{"since": d.since, "until": d.until, "why": d.why} for d in guest.dark],
    }


def _ceph(laws: Laws, cluster: Cluster, ceph: Ceph) -> Document:
    return {
        "flags": sorted(ceph.flags),
        "crush_node_flags": {host: sorted(flags) for host, flags in ceph.crush_node_flags.items() if flags},
        "osds": {
            str(osd.id): {"host": osd.host, "up": osd.up, "in": osd.in_, "running": osd.running}
            for osd in ceph.osds.values()
        },
        "quorum": laws.ceph_quorum(cluster),
        "mgr_active": ceph.mgr_active,
        "pg_states": laws.pg_states(cluster),
        "bytes_moved": ceph.bytes_moved,
    }


async def _explain(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


def control_app(laws: Laws, speed: float = 1.0) -> Starlette:
    """The control API over all clusters of one world."""
    control = Control(laws, speed)
    base = "/lab/v1"
    return Starlette(
        routes=[
            Route(base, control.clock, methods=["GET"]),
            Route(f"{base}/state", control.state, methods=["GET"]),
            Route(f"{base}/happened", control.happened, methods=["GET"]),
            Route(f"{base}/faults", control.fault, methods=["POST"]),
            Route(f"{base}/faults/{{name}}", control.clear_fault, methods=["DELETE"]),
            Route(f"{base}/hands", control.hands, methods=["POST"]),
            Route(f"{base}/probe", control.probe, methods=["POST"]),
        ],
        exception_handlers={Wrong: _explain},
    )
