"""What may go wrong in a history: each trouble begins at some moment, and mostly ends again.

Nothing here knows what noout should do about it; ``promises`` knows what it must never do.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from noout.domain.journal import MessageKind
from noout.lab.world.kernel import LawError
from noout.lab.world.model import Guest
from tests.sim.story import NODE

if TYPE_CHECKING:
    from tests.simulate.stage import Stage

End = Callable[[], None]
Begin = Callable[["Stage", Random], End | None]  # None: not possible at this moment
TROUBLES: dict[str, Begin] = {}
STATUSES = (500, 503, 595, 596)
# In which ways some of them befall a history; each way is counted by itself.
WAYS: dict[str, tuple[str, ...]] = {
    "api-error": tuple(map(str, STATUSES)),
    "bmc-lies": ("reset", "power", "fans"),
    "operator-sets-noout": ("for the cluster", "for the node", "for another host"),
    "process-dies": ("before a write", "after a write"),
    "store-gone": ("at once", "before it answers"),
    "technician-wrong-server": ("says so", "pulls its cords"),
}


def trouble(begin: Begin) -> Begin:
    TROUBLES[begin.__name__.replace("_", "-")] = begin
    return begin


def _fault(stage: Stage, name: str, **params: object) -> End:
    laws, cluster = stage.laws, stage.cluster
    laws.advance()
    laws.fault(cluster, name, **params)

    def end() -> None:
        laws.advance()
        laws.clear_fault(cluster, name, **params)

    return end


def _nothing() -> None:
    """It ends by itself."""


def _other_node(stage: Stage, rng: Random) -> str:
    return rng.choice(sorted(set(stage.cluster.nodes) - {NODE.name}))


def _guests(stage: Stage, *, here: bool | None = None) -> list[Guest]:
    found = sorted(stage.cluster.guests.values(), key=lambda guest: guest.vmid)
    return [guest for guest in found if here is None or (guest.node == NODE.name) is here]


# --- the wire -------------------------------------------------------------------------------------------------

_PATHS = (".*", "GET .*", "POST .*", "/cluster/", "/qemu", "/lxc", "/tasks", "/ceph", "/status", "/migrate", "/ha/")


@trouble
def api_error(stage: Stage, rng: Random) -> End | None:
    status, times = rng.choice(STATUSES), rng.choice((1, 2, 5, 20))
    stage.way("api-error", str(status))
    _fault(stage, "api-error", pattern=rng.choice(_PATHS), status=status, times=times)
    return lambda: stage.laws.clear_fault(stage.cluster, "api-error")


@trouble
def api_slow(stage: Stage, rng: Random) -> End | None:
    _fault(stage, "api-slow", pattern=rng.choice(_PATHS), seconds=rng.choice((3, 20, 40)), times=rng.choice((1, 3, 10)))
    return lambda: stage.laws.clear_fault(stage.cluster, "api-slow")


@trouble
def answer_lost(stage: Stage, rng: Random) -> End | None:
    _fault(stage, "api-lost-answer", pattern=rng.choice(("POST .*", "PUT .*", ".*")), times=rng.choice((1, 1, 3)))
    return lambda: stage.laws.clear_fault(stage.cluster, "api-lost-answer")


@trouble
def resources_stale(stage: Stage, rng: Random) -> End | None:
    _fault(stage, "api-stale", pattern=rng.choice(("/cluster/resources", "/cluster/ha/", "/qemu")), times=10)
    return lambda: stage.laws.clear_fault(stage.cluster, "api-stale")


@trouble
def connection_dropped(stage: Stage, rng: Random) -> End | None:
    _fault(stage, "api-drop", pattern=rng.choice(_PATHS), times=rng.choice((1, 3, 10)))
    return lambda: stage.laws.clear_fault(stage.cluster, "api-drop")


@trouble
def task_forgotten(stage: Stage, rng: Random) -> End | None:
    """Nobody can say any more what became of a task."""
    _fault(stage, "api-error", pattern="/tasks/UPID", status=500, times=rng.choice((3, 50)))
    return lambda: stage.laws.clear_fault(stage.cluster, "api-error", pattern="/tasks/UPID")


@trouble
def shell_refused(stage: Stage, rng: Random) -> End | None:
    names = sorted(stage.cluster.nodes) if rng.random() < 0.3 else [rng.choice(sorted(stage.cluster.nodes))]
    ends = [_fault(stage, "ssh-refused", node=name) for name in names]

    def end() -> None:
        for each in ends:
            each()

    return end


@trouble
def ceph_command_fails(stage: Stage, rng: Random) -> End | None:
    what = rng.choice(("ceph .*set-group", "ceph .*ok-to-stop", "ceph .*status", "ha-manager", "ceph "))
    _fault(stage, "shell-error", pattern=what)
    return lambda: stage.laws.clear_fault(stage.cluster, "shell-error", pattern=what)


# --- moves ----------------------------------------------------------------------------------------------------


def _migration(stage: Stage, rng: Random, kind: str) -> End | None:
    moves = [g for g in _guests(stage) if g.type == "qemu" and g.status == "running" and not g.local_resources]
    here = [guest for guest in moves if guest.node == NODE.name]
    asked = {key.rpartition("/")[2] for key, verb in stage.verbs.items() if verb in ("migrate", "ha-migrate")}
    going = [guest for guest in here if str(guest.vmid) in asked] if rng.random() < 0.7 else []
    chosen = going or here or moves
    if not chosen:
        return None
    return _fault(stage, "migration", vmid=rng.choice(chosen).vmid, kind=kind, times=rng.choice((1, 2, 5)))


@trouble
def migration_fails(stage: Stage, rng: Random) -> End | None:
    return _migration(stage, rng, "fail")


@trouble
def migration_stalls(stage: Stage, rng: Random) -> End | None:
    return _migration(stage, rng, "stall")


@trouble
def migration_never_ends(stage: Stage, rng: Random) -> End | None:
    return _migration(stage, rng, "no-converge")


@trouble
def shutdown_ignored(stage: Stage, rng: Random) -> End | None:
    here = _guests(stage, here=True)
    return _fault(stage, "shutdown-ignored", vmid=rng.choice(here).vmid) if here else None


# --- machines -------------------------------------------------------------------------------------------------


@trouble
def another_node_dies(stage: Stage, rng: Random) -> End | None:
    return _dies(stage, _other_node(stage, rng))


def _dies(stage: Stage, name: str) -> End | None:
    if any(not node.online for other, node in stage.cluster.nodes.items() if other not in (name, NODE.name)):
        return None  # one at a time: with two others gone nobody could be blamed for anything
    end = _fault(stage, "node-dies", node=name)
    stage.promises.lost_by_fault(name)

    def back() -> None:
        end()
        stage.laws.power_on(stage.cluster, name)

    return back


@trouble
def the_node_dies(stage: Stage, rng: Random) -> End | None:
    """The very node that is to be repaired, before anybody wanted it off."""
    if not stage.cluster.nodes[NODE.name].online:
        return None
    stage.promises.lost_by_fault(NODE.name)
    end = _fault(stage, "node-dies", node=NODE.name)

    def back() -> None:
        end()
        if not stage.node_is_the_technicians():
            stage.laws.power_on(stage.cluster, NODE.name)

    return back


@trouble
def node_hangs(stage: Stage, rng: Random) -> End | None:
    return _fault(stage, "node-hangs", node=NODE.name)


@trouble
def bmc_mute(stage: Stage, rng: Random) -> End | None:
    return _fault(stage, "bmc-mute", node=NODE.name)


@trouble
def bmc_lies(stage: Stage, rng: Random) -> End | None:
    about = rng.choice(WAYS["bmc-lies"])
    stage.way("bmc-lies", about)
    return _fault(stage, "bmc-lies", node=NODE.name, about=about)


@trouble
def osd_does_not_return(stage: Stage, rng: Random) -> End | None:
    ceph = stage.cluster.ceph
    assert ceph is not None
    own = sorted(osd.id for osd in ceph.osds.values() if osd.host == NODE.name)
    return _fault(stage, "osd-will-not-return", osd=rng.choice(own))


@trouble
def other_osd_dies(stage: Stage, rng: Random) -> End | None:
    ceph = stage.cluster.ceph
    assert ceph is not None
    osd = rng.choice(sorted(o.id for o in ceph.osds.values() if o.host != NODE.name and o.running))
    return _daemon_dies(stage, f"osd.{osd}")


@trouble
def other_mon_dies(stage: Stage, rng: Random) -> End | None:
    ceph = stage.cluster.ceph
    assert ceph is not None
    mon = rng.choice(sorted(name for name in ceph.mons if name != NODE.name))
    return _daemon_dies(stage, f"mon.{mon}")


def _daemon_dies(stage: Stage, name: str) -> End:
    stage.laws.advance()
    stage.promises.redundancy_lost_by_fault()
    stage.laws.daemon_stop(stage.cluster, name)
    return lambda: stage.laws.daemon_start(stage.cluster, name)


@trouble
def mgr_down(stage: Stage, rng: Random) -> End | None:
    ceph = stage.cluster.ceph
    assert ceph is not None
    names = sorted(ceph.mgrs)
    stage.laws.advance()
    for name in names:
        stage.laws.daemon_stop(stage.cluster, f"mgr.{name}")

    def end() -> None:
        for name in names:
            if stage.cluster.nodes[name].online:
                stage.laws.daemon_start(stage.cluster, f"mgr.{name}")

    return end


@trouble
def target_dies(stage: Stage, rng: Random) -> End | None:
    """Where a guest is being sent to, in the middle of the copy."""
    targets = sorted({each.target for each in stage.cluster.migrations.values()} - {NODE.name})
    return _dies(stage, rng.choice(targets)) if targets else None


@trouble
def mon_quorum_lost(stage: Stage, rng: Random) -> End | None:
    """Ceph answers nobody until a mon is back."""
    ceph = stage.cluster.ceph
    assert ceph is not None
    gone = [name for name, mon in sorted(ceph.mons.items()) if name != NODE.name and mon.running]
    stage.laws.advance()
    stage.promises.redundancy_lost_by_fault()
    for name in gone:
        stage.laws.daemon_stop(stage.cluster, f"mon.{name}")

    def end() -> None:
        for name in gone:
            if stage.cluster.nodes[name].online:
                stage.laws.daemon_start(stage.cluster, f"mon.{name}")

    return end


# --- people ---------------------------------------------------------------------------------------------------


@trouble
def operator_moves_a_guest(stage: Stage, rng: Random) -> End | None:
    guests = [g for g in _guests(stage) if g.status == "running" and not g.lock and not g.local_resources]
    if not guests:
        return None
    guest = rng.choice(guests)
    others = sorted(name for name, node in stage.cluster.nodes.items() if node.online and name != guest.node)
    if not others:
        return None
    stage.laws.advance()
    target = rng.choice(others)
    try:
        stage.laws.operator_moves(stage.cluster, guest.vmid, target)
    except LawError:
        return None
    stage.promises.moved_by_others(guest.vmid)
    return _nothing


@trouble
def operator_sets_noout(stage: Stage, rng: Random) -> End | None:
    """Somebody's own flag, on the whole cluster or on a host: it must still be there when they look for it."""
    ceph = stage.cluster.ceph
    assert ceph is not None
    stage.laws.advance()
    host = rng.choice(("", NODE.name, NODE.name, *sorted({osd.host for osd in ceph.osds.values()})))
    present = ceph.flags if not host else ceph.crush_node_flags.get(host, set())
    if "noout" in present:
        return None
    whose = {"": "for the cluster", NODE.name: "for the node"}
    stage.way("operator-sets-noout", whose.get(host, "for another host"))
    if host:
        stage.laws.ceph_group_flags(stage.cluster, host, ["noout"], True, "piet")
    else:
        stage.laws.ceph_flag(stage.cluster, "noout", True, "piet")
    stage.promises.foreign_flag(host, "noout")

    def end() -> None:
        stage.promises.foreign_flag_gone(host, "noout")
        if host:
            stage.laws.ceph_group_flags(stage.cluster, host, ["noout"], False, "piet")
        else:
            stage.laws.ceph_flag(stage.cluster, "noout", False, "piet")

    return end


