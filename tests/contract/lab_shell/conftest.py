"""A world with a clock that the test moves, and a shell on its nodes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from noout.lab.clock import ManualClock
from noout.lab.wire.outcome import Outcome
from noout.lab.wire.shell import run_command
from noout.lab.world.build import EPOCH, build_world
from noout.lab.world.laws import Laws
from noout.lab.world.model import Ceph, Cluster


class Lab:
    """The default cluster, ``run("ceph", "-s")`` on its first node, and ``forward(seconds)``."""

    def __init__(self) -> None:
        self.clock = ManualClock(EPOCH)
        self.laws = Laws(build_world(), self.clock)
        self.cluster: Cluster = self.laws.world.clusters["ams1"]
        self.laws.advance()

    @property
    def ceph(self) -> Ceph:
        assert self.cluster.ceph is not None
        return self.cluster.ceph

    def run(self, *argv: str, node: str = "pve1") -> Outcome:
        return run_command(self.laws, self.cluster, node, list(argv))

    def json(self, *argv: str) -> Any:
        outcome = self.run(*argv, "--format", "json")
        assert outcome.exit == 0, outcome.stderr
        return json.loads(outcome.stdout)

    def forward(self, seconds: float) -> None:
        self.clock.forward(seconds)
        self.laws.advance()

    def until(self, true: Callable[[], bool], within: float = 600.0) -> None:
        """Move the clock second by second until ``true()``."""
        for _ in range(int(within)):
            if true():
                return
            self.forward(1.0)
        raise AssertionError(f"it did not come about within {within:g} virtual seconds")

    def stop_host(self, host: str) -> list[int]:
        """Stop every OSD of a host in order; the ids."""
        ids = [osd.id for osd in self.ceph.osds.values() if osd.host == host]
        for number in ids:
            assert self.run("systemctl", "stop", f"ceph-osd@{number}", node=host).exit == 0
        self.until(lambda: not any(self.ceph.osds[number].up for number in ids))
        return ids


@pytest.fixture
def lab() -> Lab:
    return Lab()
