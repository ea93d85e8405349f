"""The CephCluster port: ``ceph ... --format json`` on one of several nodes, the next one when the first is away.

Nothing waits for ever: a connection to the mons is bounded by ``--connect-timeout``, a command that the mgr should
answer (and hangs without one) by the shell's time-out.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from noout.adapters.ceph import parse
from noout.adapters.ceph.parse import Documents
from noout.domain.ceph import CephState, OkToStop
from noout.domain.cluster import NodeId
from noout.domain.errors import Broken, Forbidden, NooutError, Refused, Retryable, UnknownOutcome
from noout.ports import Clock, Completed, Shell

CONNECT_TIMEOUT_S = 10
COMMAND_TIMEOUT_S = 30.0
MGR_TIMEOUT_S = 10.0  # for what hangs without an active mgr
UNSAFE = 16  # exit code of `osd ok-to-stop` for "no" (EBUSY)
GROUP_FLAGS = frozenset({"noout", "noup", "nodown", "noin"})


class CephCli:
    """One Ceph cluster. ``nodes``: where ``ceph`` can be run, in order of preference; ``user``: a keyring's name
    (``client.noout``), None for the node's own admin."""

    def __init__(self, shell: Shell, nodes: Sequence[NodeId], clock: Clock, *, user: str | None = None) -> None:
        if not nodes:
            raise ValueError("Ceph needs at least one node to be asked on")
        self._shell = shell
        self._nodes = list(nodes)
        self._clock = clock
        self._user = user

    async def observe(self) -> CephState:
        """Raises Retryable when no node answers. Without a quorum: what one mon's admin socket says."""
        try:
            node, answer = await self._first("status")
        except Retryable:
            alone = await self._without_quorum()
            if alone is None:
                raise
            return alone
        status = _table(answer)
        names = ("osd dump", "osd tree", "mon dump", "mgr dump", "mon metadata")
        wanted = [self._document(node, *name.split()) for name in names]
        if _table(status.get("mgrmap")).get("available"):
            wanted.append(self._optional(node, "osd", "df"))
        osd_dump, osd_tree, mon_dump, mgr_dump, mon_metadata, *rest = await asyncio.gather(*wanted)
        state = parse.ceph_state(
            self._clock.now(),
            Documents(
                status=status,
                osd_dump=_table(osd_dump),
                osd_tree=_table(osd_tree),
                osd_df=_table(rest[0]) if rest else {},
                mon_dump=_table(mon_dump),
                mgr_dump=_table(mgr_dump),
                mon_metadata=tuple(_table(row) for row in mon_metadata or ()),
            ),
        )
        # For up to 30 s the mons go on believing in a mgr that is gone; only an answer of its own shows that it lives.
        mgr_answered = bool(rest) and rest[0] is not None
        return state if mgr_answered else replace(state, fresh=False)

    async def ok_to_stop(self, osds: Sequence[int]) -> OkToStop:
        """Ceph's own judgement of stopping all of ``osds`` at once; Retryable when there is no mgr to ask."""
        asked = tuple(osds)
        if not asked:
            return OkToStop((), True, "nothing to stop")
        node, dump = await self._first("osd", "dump")
        known = frozenset(int(row["osd"]) for row in _table(dump).get("osds") or ())
        argv = self._argv("osd", "ok-to-stop", *map(str, asked))
        try:
            done = await self._shell.run(node, argv, timeout_s=COMMAND_TIMEOUT_S)
        except UnknownOutcome as error:
            raise Retryable(f"`{' '.join(argv)}` hangs: {error.message}", remedy="is there an active mgr?") from None
        if done.exit not in (0, UNSAFE):
            raise _failure(node, argv, done)
        return parse.ok_to_stop(asked, known, _table(_json(node, argv, done)))

    async def osd_machines(self) -> Mapping[int, str]:
        _, rows = await self._first("osd", "metadata")
        return {
            int(row["id"]): str(row["hostname"]).split(".")[0]
            for row in (rows if isinstance(rows, list) else ())
            if "id" in row and row.get("hostname")
        }

    async def osd_addresses(self) -> Mapping[str, frozenset[str]]:
        """Short host name -> the addresses at which its OSDs serve clients and each other."""
        _, rows = await self._first("osd", "metadata")
        found: dict[str, set[str]] = {}
        for row in rows if isinstance(rows, list) else ():
            for key in ("front_addr", "back_addr"):
                found.setdefault(str(row.get("hostname")).split(".")[0], set()).update(parse.addresses(row.get(key)))
        return {host: frozenset(addresses) for host, addresses in found.items()}

    async def set_host_flags(self, host: str, flags: frozenset[str]) -> None:
        await self._group("set-group", host, flags)

    async def unset_host_flags(self, host: str, flags: frozenset[str]) -> None:
        await self._group("unset-group", host, flags)

    async def fail_mgr(self) -> None:
        node, answer = await self._first("mgr", "dump")
        dump = _table(answer)
        active = str(dump.get("active_name") or "")
        if not active:
            raise Refused("Ceph has no active mgr to fail over", remedy="start one: systemctl start ceph-mgr@NODE")
        if not dump.get("standbys"):
            raise Refused(
                f"mgr.{active} has no standby to take over", remedy="create a second mgr (pveceph mgr create)"
            )
        await self._effect(node, self._argv("mgr", "fail", active))

    async def fail_mds(self, name: str) -> None:
        node, answer = await self._first("status")
        active = [each for each, state in parse.mds_states(_table(answer)) if state == "up:active"]
        if name not in active:
            raise Refused(f"mds.{name} serves no file system", remedy="see `ceph fs status`")
        await self._effect(node, self._argv("mds", "fail", name))

    # --- inside ------------------------------------------------------------------------------------------

    def _argv(self, *words: str) -> list[str]:
        name = ["--name", self._user] if self._user else []
        return ["ceph", *name, "--connect-timeout", str(CONNECT_TIMEOUT_S), *words, "--format", "json"]

    async def _group(self, verb: str, host: str, flags: frozenset[str]) -> None:
        if not flags or not flags <= GROUP_FLAGS:
            raise ValueError(f"not flags of a host: {sorted(flags)}")
        argv = self._argv("osd", verb, ",".join(sorted(flags)), host)
        last: Retryable | None = None
        for node in list(self._nodes):
            try:
                await self._effect(node, argv)
            except Retryable as error:
                last = error
                continue
            return
        assert last is not None  # there is at least one node
        raise last

    async def _effect(self, node: NodeId, argv: Sequence[str]) -> None:
        done = await self._shell.run(node, argv, timeout_s=COMMAND_TIMEOUT_S)
        if done.exit != 0:
            raise _failure(node, argv, done)

    async def _first(self, *words: str) -> tuple[NodeId, Any]:
        """The answer of the first node that gives one; that node is asked first from now on."""
        failures = []
        for node in list(self._nodes):
            try:
                document = await self._document(node, *words)
            except Retryable as error:
                failures.append(error.message)
                continue
            self._nodes.remove(node)
            self._nodes.insert(0, node)
            return node, document
        raise Retryable(f"no node could ask Ceph: {'; '.join(failures)}", remedy="check SSH to the nodes and the mons")

    async def _document(self, node: NodeId, *words: str) -> Any:
        argv = self._argv(*words)
        try:
            done = await self._shell.run(node, argv, timeout_s=COMMAND_TIMEOUT_S)
        except UnknownOutcome as error:  # only read: asking again is safe
            raise Retryable(error.message, remedy=error.remedy) from None
        if done.exit != 0:
            raise _failure(node, argv, done)
        return _json(node, argv, done)

    async def _optional(self, node: NodeId, *words: str) -> Any:
        """None where it cannot be had: the mgr may have gone since the status was read."""
        argv = self._argv(*words)
        try:
            done = await self._shell.run(node, argv, timeout_s=MGR_TIMEOUT_S)
            return _json(node, argv, done) if done.exit == 0 else None
        except (UnknownOutcome, Retryable):
            return None

    async def _without_quorum(self) -> CephState | None:
        for node in list(self._nodes):
            argv = ["ceph", "daemon", f"mon.{node.name}", "mon_status"]
            try:
                done = await self._shell.run(node, argv, timeout_s=MGR_TIMEOUT_S)
                document = _table(_json(node, argv, done)) if done.exit == 0 else {}
            except (UnknownOutcome, Retryable):
                continue
            if document.get("monmap") and not document.get("quorum"):
                return parse.without_quorum(self._clock.now(), document)
        return None


def _json(node: NodeId, argv: Sequence[str], done: Completed) -> Any:
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise Retryable(f"`{' '.join(argv)}` on {node} did not print JSON") from None


def _failure(node: NodeId, argv: Sequence[str], done: Completed) -> NooutError:
    said = (done.stderr.strip().splitlines() or [f"exit code {done.exit}"])[-1]
    what = f"`{' '.join(argv)}` on {node}: {said}"
    low = said.lower()
    if "timed out" in low or "error connecting" in low:
        return Retryable(what, remedy="the mons do not answer from there: check their quorum")
    if "eacces" in low or "eperm" in low or "access denied" in low:
        return Forbidden(
            what, privilege="ceph caps", remedy="give the keyring that `ceph` uses there the caps for this command"
        )
    if done.exit == 126:
        return Forbidden(
            what,
            privilege="noout-shell",
            remedy="see that node's syslog, and what its authorized_keys allows noout's key",
        )
    if done.exit == 127:
        return Broken(what, remedy="run it on a node where Ceph is installed")
    return Refused(what)


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