@trouble
def operator_clears_our_flag(stage: Stage, rng: Random) -> End | None:
    ceph = stage.cluster.ceph
    assert ceph is not None
    stage.laws.advance()
    ours = [host for host in (NODE.name, "") if stage.promises.is_ours(host, "noout")]
    if not ours:
        return None
    stage.promises.unheld_by_others()
    if ours[0]:
        stage.laws.ceph_group_flags(stage.cluster, NODE.name, ["noout"], False, "piet")
    else:
        stage.laws.ceph_flag(stage.cluster, "noout", False, "piet")
    return _nothing


@trouble
def backup_begins(stage: Stage, rng: Random) -> End | None:
    guests = [guest for guest in _guests(stage) if guest.status == "running" and not guest.lock]
    if not guests:
        return None
    stage.laws.advance()
    stage.laws.fault(stage.cluster, "backup-running", vmid=rng.choice(guests).vmid, seconds=rng.choice((60, 300, 1200)))
    return _nothing


@trouble
def clock_jumps(stage: Stage, rng: Random) -> End | None:
    """noout's own clock: forwards for good, or back for good, as when it is set by hand."""
    stage.shift_clock(rng.choice((-120.0, -5.0, 30.0, 600.0)))
    return _nothing


@trouble
def store_gone(stage: Stage, rng: Random) -> End | None:
    """The database does not answer; or it takes one more write, and is gone before it says so."""
    cut = rng.random() < 0.3
    stage.way("store-gone", WAYS["store-gone"][cut])
    stage.journal.gone, stage.journal.cut = not cut, cut

    def end() -> None:
        stage.journal.gone = stage.journal.cut = False

    return end


