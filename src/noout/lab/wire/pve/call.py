"""One API call as a handler sees it, the errors it may raise, and the table of methods."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from noout.lab.wire.pve.access import Principal, allowed
from noout.lab.wire.pve.parameters import OneOf, Param, node, text, vmid, whole
from noout.lab.world.laws import Laws
from noout.lab.world.model import Cluster, Guest, Node

# Ceph's flags as PVE lists them, with its descriptions.
FLAGS = {
    "nobackfill": "Backfilling of PGs is suspended.",
    "nodeep-scrub": "Deep Scrubbing is disabled.",
    "nodown": "OSD failure reports are being ignored, such that the monitors will not mark OSDs down.",
    "noin": "OSDs that were previously marked out will not be marked back in when they start.",
    "noout": "OSDs will not automatically be marked out after the configured interval.",
    "norebalance": "Rebalancing of PGs is suspended.",
    "norecover": "Recovery of PGs is suspended.",
    "noscrub": "Scrubbing is disabled.",
    "notieragent": "Cache tiering activity is suspended.",
    "noup": "OSDs are not allowed to start.",
    "pause": "Pauses read and writes.",
}


FOUND_MAX = 1000


class PveError(Exception):
    """An error as PVE answers it: status, message (its first line is the reason phrase), faults by parameter."""

    def __init__(self, message: str, status: int = 500, errors: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message, self.status, self.errors = message, status, errors


def bad_parameter(name: str, text: str) -> PveError:
    return PveError("Parameter verification failed.", 400, {name: text})


@dataclass(frozen=True)
class Listing:
    """Data with a total of its own, for paged answers."""

    data: Any
    total: int


@dataclass(frozen=True)
class Noted:
    """Data, and what the answer says beside it."""

    data: Any
    beside: dict[str, Any]


@dataclass(frozen=True)
class Call:
    """``here`` is the node that was asked, ``node`` the one that the call is about (the same unless proxied)."""

    laws: Laws
    cluster: Cluster
    here: Node
    node: Node
    who: Principal
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def now(self) -> float:
        return self.laws.now

    def may(self, path: str, wanted: str) -> bool:
        return allowed(self.cluster, self.who, path, wanted)

    def require(self, path: str, wanted: str) -> None:
        if not self.may(path, wanted):
            raise PveError(f"Permission check failed ({path}, {wanted})", 403)

    def guest(self, kind: str) -> Guest:
        """The guest of the path; PVE's own complaint when its configuration is not on this node."""
        found = self.cluster.guests.get(self.params["vmid"])
        if found is None or found.type != kind or found.node != self.node.name:
            folder = "qemu-server" if kind == "qemu" else "lxc"
            path = f"nodes/{self.node.name}/{folder}/{self.params['vmid']}.conf"
            raise PveError(f"Configuration file '{path}' does not exist")
        return found


Handler = Callable[[Call], Any]

# What a segment {name} of a path may hold.
_PATH_PARAMS: dict[str, Param] = {
    "node": node("node"),
    "vmid": vmid("vmid"),
    "osdid": whole("osdid"),
    "flag": text("flag", enum=tuple(FLAGS)),
    "storage": text("storage", format="pve-storage-id"),
    "poolid": text("poolid", format="pve-poolid"),
    "rule": text("rule", format="pve-configid"),
    "sid": text("sid", format="pve-ha-resource-or-vm-id"),
}


@dataclass(frozen=True)
class Method:
    """One method of the API. ``perm`` is "PATH PRIVILEGE" (``A|B``: either), "all" or "world" (no login)."""

    verb: str
    path: str
    handler: Handler
    params: tuple[Param, ...] | OneOf
    perm: str
    proxied: bool  # carried out by the node of the path

    @cached_property
    def path_params(self) -> tuple[Param, ...]:
        names = re.findall(r"\{(\w+)\}", self.path)
        return tuple(_PATH_PARAMS.get(n, text(n)).needed() for n in names)


class Methods:
    """The methods of one chapter of the API; its decorator ``serve`` fills it."""

    def __init__(self) -> None:
        self.all: list[Method] = []

    def serve(
        self,
        verb: str,
        path: str,
        params: Sequence[Param] | OneOf = (),
        *,
        perm: str = "all",
        proxied: bool | None = None,
    ) -> Callable[[Handler], Handler]:
        """Serve ``verb path`` by the decorated handler; calls about a node are proxied to it unless said otherwise."""

        def register(handler: Handler) -> Handler:
            declared = params if isinstance(params, OneOf) else tuple(params)
            through = path.startswith("/nodes/{node}/") if proxied is None else proxied
            self.all.append(Method(verb, path, handler, declared, perm, through))
            return handler

        return register


class Table:
    """All methods, found by verb and path."""

    def __init__(self, chapters: Sequence[Methods]) -> None:
        self.all = [method for chapter in chapters for method in chapter.all]
        self._by_shape: dict[tuple[str, int], list[tuple[list[str], Method]]] = {}
        self._found: dict[tuple[str, str], tuple[Method, dict[str, str]] | None] = {}
        for method in self.all:
            segments = _segments(method.path)
            self._by_shape.setdefault((method.verb, len(segments)), []).append((segments, method))

    def find(self, verb: str, path: str) -> tuple[Method, dict[str, str]] | None:
        """The method and the values in its path; a fixed segment wins over a named one."""
        if (verb, path) not in self._found:
            if len(self._found) >= FOUND_MAX:  # paths of tasks never come back
                self._found.clear()
            self._found[verb, path] = self._search(verb, path)
        return self._found[verb, path]

    def _search(self, verb: str, path: str) -> tuple[Method, dict[str, str]] | None:
        wanted = _segments(path)
        found: list[tuple[Method, dict[str, str]]] = []
        for segments, method in self._by_shape.get((verb, len(wanted)), ()):
            pairs = list(zip(segments, wanted, strict=True))
            if all(pattern[0] == "{" or pattern == given for pattern, given in pairs):
                found.append((method, {p[1:-1]: given for p, given in pairs if p[0] == "{"}))
        return min(found, key=lambda f: len(f[1]), default=None)


def _segments(path: str) -> list[str]:
    return [s for s in path.split("/") if s]
