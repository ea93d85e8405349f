"""The ``ceph`` command line: options, dispatch, exit codes.

Exit codes as measured: EINVAL 22, EBUSY 16 (``osd ok-to-stop`` still prints its JSON), 1 after a connect timeout.
Without a quorum every command hangs; without an active mgr those that the mgr answers hang for ever.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from noout.lab.wire.ceph import daemons, maps, pgs, status, text
from noout.lab.wire.ceph.admin_socket import ask_daemon
from noout.lab.wire.outcome import Outcome
from noout.lab.world.laws import LawError, Laws
from noout.lab.world.model import Ceph, Cluster

EINVAL, EBUSY, ENOENT = 22, 16, 2
MOUNT_TIMEOUT_S = 300.0  # client_mount_timeout: what a client waits for a mon that never answers
MAP_FLAGS = (
    "full pause noup nodown noout noin nobackfill norebalance norecover noscrub nodeep-scrub notieragent nosnaptrim "
    "pglog_hardlimit noautoscale"
)
GROUP_FLAGS = ("noup", "nodown", "noin", "noout")
VALUED = {"--cluster", "-n", "--name", "--id", "-k", "--keyring", "-c", "--conf", "-m", "--user"}
BY_MGR = (
    ("pg",),
    ("osd", "df"),
    ("osd", "ok-to-stop"),
    ("osd", "safe-to-destroy"),
)  # these ask the mgr, not the mons


@dataclass
class Call:
    """A parsed command line."""

    words: list[str]
    format: str = "plain"
    connect_timeout: float | None = None
    problem: str = ""
    by: str = ""
    extra: dict[str, str] = field(default_factory=dict)


def parse(argv: list[str]) -> Call:
    """``argv`` without the leading ``ceph``."""
    call = Call(words=[])
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if name in {"-f", "--format", "--connect-timeout"} | VALUED:
            if not equals:
                if not rest:
                    call.problem = f"argument {name}: expected one argument"
                    return call
                value = rest.pop(0)
            _option(call, name, value)
        elif word == "-s":
            call.words.append("status")
        elif name.startswith("-") and not name.lstrip("-").isdigit() and name != "--yes-i-really-mean-it":
            call.problem = f"unrecognized command-line option {name}"
            return call
        else:
            call.words.append(word)
    return call


def _option(call: Call, name: str, value: str) -> None:
    if name in ("-f", "--format"):
        call.format = value
        if value not in ("json", "json-pretty", "plain"):
            call.problem = f"argument -f/--format: invalid choice: {value!r}"
    elif name == "--connect-timeout":
        try:
            call.connect_timeout = float(value)
        except ValueError:
            call.problem = f"argument --connect-timeout: invalid int value: {value!r}"
    else:
        call.extra[name] = value


def _error(code: int, name: str, message: str) -> Outcome:
    return Outcome(code, "", f"Error {name}: {message}\n")


def invalid(message: str) -> Outcome:
    return _error(EINVAL, "EINVAL", message)


def shown(call: Call, document: Any, plain: Callable[[], str] | None = None, stderr: str = "") -> Outcome:
    """The document in the asked format; commands without a plain form here print their JSON either way."""
    if call.format == "json":
        return Outcome(0, "\n" + json.dumps(document, separators=(",", ":")) + "\n", stderr)
    if call.format == "json-pretty" or plain is None:
        return Outcome(0, "\n" + json.dumps(document, indent=4) + "\n", stderr)
    return Outcome(0, plain() + "\n", stderr)


def run_ceph(laws: Laws, cluster: Cluster, node: str, argv: list[str]) -> Outcome:
    """Run ``ceph argv`` on ``node``; ``argv`` has no leading ``ceph``."""
    ceph = cluster.ceph
    if ceph is None:
        return Outcome(1, "", "Error initializing cluster client: ObjectNotFound('RADOS object not found')\n")
    call = parse(argv)
    call.by = f"shell on {node}"
    if call.problem:
        return Outcome(EINVAL, "", f"{call.problem}\n")
    if call.words[:1] == ["daemon"]:
        return ask_daemon(laws, cluster, ceph, node, call.words[1:])
    if not laws.ceph_quorum(cluster):
        wait = call.connect_timeout or MOUNT_TIMEOUT_S
        message = "[errno 110] RADOS timed out (error connecting to the cluster)\n"
        return Outcome(1, "", message, after_s=wait)
    words = call.words
    if any(tuple(words[: len(head)]) == head for head in BY_MGR) and not daemons.mgr_available(ceph):
        return Outcome(1, "", "", after_s=None)
    for length in (4, 3, 2, 1):
        handler = COMMANDS.get(" ".join(words[:length])) if len(words) >= length else None
        if handler is not None:
            try:
                return handler(Asked(laws, cluster, ceph, call, words[length:]))
            except LawError as refusal:
                return invalid(refusal.message)
    return _error(EINVAL, "EINVAL", "invalid command")


@dataclass(frozen=True)
class Asked:
    """One command being answered; ``rest`` are the words after its name."""

    laws: Laws
    cluster: Cluster
    ceph: Ceph
    call: Call
    rest: list[str]

    def show(self, document: Any, plain: Callable[[], str] | None = None, stderr: str = "") -> Outcome:
        return shown(self.call, document, plain, stderr)


def _health(ask: Asked) -> Outcome:
    detail = ask.rest == ["detail"]
    document = status.health(ask.laws, ask.cluster, ask.ceph, detail)
    return ask.show(document, lambda: text.health_detail(document) if detail else text.health_line(document))


def _status(ask: Asked) -> Outcome:
    document = status.status(ask.laws, ask.cluster, ask.ceph)
    return ask.show(document, lambda: text.status(document, ask.ceph.mgr_active))


def _osd_tree(ask: Asked) -> Outcome:
    document = maps.osd_tree(ask.ceph)
    return ask.show(document, lambda: text.osd_tree(document))


def _osd_stat(ask: Asked) -> Outcome:
    document = maps.osd_stat(ask.laws, ask.cluster, ask.ceph)
    return ask.show(document, lambda: text.osd_stat(document))


def _pg_stat(ask: Asked) -> Outcome:
    document = pgs.pg_stat(ask.laws, ask.cluster, ask.ceph)
    return ask.show(document, lambda: text.pg_stat(document))


def _dump_stuck(ask: Asked) -> Outcome:
    unknown = [kind for kind in ask.rest if kind not in pgs.STUCK]
    if unknown:
        return invalid(f"{unknown[0]} not in {'|'.join(pgs.STUCK)}")
    return ask.show(pgs.dump_stuck(ask.laws, ask.cluster, ask.ceph, ask.rest), stderr="ok\n")


def _osd_metadata(ask: Asked) -> Outcome:
    osds = sorted(ask.ceph.osds.values(), key=lambda o: o.id)
    if not ask.rest:
        return ask.show([maps.osd_metadata(ask.laws, ask.cluster, ask.ceph, osd) for osd in osds])
    number = osd_id(ask.rest[0])
    if number is None or number not in ask.ceph.osds:
        return _error(ENOENT, "ENOENT", f"osd.{ask.rest[0]} does not exist")
    return ask.show(maps.osd_metadata(ask.laws, ask.cluster, ask.ceph, ask.ceph.osds[number]))


def _pool_ls(ask: Asked) -> Outcome:
    if ask.rest != ["detail"]:
        names = [pool.name for pool in ask.ceph.pools.values()]
        return ask.show(names, lambda: "\n".join(names))
    born = ask.laws.world.epoch - 86400 * 90
    documents = []
    for pool in ask.ceph.pools.values():
        document = maps.pool_document(ask.ceph, pool, born)
        documents.append({"pool_id": document.pop("pool")} | document)
    return ask.show(documents)


def osd_id(word: str) -> int | None:
    """``3`` or ``osd.3``; None for anything else."""
    digits = word.removeprefix("osd.")
    return int(digits) if digits.isascii() and digits.isdigit() else None


def _ok_to_stop(ask: Asked) -> Outcome:
    """JSON on stdout whatever the answer; unknown ids are answered "ok", as a real cluster does."""
    ids = [osd_id(word) for word in ask.rest]
    bad = [word for word, number in zip(ask.rest, ids, strict=True) if number is None]
    if bad or not ids:
        return invalid(f"invalid osd id '{bad[0]}'" if bad else "must specify one or more OSDs")
    answer = ask.laws.ok_to_stop(ask.cluster, [number for number in ids if number is not None])
    body = "\n" + json.dumps(answer, separators=(",", ":")) + "\n"
    if answer["ok_to_stop"]:
        return Outcome(0, body)
    count = answer["num_not_ok_pgs"]
    message = f"unsafe to stop osd(s) at this time ({count} PGs are or would become offline)"
    return Outcome(EBUSY, body, f"Error EBUSY: {message}\n")


def _group(on: bool) -> Callable[[Asked], Outcome]:
    def handle(ask: Asked) -> Outcome:
        if len(ask.rest) < 2:
            return invalid("must specify at least one or more targets to set/unset")
        flags, targets = ask.rest[0].split(","), ask.rest[1:]
        for flag in flags:
            if flag not in GROUP_FLAGS:
                return invalid(f"unrecognized flag '{flag}', must be one of {{{','.join(GROUP_FLAGS)}}}")
        known = maps.hosts(ask.ceph)
        for target in targets:
            if target not in known:
                return invalid(f"unable to parse '{target}' as an osd id, crush node or device class")
        for target in targets:
            ask.laws.ceph_group_flags(ask.cluster, target, flags, on, by=ask.call.by)
        return Outcome(0)

    return handle


def _flag(on: bool) -> Callable[[Asked], Outcome]:
    def handle(ask: Asked) -> Outcome:
        if len(ask.rest) != 1 or ask.rest[0] not in MAP_FLAGS.split():
            asked = " ".join(ask.rest)
            return invalid(f"{asked} not in {'|'.join(MAP_FLAGS.split())}")
        ask.laws.ceph_flag(ask.cluster, ask.rest[0], on, by=ask.call.by)
        return Outcome(0, "", f"{ask.rest[0]} is {'set' if on else 'unset'}\n")

    return handle


def _in_out(in_: bool) -> Callable[[Asked], Outcome]:
    word = "in" if in_ else "out"

    def handle(ask: Asked) -> Outcome:
        said = []
        for asked in ask.rest:
            number = osd_id(asked)
            if number is None:
                return invalid(f"invalid osd id '{asked}'")
            osd = ask.ceph.osds.get(number)
            if osd is None:
                said.append(f"osd.{number} does not exist. ")
            elif osd.in_ == in_:
                said.append(f"osd.{number} is already {word}. ")
            else:
                ask.laws.osd_in_out(ask.cluster, number, in_, by=ask.call.by)
                said.append(f"marked {word} osd.{number}. ")
        if not said:
            return invalid("must specify one or more OSDs")
        return Outcome(0, "", "".join(said) + "\n")

    return handle


def _mgr_fail(ask: Asked) -> Outcome:
    name = ask.rest[0] if ask.rest else ask.ceph.mgr_active
    if name not in ask.ceph.mgrs:
        return Outcome(0, "", f"Daemon not found '{name}', already failed?\n")
    ask.laws.mgr_fail(ask.cluster, name)
    return Outcome(0)


def _mds_fail(ask: Asked) -> Outcome:
    """Its rank goes to the next one; with no other it gets it back when it has started anew."""
    nodes = [node for kind, node in ask.ceph.services if kind == "mds"]
    if ask.rest[:1] not in [[node] for node in nodes]:
        return _error(EINVAL, "EINVAL", f"MDS named '{' '.join(ask.rest)}' does not exist, is not up, or is not seen")
    ask.laws.mds_fail(ask.cluster, ask.rest[0])
    return Outcome(0, "", f"failed mds gid {nodes.index(ask.rest[0])}\n")


def _mon_metadata(ask: Asked) -> Outcome:
    return ask.show([daemons.mon_metadata(ask.cluster, ask.ceph, mon) for mon in ask.ceph.mons.values()])


COMMANDS: dict[str, Callable[[Asked], Outcome]] = {
    "status": _status,
    "health": _health,
    "osd dump": lambda ask: ask.show(maps.osd_dump(ask.laws, ask.cluster, ask.ceph)),
    "osd tree": _osd_tree,
    "osd stat": _osd_stat,
    "osd df": lambda ask: ask.show(maps.osd_df(ask.ceph, tree=ask.rest == ["tree"])),
    "osd crush rule dump": lambda ask: ask.show(maps.crush_rules(ask.ceph)),
    "osd metadata": _osd_metadata,
    "osd pool ls": _pool_ls,
    "osd ok-to-stop": _ok_to_stop,
    "osd set-group": _group(True),
    "osd unset-group": _group(False),
    "osd set": _flag(True),
    "osd unset": _flag(False),
    "osd in": _in_out(True),
    "osd out": _in_out(False),
    "pg stat": _pg_stat,
    "pg dump_stuck": _dump_stuck,
    "mon dump": lambda ask: ask.show(
        daemons.mon_dump(ask.laws, ask.cluster, ask.ceph), stderr="dumped monmap epoch 1\n"
    ),
    "mon metadata": _mon_metadata,
    "quorum_status": lambda ask: ask.show(daemons.quorum_status(ask.laws, ask.cluster, ask.ceph)),
    "time-sync-status": lambda ask: ask.show(daemons.time_sync_status(ask.laws, ask.cluster, ask.ceph)),
    "mgr dump": lambda ask: ask.show(daemons.mgr_dump(ask.laws, ask.cluster, ask.ceph)),
    "mgr stat": lambda ask: ask.show(daemons.mgr_stat(ask.cluster, ask.ceph)),
    "mgr services": lambda ask: ask.show({}),
    "mgr fail": _mgr_fail,
    "mds fail": _mds_fail,
    "mds stat": lambda ask: ask.show(daemons.mds_stat(ask.ceph)),
    "versions": lambda ask: ask.show(daemons.versions(ask.laws, ask.cluster, ask.ceph)),
    "node ls": lambda ask: ask.show(daemons.node_ls(ask.ceph)),
    "fsid": lambda ask: Outcome(0, f"{ask.ceph.fsid}\n"),
}