@trouble
def process_dies(stage: Stage, rng: Random) -> End | None:
    before = rng.random() < 0.25
    stage.way("process-dies", WAYS["process-dies"][not before])
    if before:
        stage.journal.dies_before = True
    else:
        stage.journal.dies_in = rng.choice((1, 1, 1, 2, 3, 5))  # 1: at once, with the intent written and nothing done
    return _nothing


@trouble
def operator_aborts(stage: Stage, rng: Random) -> End | None:
    stage.spawn(stage.sim.say(MessageKind.ABORT, reason="changed my mind"))
    return _nothing


@trouble
def operator_pauses(stage: Stage, rng: Random) -> End | None:
    stage.spawn(stage.sim.say(MessageKind.PAUSE))
    return lambda: stage.spawn(stage.sim.say(MessageKind.RESUME))


# --- the technician -------------------------------------------------------------------------------------------


@trouble
def technician_late(stage: Stage, rng: Random) -> End | None:
    """Whatever the technician would do next is done when this is over."""
    return _away(stage, "late")


@trouble
def technician_never(stage: Stage, rng: Random) -> End | None:
    """Nobody comes, or whoever was there is gone, until the operator gives up."""
    return _away(stage, "never")


def _away(stage: Stage, how: str) -> End:
    stage.away.add(how)
    return lambda: stage.away.discard(how)


@trouble
def technician_twice(stage: Stage, rng: Random) -> End | None:
    """The telephone sends hands-on once more, or before its time; and the sign-off once more."""
    stage.spawn(stage.hands_on(stage.cluster.bmcs[NODE.name].serial))
    if stage.signed_off:
        stage.spawn(stage.sim.say(MessageKind.SIGN_OFF, "technician:ruben"))
    return _nothing


@trouble
def technician_wrong_server(stage: Stage, rng: Random) -> End | None:
    """Hands-on at another machine, which noout refuses; or without a word its cords are pulled."""
    other = _other_node(stage, rng)
    pulled = rng.random() < 0.3
    if pulled and (end := _dies(stage, other)) is not None:
        stage.way("technician-wrong-server", "pulls its cords")
        return end
    stage.way("technician-wrong-server", "says so")
    stage.spawn(stage.hands_on(stage.cluster.bmcs[other].serial))
    return _nothing
