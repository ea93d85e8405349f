"""The clusters as one document: to plan on, to send to a colleague, to compare later.

What could not be read is named in it, never left out in silence. It holds no secrets.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, cast

from noout import codec
from noout.app.privileges import LOOK, require
from noout.app.snapshot_sanity import ANEW, refuse_impossible
from noout.domain.ceph import CephState
from noout.domain.cluster import ClusterState, NodeId
from noout.domain.errors import NooutError, UsageError
from noout.domain.hardware import HardwareState
from noout.ports import Bmc, CephCluster, Clock, Hypervisor

FORMAT: Final = "noout.snapshot"
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """One cluster; ``ceph`` is None where it has none or it could not be read (then ``unreadable`` says so)."""

    state: ClusterState
    ceph: CephState | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """``part``: "ams1", "ams1 ceph" or "ams1/pve3 bmc"; ``why``: one sentence."""

    part: str
    why: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    format: Literal["noout.snapshot"]
    version: Literal[1]
    at: datetime
    clusters: tuple[ClusterSnapshot, ...]
    hardware: tuple[HardwareState, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()


async def take_snapshot(
    hypervisors: Mapping[str, Hypervisor],
    cephs: Mapping[str, CephCluster],
    bmcs: Mapping[NodeId, Bmc],
    clock: Clock,
    troubles: list[NooutError] | None = None,
) -> dict[str, Any]:
    """Observe everything once (the BMCs, slow as they are, side by side) and return the document as JSON data.

    What could not be read is named in it; the errors behind that are added to ``troubles``.
    """
    troubles = [] if troubles is None else troubles
    clusters: list[ClusterSnapshot] = []
    hardware: list[HardwareState] = []
    unreadable: list[Unreadable] = []
    for name, hypervisor in sorted(hypervisors.items()):
        try:
            await require(hypervisor, LOOK)
            state = await hypervisor.observe()
        except NooutError as error:
            unreadable.append(Unreadable(name, error.message))
            troubles.append(error)
            continue
        ceph: CephState | None = None
        if name in cephs:
            try:
                ceph = await cephs[name].observe()
            except NooutError as error:
                unreadable.append(Unreadable(f"{name} ceph", error.message))
                troubles.append(error)
        clusters.append(ClusterSnapshot(state, ceph))
    boards = sorted(bmcs.items())
    for (node, _), seen in zip(boards, await asyncio.gather(*(bmc.observe() for _, bmc in boards)), strict=True):
        if seen.reachable:
            hardware.append(seen)
        else:
            unreadable.append(Unreadable(f"{node} bmc", seen.trouble or "the BMC does not answer"))
    document = Snapshot(FORMAT, VERSION, clock.now(), tuple(clusters), tuple(hardware), tuple(unreadable))
    return cast(dict[str, Any], codec.encode(document))


def _is_cut(text: str, error: json.JSONDecodeError) -> bool:
    """All is well until the text ends: after a value, in a string, or in a word."""
    rest = text[error.pos :]
    in_a_word = any(word.startswith(rest) for word in ("true", "false", "null"))
    return in_a_word or error.msg.startswith("Unterminated string")


def load_snapshot(path: Path) -> Snapshot:
    """Read a snapshot; UsageError says in one sentence what is wrong with the file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", remedy="check the file's name and rights"
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not a snapshot: it is not text", remedy=ANEW) from None
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        cut = "it ends in the middle" if _is_cut(text.rstrip(), error) else "it is not JSON"
        where = f"line {error.lineno}, column {error.colno}"
        raise UsageError(f"{path} is not a whole snapshot: {cut} ({where})", remedy=ANEW) from None
    except ValueError:
        raise UsageError(f"{path} is not a snapshot: it holds a number of thousands of digits", remedy=ANEW) from None
    except RecursionError:
        raise UsageError(f"{path} is not a snapshot: it is nested too deeply", remedy=ANEW) from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise UsageError(f'{path} is not a snapshot: it does not say "format": "{FORMAT}"', remedy=ANEW)
    if data.get("version") != VERSION:
        raise UsageError(
            f"{path} is a snapshot of version {data.get('version')!r}; this noout reads version {VERSION}",
            remedy="take it anew with this noout, or read it with the one that wrote it",
        )
    document = codec.decode(Snapshot, data, what=str(path), strict=True)
    refuse_impossible(str(path), data["clusters"], [each.state for each in document.clusters])
    return document
