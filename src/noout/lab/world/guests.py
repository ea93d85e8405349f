"""Guests: started, shut down, stopped, created, destroyed, and when their services stay dark."""

from __future__ import annotations

from collections.abc import Callable

from noout.lab.world.chance import between
from noout.lab.world.kernel import HasNow, Kernel, LawError
from noout.lab.world.model import Cluster, DarkSpell, Guest, Task, World


class GuestLaws(Kernel):
    """What operators and the HA manager do to guests; every law returns the task that PVE would."""

    def __init__(self, world: World, clock: HasNow) -> None:
        super().__init__(world, clock)
        self._deaf: set[tuple[str, int]] = set()  # guests that do not listen to a shutdown (a fault)

    # --- dark spells: when a client gets no answer ---

    def darken(self, guest: Guest, why: str, since: float | None = None) -> None:
        if not any(s.why == why and s.until is None for s in guest.dark):
            guest.dark.append(DarkSpell(self.now if since is None else since, None, why))

    def lighten(self, guest: Guest, why: str, until: float | None = None) -> None:
        for spell in guest.dark:
            if spell.why == why and spell.until is None:
                spell.until = max(self.now if until is None else until, spell.since)

    # --- start ---

    def start_guest(self, cluster: Cluster, vmid: int, user: str) -> Task:
        """``qmstart``/``vzstart``; a guest under HA gets ``hastart``. A locked guest fails inside the task."""
        guest = self.guest(cluster, vmid)
        resource = cluster.ha.resources.get(self.sid(guest)) if cluster.ha.manages(self.sid(guest)) else None
        if resource is not None and cluster.ha.armed:
            resource.state = "started"
            self._ha_wake(cluster)
            return self.quick_task(
                cluster, guest.node, "hastart", str(vmid), user, 1.2, [f"Requesting HA start for {_kind(guest)} {vmid}"]
            )
        return self.start_now(cluster, guest, user)

    def start_now(self, cluster: Cluster, guest: Guest, user: str, done: Callable[[bool], None] | None = None) -> Task:
        """Start on its present node; ``done`` hears whether it runs."""
        task = self.new_task(cluster, guest.node, _task_type(guest, "start"), str(guest.vmid), user)

        def end() -> None:
            error = self._start_error(cluster, guest)
            if error is None:
                self._running(cluster, guest)
            self.finish_task(cluster, task, error or "OK")
            if done is not None:
                done(error is None)

        self.after(1.0 if guest.type == "lxc" else 1.8, end)
        return task

    def _start_error(self, cluster: Cluster, guest: Guest) -> str | None:
        node = cluster.nodes[guest.node]
        if guest.vmid not in cluster.guests or not node.online:
            return "unexpected status"
        if guest.lock:
            return f"{_kind(guest)} is locked ({guest.lock})"
        if guest.status != "stopped":
            return f"{_kind(guest)} {guest.vmid} already running"
        if not cluster.quorate:
            return "cluster not ready - no quorum?"
        if self.ram_used(cluster, guest.node) + guest.maxmem > node.maxmem:
            return f"start failed: QEMU exited with code 1: cannot set up guest memory for VM {guest.vmid}"
        return None

    def _running(self, cluster: Cluster, guest: Guest) -> None:
        """The machine runs; its service answers once it has booted."""
        self._set_status(cluster, guest, "running")
        guest.started_at = began = self.now
        self.lighten(guest, "unplugged")
        self.note(cluster, f"guest {guest.vmid} started on {guest.node}")
        low, high = (1.0, 3.0) if guest.type == "lxc" else (8.0, 18.0)
        boot = between(low, high, self.world.seed, "boot", guest.vmid, int(began))

        def answers() -> None:
            if guest.status == "running" and guest.started_at == began:
                self.lighten(guest, "stopped")
                self.lighten(guest, "restart")
                self.lighten(guest, "lost")

        self.after(boot, answers)
        self._io_check(cluster)

    # --- shut down and stop ---

    def shutdown_guest(
        self, cluster: Cluster, vmid: int, user: str, timeout: float = 180, force_stop: bool = False
    ) -> Task:
        """``qmshutdown``/``vzshutdown``; under HA ``hastop``. ``timeout`` in seconds."""
        guest = self.guest(cluster, vmid)
        resource = cluster.ha.resources.get(self.sid(guest)) if cluster.ha.manages(self.sid(guest)) else None
        if resource is not None and cluster.ha.armed:
            resource.state = "stopped"
            self._ha_wake(cluster)
            return self.quick_task(
                cluster, guest.node, "hastop", str(vmid), user, 1.2, [f"Requesting HA stop for {_kind(guest)} {vmid}"]
            )
        return self.shutdown_now(cluster, guest, user, timeout, force_stop)

    def shutdown_now(
        self,
        cluster: Cluster,
        guest: Guest,
        user: str,
        timeout: float = 180,
        force_stop: bool = False,
        why: str = "stopped",
        done: Callable[[bool], None] | None = None,
    ) -> Task:
        task = self.new_task(cluster, guest.node, _task_type(guest, "shutdown"), str(guest.vmid), user)
        stuck = (cluster.name, guest.vmid) in self._deaf
        low, high = (1.0, 3.0) if guest.type == "lxc" else (5.0, 14.0)
        takes = between(low, high, self.world.seed, "shutdown", guest.vmid, int(self.now))
        began = guest.started_at
        error = None
        if guest.lock:
            error, takes = f"{_kind(guest)} is locked ({guest.lock})", 0.5
        elif guest.status != "running":
            error, takes = f"{_kind(guest)} {guest.vmid} not running", 0.3
        elif stuck or takes > timeout:
            takes = timeout
            error = None if force_stop else "VM quit/powerdown failed - got timeout"
        else:
            self.after(takes * 0.3, lambda: self._closing(guest, began, why))  # the service ends before the machine

        def end() -> None:
            same = guest.status == "running" and guest.started_at == began and task.status == "running"
            if error is None and same:
                self._halt(cluster, guest, why)
            elif same:
                self.lighten(guest, why)
            self.finish_task(cluster, task, error or "OK")
            if done is not None:
                done(error is None)

        self.after(takes, end)
        return task

    def stop_guest(self, cluster: Cluster, vmid: int, user: str) -> Task:
        """``qmstop``/``vzstop``: the plug pulled; under HA the resource's wish becomes stopped as well."""
        guest = self.guest(cluster, vmid)
        resource = cluster.ha.resources.get(self.sid(guest)) if cluster.ha.manages(self.sid(guest)) else None
        if resource is not None:
            resource.state = "stopped"
            self._ha_wake(cluster)
        task = self.new_task(cluster, guest.node, _task_type(guest, "stop"), str(vmid), user)

        def end() -> None:
            if guest.lock:
                self.finish_task(cluster, task, f"{_kind(guest)} is locked ({guest.lock})")
                return
            if guest.status != "stopped":
                self._halt(cluster, guest, "stopped")
            self.finish_task(cluster, task)

        self.after(1.0, end)
        return task

    def _closing(self, guest: Guest, began: float, why: str) -> None:
        if guest.status == "running" and guest.started_at == began:
            self.darken(guest, why)

    def _halt(self, cluster: Cluster, guest: Guest, why: str) -> None:
        self._set_status(cluster, guest, "stopped")
        self.darken(guest, why)
        self.lighten(guest, "io-blocked")
        self.note(cluster, f"guest {guest.vmid} stopped on {guest.node}")

    # --- create and destroy ---

    def create_guest(self, cluster: Cluster, guest: Guest, user: str) -> Task:
        """Add a stopped guest; its disks must name storages that exist."""
        if guest.vmid in cluster.guests:
            raise LawError(f"unable to create {_kind(guest)} {guest.vmid}: config file already exists")
        self.node(cluster, guest.node)
        guest.status, guest.lock = "stopped", "create"
        guest.dark = [DarkSpell(self.now, None, "stopped")]
        cluster.guests[guest.vmid] = guest
        task = self.new_task(cluster, guest.node, _task_type(guest, "create"), str(guest.vmid), user)

        def end() -> None:
            guest.lock = None
            self.note(cluster, f"guest {guest.vmid} created on {guest.node}")
            self.finish_task(cluster, task)

        self.after(2.0, end)
        return task

    def destroy_guest(self, cluster: Cluster, vmid: int, user: str) -> Task:
        """Refused while it runs, is locked or is under HA, as PVE does."""
        guest = self.guest(cluster, vmid)
        if guest.lock:
            raise LawError(f"{_kind(guest)} is locked ({guest.lock})")
        if guest.status != "stopped":
            raise LawError(f"{_kind(guest)} {vmid} is running - destroy failed")
        if self.sid(guest) in cluster.ha.resources:
            raise LawError(f"unable to remove {_kind(guest)} {vmid} - used in HA resources")
        task = self.new_task(cluster, guest.node, _task_type(guest, "destroy"), str(vmid), user)

        def end() -> None:
            cluster.guests.pop(vmid, None)
            self.note(cluster, f"guest {vmid} destroyed on {guest.node}")
            self.finish_task(cluster, task)

        self.after(2.0, end)
        return task

    # --- what other laws do for these (overridden there) ---

    def _ha_wake(self, cluster: Cluster) -> None:
        """The HA manager has something to look at."""

    def _io_check(self, cluster: Cluster) -> None:
        """Disks may have become readable, or not."""


def _kind(guest: Guest) -> str:
    return "CT" if guest.type == "lxc" else "VM"


def _task_type(guest: Guest, verb: str) -> str:
    return ("vz" if guest.type == "lxc" else "qm") + verb
