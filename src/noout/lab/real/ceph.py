"""A real Ceph cluster as processes of this one: four CRUSH hosts, three mons, two mgrs, eight OSDs.

::

    async with RealCeph() as ceph:
        await ceph.run(["ceph", "osd", "tree"])
        await ceph.stop("osd.2", "osd.3")

Each host has an address of its own: on loopback (127.0.S.N; S is reserved, so that two clusters never meet), or where
``places`` says, in a network namespace each. Everything lies in one temporary folder. A warden, a small process of its
own, ends every daemon and removes the folder as soon as this process lets go of it, be it by dying. (The kernel's
parent-death signal is no help: a mgr that is failed over starts itself anew from another thread, which loses it.)
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import signal
import socket
import struct
import subprocess
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from noout.lab.real.cephfork import CephForks
from noout.lab.real.needs import lacking_for_ceph
from noout.lab.real.warden import engage
from noout.lab.wire.outcome import Outcome

HOSTS = ("pve1", "pve2", "pve3", "pve4")
OSDS = {host: (2 * i, 2 * i + 1) for i, host in enumerate(HOSTS)}
MONS = HOSTS[:3]
MGRS = HOSTS[:2]
POOL = "rbd"
PGS = 64
START_LIMIT_S = 90.0
STOP_LIMIT_S = 30.0
# Much shorter than Ceph's own 600 s, so that a test can see that OSDs go out, or do not.
DOWN_OUT_INTERVAL_S = 6
# Ceph's own is 30 s: how long the mons believe in a mgr that fell silent.
MGR_GRACE_S = 5
# Ceph's own is 120 s: a cluster younger than that says nothing of a missing mgr, and never will of that one.
MGR_MKFS_GRACE_S = 0
# What a mgr loads each time that it starts, for seconds, and nobody asks for here.
UNUSED_MODULES = (
    "alerts,cephadm,dashboard,diskprediction_local,influx,insights,k8sevents,localpool,mds_autoscaler,mirroring,nfs,"
    "osd_perf_query,prometheus,restful,rook,selftest,snap_schedule,stats,telegraf,test_orchestrator,zabbix"
)

CONF = """\
[global]
fsid = {fsid}
mon_host = {mon_host}
mon_initial_members = {mons}
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
keyring = {folder}/$name.keyring
run_dir = {folder}
admin_socket = {folder}/$name.asok
log_file = {folder}/$name.log
log_to_stderr = false
err_to_stderr = true
public_network = {network}
osd_pool_default_size = 3
osd_pool_default_min_size = 2
osd_pool_default_pg_autoscale_mode = off
[mon]
mon_data = {folder}/$name
auth_allow_insecure_global_id_reclaim = false
mon_allow_pool_delete = true
mon_osd_down_out_interval = {down_out}
mon_osd_adjust_down_out_interval = false
mon_mgr_beacon_grace = {mgr_grace}
mon_mgr_mkfs_grace = {mgr_mkfs_grace}
mon_tick_interval = 1
mon_data_avail_warn = 1
mon_data_avail_crit = 0
mon_warn_on_pool_no_redundancy = false
paxos_propose_interval = 0.2
[mds]
mds_data = {folder}/$name
[mgr]
mgr_data = {folder}/$name
mgr_tick_period = 1
mgr_stats_period = 1
mgr_initial_modules =
mgr_disabled_modules = {unused}
[osd]
osd_data = {folder}/$name
osd_objectstore = bluestore
bluestore_block_size = 8589934592
bluestore_block_create = true
bluestore_cache_autotune = false
bluestore_cache_size = 33554432
bluestore_fsck_on_mount = false
osd_memory_target = 939524096
osd_mgr_stats_report_interval = 1
osd_scrub_begin_hour = 0
osd_scrub_end_hour = 0
osd_max_scrubs = 0
[client]
admin_socket =
log_file =
"""


def cephx_key() -> str:
    """A secret as Ceph writes it: type AES, no birthday, 16 bytes."""
    return base64.b64encode(struct.pack("<HIIH", 1, 0, 0, 16) + secrets.token_bytes(16)).decode()


def _reserve() -> tuple[int, socket.socket]:
    """A subnet 127.0.S of our own: the socket bound in it keeps every other cluster out while it is open."""
    for subnet in range(1, 255):
        guard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            guard.bind((f"127.0.{subnet}.1", 3300))
            with socket.socket() as mon:
                mon.bind((f"127.0.{subnet}.1", 3300))
        except OSError:
            guard.close()
            continue
        return subnet, guard
    raise RuntimeError("no loopback subnet is free for a Ceph cluster")


@dataclass(frozen=True)
class Places:
    """Where the hosts are: their addresses, and the commands that enter their namespaces."""

    addresses: Mapping[str, str]
    network: str
    inside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class RealCeph:
    """See the module. ``daemons`` maps "osd.3", "mon.pve1", "mgr.pve2" to processes that were started."""

    def __init__(self, places: Places | None = None, *, parent: Path | None = None) -> None:
        self.fsid = str(uuid.uuid4())
        self.places = places
        self._parent = parent  # where its folder is made
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.uuids = {osd: str(uuid.uuid4()) for osds in OSDS.values() for osd in osds}
        self._closing = contextlib.ExitStack()
        self._warden: subprocess.Popen[bytes] | None = None

    # --- up and down ------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        why = lacking_for_ceph()
        if why:
            raise RuntimeError(why)
        try:
            async with asyncio.timeout(START_LIMIT_S):
                await self._create()
        except BaseException as error:  # whatever happened: no process and no folder may stay
            told = self.last_words() if isinstance(error, Exception) else ""
            self._destroy()
            if told:
                error.add_note(told)
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._destroy()

    def _destroy(self) -> None:
        for process in self.daemons.values():
            if process.poll() is None:
                process.kill()
        for process in self.daemons.values():
            process.wait()
        if self._warden is not None:
            self._warden.communicate()  # its stdin ends: it looks for what else there may be, and removes the folder
        self._closing.close()

    async def _create(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="noout-ceph-", dir=self._parent))
        self._warden = engage(self.folder)
        if self.places is None:
            subnet, guard = _reserve()
            self._closing.enter_context(guard)
            addresses = {host: f"127.0.{subnet}.{number}" for number, host in enumerate(HOSTS, 1)}
            self.places = Places(addresses, "127.0.0.0/8")
        self.conf = self.folder / "ceph.conf"
        self._forks = CephForks(self.folder)
        self._closing.callback(self._forks.close)
        self._write_files()
        monmap = str(self.folder / "monmap")
        mons = [word for host in MONS for word in ("--addv", host, self._mon_address(host))]
        how = ["--create", "--fsid", self.fsid, "--set-min-mon-release", "pacific", "--enable-all-features"]
        await self._program(["monmaptool", *how, *mons, monmap])
        seed = str(self.folder / "seed.keyring")
        mkfs_mon = [["ceph-mon", "--mkfs", "-i", host, "--monmap", monmap, "--keyring", seed] for host in MONS]
        mkfs_osd = [
            ["ceph-osd", "--mkfs", "-i", str(osd), "--osd-uuid", unique, "--no-mon-config"]
            for osd, unique in self.uuids.items()
        ]
        making = asyncio.gather(*(self._program(argv) for argv in mkfs_osd))
        try:
            await asyncio.gather(*(self._program(argv) for argv in mkfs_mon))
            self._spawn(*(f"mon.{host}" for host in MONS), *(f"mgr.{host}" for host in MGRS))
            await self._introduce()
            await making
        finally:
            making.cancel()  # no effect once they are made
            await asyncio.gather(making, return_exceptions=True)
        self._spawn(*(f"osd.{osd}" for osd in self.uuids))
        await self.until(self._all_up, limit_s=START_LIMIT_S)
        await self.ceph("osd", "pool", "create", POOL, str(PGS))
        await self.ceph("osd", "pool", "application", "enable", POOL, "rbd")
        await self.until(self.clean, limit_s=START_LIMIT_S)

    def _write_files(self) -> None:
        """The configuration, and keys for everybody; the mons' own database begins with them."""
        assert self.places is not None
        text = CONF.format(
            folder=self.folder,
            network=self.places.network,
            fsid=self.fsid,
            mons=",".join(MONS),
            mon_host=",".join(self._mon_address(host) for host in MONS),
            down_out=DOWN_OUT_INTERVAL_S,
            mgr_grace=MGR_GRACE_S,
            mgr_mkfs_grace=MGR_MKFS_GRACE_S,
            unused=UNUSED_MODULES,
        )
        caps = {
            "mon.": {"mon": "allow *"},
            "client.admin": {kind: "allow *" for kind in ("mon", "mgr", "osd", "mds")},
        }
        for host in MONS:
            text += f"[mon.{host}]\npublic_addr = {self.address(host)}\n"
        for host in MGRS:
            text += f"[mgr.{host}]\npublic_addr = {self.address(host)}\n"
            caps[f"mgr.{host}"] = {"mon": "allow profile mgr", "osd": "allow *", "mds": "allow *"}
        for osd in self.uuids:
            address, host = self.address(host_of(osd)), host_of(osd)
            text += f"[osd.{osd}]\npublic_addr = {address}\ncluster_addr = {address}\n"
            text += f"crush_location = root=default host={host}\n"
            caps[f"osd.{osd}"] = {"mon": "allow profile osd", "mgr": "allow profile osd", "osd": "allow *"}
        self.conf.write_text(text)
        entries = {}
        for entity, granted in caps.items():
            lines = [f"[{entity}]", f"\tkey = {cephx_key()}"]
            entries[entity] = "\n".join([*lines, *(f'\tcaps {k} = "{v}"' for k, v in granted.items())]) + "\n"
            (self.folder / f"{entity}.keyring").write_text(entries[entity])
        (self.folder / "seed.keyring").write_text("".join(entries.values()))
        for host in MONS:
            (self.folder / f"mon.{host}.keyring").write_text(entries["mon."])
        for name in [*(f"mgr.{host}" for host in MGRS), *(f"osd.{osd}" for osd in self.uuids)]:
            (self.folder / name).mkdir()

    async def _introduce(self) -> None:
        """Tell the mons of every OSD before it is born, over one session (a command line takes 0.7 s each)."""
        lines = [f"osd new {unique} {osd}" for osd, unique in self.uuids.items()]
        lines.append("config set global mon_warn_on_insecure_global_id_reclaim_allowed false")
        done = await self._run(["ceph", "--connect-timeout", "30"], 60.0, given="\n".join(lines) + "\n")
        if done.exit:
            raise RuntimeError(f"the mons did not take the OSDs: {done.stderr or done.stdout}")

    async def _program(self, argv: Sequence[str]) -> None:
        done = await self._run([argv[0], "-c", str(self.conf), *argv[1:]], 60.0)
        if done.exit:
            raise RuntimeError(f"{' '.join(argv)} ended with {done.exit}: {done.stderr or done.stdout}")

    def _spawn(self, *names: str) -> None:
        for name in names:
            kind, _, instance = name.partition(".")
            host = host_of(int(instance)) if kind == "osd" else instance
            assert self.places is not None
            argv = [*self.places.inside.get(host, ()), f"ceph-{kind}", "-f", "-i", instance, "-c", str(self.conf)]
            told = (self.folder / f"{name}.said").open("ab")
            with told:
                self.daemons[name] = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=told,
                    stderr=told,
                    start_new_session=True,
                    # What Ceph takes for its hostname when it believes to be in a container.
                    env=os.environ | {"CONTAINER_NAME": name, "NODE_NAME": host},
                )

    # --- commands ---------------------------------------------------------------------------------------------

    async def run(self, argv: Sequence[str], *, timeout_s: float = 30.0) -> Outcome:
        """Any program that finds this cluster by itself. TimeoutError for one that outlives its time: it is killed."""
        if argv[0] != "ceph":
            return await self._run(argv, timeout_s)
        async with asyncio.timeout(timeout_s):
            return await self._forks.run(argv, self._environment())

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "CEPH_CONF": str(self.conf), "LC_ALL": "C.UTF-8"}

    async def _run(self, argv: Sequence[str], timeout_s: float, given: str = "") -> Outcome:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment(),
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(timeout_s):
                out, err = await process.communicate(given.encode())
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return Outcome(process.returncode or 0, out.decode(), err.decode())

    # --- looking ----------------------------------------------------------------------------------------------

    def address(self, host: str) -> str:
        assert self.places is not None
        return self.places.addresses[host]

    def _mon_address(self, host: str) -> str:
        return f"[v2:{self.address(host)}:3300,v1:{self.address(host)}:6789]"

    async def ceph(self, *words: str, timeout_s: float = 60.0) -> Any:
        """What ``ceph WORDS --format json`` answers; RuntimeError when it fails."""
        argv = ["ceph", "--connect-timeout", "20", *words, "--format", "json"]
        done = await self.run(argv, timeout_s=timeout_s)
        if done.exit:
            raise RuntimeError(f"ceph {' '.join(words)} ended with {done.exit}: {done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    async def _all_up(self) -> bool:
        stat = await self.ceph("status")
        count = len(self.uuids)
        osdmap = stat["osdmap"]
        return bool(osdmap["num_up_osds"] == osdmap["num_in_osds"] == count and stat["mgrmap"]["available"])

    async def clean(self) -> bool:
        """Every PG active+clean, and all of them there."""
        pgmap = (await self.ceph("status"))["pgmap"]
        clean = sum(s["count"] for s in pgmap["pgs_by_state"] if s["state_name"] == "active+clean")
        return bool(clean == pgmap["num_pgs"] >= PGS)

    async def until(self, true: Callable[[], Awaitable[bool]], *, limit_s: float) -> None:
        """Ask until ``true``; TimeoutError when it is not within ``limit_s`` seconds."""
        async with asyncio.timeout(limit_s):
            while not await true():
                dead = [name for name, process in self.daemons.items() if process.poll() not in (None, 0, -9, -15)]
                if dead:
                    raise RuntimeError(f"{', '.join(dead)} ended by themselves")
                await asyncio.sleep(0.2)

    def last_words(self) -> str:
        """What the daemons said last, for a failure's report."""
        said = [(path, path.read_text(errors="replace").splitlines()[-5:]) for path in self.folder.glob("*.said")]
        return "\n".join(f"{path.stem}: {line}" for path, lines in sorted(said) for line in lines)

    # --- doing ------------------------------------------------------------------------------------------------

    async def start(self, *names: str) -> None:
        """Start daemons again; returns at once, not when they are up."""
        running = [name for name in names if self.daemons[name].poll() is None]
        if running:
            raise RuntimeError(f"{', '.join(running)} run already")
        self._spawn(*names)

    async def stop(self, *names: str) -> None:
        """SIGTERM, as systemd stops a daemon, to all of them at once; returns when they are gone."""
        await self._end(signal.SIGTERM, names)

    async def kill(self, *names: str) -> None:
        """SIGKILL, as a crash."""
        await self._end(signal.SIGKILL, names)

    async def _end(self, how: signal.Signals, names: Sequence[str]) -> None:
        for name in names:
            self.daemons[name].send_signal(how)

        async def gone() -> bool:
            return all(self.daemons[name].poll() is not None for name in names)

        await self.until(gone, limit_s=STOP_LIMIT_S)

    async def write(self, seconds: int = 1, size_bytes: int = 65536) -> None:
        """Let a client write objects of ``size_bytes`` for ``seconds``; they stay."""
        argv = ["rados", "-p", POOL, "bench", str(seconds), "write", "-b", str(size_bytes), "-t", "4", "--no-cleanup"]
        await self._program([*argv, "--run-name", secrets.token_hex(4)])

    async def add_file_system(self, *hosts: str) -> None:
        """A CephFS with an MDS on each of these hosts; returns when they have been started."""
        for host in hosts:
            (self.folder / f"mds.{host}").mkdir()
            caps = ["mon", "allow profile mds", "osd", "allow rwx", "mds", "allow *"]
            argv = ["ceph", "auth", "get-or-create", f"mds.{host}", *caps]
            done = await self.run([*argv, "-o", str(self.folder / f"mds.{host}.keyring")])
            if done.exit:
                raise RuntimeError(f"no key for mds.{host}: {done.stderr}")
        for pool in ("cephfs.meta", "cephfs.data"):
            await self.ceph("osd", "pool", "create", pool, "4")
        await self.ceph("fs", "new", "cephfs", "cephfs.meta", "cephfs.data")
        self._spawn(*(f"mds.{host}" for host in hosts))

    async def remove_file_system(self, *hosts: str) -> None:
        """The file system and its MDS; the pools stay."""
        await self.stop(*(f"mds.{host}" for host in hosts))
        for host in hosts:
            del self.daemons[f"mds.{host}"]
        await self.ceph("fs", "fail", "cephfs")
        await self.ceph("fs", "rm", "cephfs", "--yes-i-really-mean-it")


def host_of(osd: int) -> str:
    return next(host for host, osds in OSDS.items() if osd in osds)
