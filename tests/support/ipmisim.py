"""The lab's BMC that speaks real IPMI, for one test."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from noout.lab.real.ipmi import IpmiSim


@contextlib.contextmanager
def ipmi_sim(home: Path) -> Iterator[IpmiSim]:
    """Run a simulator; its clock is set. Skips the test, with a sentence, where the packages are missing."""
    missing = [name for name in ("ipmi_sim", "ipmitool") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: scripts/install-real-parts installs openipmi and ipmitool")
    sim = IpmiSim(home)
    sim.start()
    try:
        sim.set_clock()
        yield sim
    finally:
        sim.stop()
