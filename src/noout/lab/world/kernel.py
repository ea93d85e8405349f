"""The heart of the laws: the heap of coming events, the world's own log, tasks, and small common helpers.

Nothing happens between calls: ``advance()`` runs, in order, every event due by the clock's now, with
``world.now`` standing at the event's own instant. Equal instants run in the order in which they were scheduled.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Protocol

from noout.lab.world.model import Cluster, Guest, Node, Task, World

PUBLISH_S = 10.0  # pvestatd feeds /cluster/resources about this often


class HasNow(Protocol):
    def now(self) -> float: ...


class LawError(Exception):
    """What PVE answers at once, before any task exists: ``status``, a one-line ``message``, ``errors`` by parameter."""

    def __init__(self, message: str, status: int = 500, errors: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.errors = errors or {}


class Kernel:
    """Time, notes, tasks and look-ups; the other laws are built on it."""

    def __init__(self, world: World, clock: HasNow) -> None:
        self.world = world
        self.clock = clock
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._scheduled = 0
        self.ran = 0  # events so far: as long as it stands, nothing has happened by itself
        self._settled = -1.0
        self._pids: dict[tuple[str, str], int] = {}
        self._cancel: dict[str, Callable[[], None]] = {}  # by UPID: what stopping the task does
        self._statuses: dict[tuple[str, int], deque[tuple[float, str]]] = {}

    # --- time ---

    @property
    def now(self) -> float:
        return self.world.now

    def advance(self) -> float:
        """Run every due event, in order, up to the clock's now; return it. Time never goes back."""
        world, heap = self.world, self._heap
        until = self.clock.now()
        if until < world.now:
            until = world.now
        if until == self._settled and not (heap and heap[0][0] <= until):
            return until  # nothing is due, and all was settled at this very instant
        while self._heap and self._heap[0][0] <= until:
            when, _, fn = heapq.heappop(self._heap)
            self.world.now = max(self.world.now, when)
            self.ran += 1
            fn()
        self.world.now = until
        self._settle()
        self._settled = until
        return until

    def at(self, when: float, fn: Callable[[], None]) -> None:
        """Schedule ``fn`` for ``when`` (Unix seconds); a past instant means the next advance."""
        self._scheduled += 1
        heapq.heappush(self._heap, (when, self._scheduled, fn))

    def after(self, seconds: float, fn: Callable[[], None]) -> None:
        self.at(self.now + seconds, fn)

    def next_event_at(self) -> float | None:
        """When something will happen next by itself; None when the world is at rest."""
        return self._heap[0][0] if self._heap else None

    def _settle(self) -> None:
        """What is kept up to date without events (overridden)."""

    def note(self, cluster: Cluster, text: str) -> None:
        """Write into the world's own log (``world.happened``)."""
        self.world.happened.append((self.now, cluster.name, text))

    # --- look-ups ---

    def cluster(self, name: str) -> Cluster:
        return self.world.clusters[name]

    def guest(self, cluster: Cluster, vmid: int) -> Guest:
        guest = cluster.guests.get(vmid)
        if guest is None:
            raise LawError(f"no such VM ('{vmid}')")
        return guest

    def node(self, cluster: Cluster, name: str) -> Node:
        node = cluster.nodes.get(name)
        if node is None:
            raise LawError(f"no such cluster node '{name}'")
        return node

    def ram_used(self, cluster: Cluster, node: str) -> int:
        """Bytes promised on a node: the OS and daemons, running guests, and guests on their way in."""
        here = sum(g.maxmem for g in cluster.guests.values() if g.node == node and g.status in ("running", "paused"))
        coming = sum(
            cluster.guests[m.guest].maxmem
            for m in cluster.migrations.values()
            if m.target == node and m.online and cluster.guests[m.guest].node != node
        )
        return cluster.nodes[node].base_mem + here + coming

    @staticmethod
    def sid(guest: Guest) -> str:
        return f"{'ct' if guest.type == 'lxc' else 'vm'}:{guest.vmid}"

    # --- tasks ---

    def new_task(self, cluster: Cluster, node: str, type: str, id: str, user: str) -> Task:
        """A running task with its UPID; ``user`` is e.g. ``root@pam`` or ``noout@pve!lab``."""
        pid = self._pids.get((cluster.name, node), 1000 + 7 * cluster.nodes[node].nodeid) + 3
        self._pids[cluster.name, node] = pid
        booted = cluster.nodes[node].booted_at or self.now
        pstart = max(int((self.now - booted) * 100), 0) & 0xFFFFFFFF
        start = int(self.now)
        upid = f"UPID:{node}:{pid:08X}:{pstart:08X}:{start:08X}:{type}:{id}:{user}:"
        task = Task(upid, node, type, id, user, float(start), pid, pstart)
        cluster.tasks[upid] = task
        return task

    def finish_task(self, cluster: Cluster, task: Task, exitstatus: str = "OK") -> None:
        if task.status == "stopped":
            return
        task.status = "stopped"
        task.exitstatus = exitstatus
        task.endtime = float(int(self.now))
        self._cancel.pop(task.upid, None)
        task.log.append("TASK OK" if exitstatus == "OK" else f"TASK ERROR: {exitstatus}")

    def quick_task(
        self, cluster: Cluster, node: str, type: str, id: str, user: str, seconds: float, log: Iterable[str] = ()
    ) -> Task:
        """A task whose effect has come about already and that ends OK after ``seconds``."""
        task = self.new_task(cluster, node, type, id, user)
        task.log.extend(log)
        self.after(seconds, lambda: self.finish_task(cluster, task))
        return task

    def stop_task(self, cluster: Cluster, upid: str) -> None:
        """DELETE on a task: a migration is cancelled, another task ends by the signal; a finished one stays."""
        task = cluster.tasks.get(upid)
        if task is None or task.status != "running":
            return
        cancel = self._cancel.get(upid)
        if cancel is not None:
            cancel()
        elif task.type not in ("qmigrate", "vzmigrate"):  # a migration past the point of no return ends by itself
            self.finish_task(cluster, task, "interrupted by signal")

    def say(self, task: Task, text: str) -> None:
        """A line of the task's log with PVE's time stamp (the lab's nodes keep UTC)."""
        task.log.append(f"{datetime.fromtimestamp(self.now, UTC):%Y-%m-%d %H:%M:%S} {text}")

    # --- what /cluster/resources shows ---

    def _set_status(self, cluster: Cluster, guest: Guest, status: str) -> None:
        past = self._statuses.setdefault((cluster.name, guest.vmid), deque(maxlen=16))
        past.append((self.now, guest.status))  # (until, what it was)
        guest.status = status

    def published_status(self, cluster: Cluster, vmid: int) -> str:
        """A guest's status as the last feed of its node had it: up to 10 s old. Its node and lock never lag."""
        guest = cluster.guests[vmid]
        phase = (cluster.nodes[guest.node].nodeid * 2.9) % PUBLISH_S if guest.node in cluster.nodes else 0.0
        fed = self.now - (self.now - phase) % PUBLISH_S
        for until, was in self._statuses.get((cluster.name, vmid), ()):
            if fed < until:
                return was
        return guest.status
