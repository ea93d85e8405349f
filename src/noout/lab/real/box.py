"""Namespaces of its own for a lab: its processes, its networks and its mounts end with it, however it ends.

The kernel sees to that: the lab is the first process of a process namespace, and when that one dies, it kills all
others. The one who waits outside is told to the lab by its parent's death. A warden removes the folder.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from noout.lab.real.warden import engage

UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
PLACE = "place"  # the file in its folder that says where the box is for others
CLONE_NEWNET = 0x40000000


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder that goes with this block, or with this process; and with it whatever runs on it."""
    made = Path(tempfile.mkdtemp(prefix="noout-lab-", dir="/var/tmp"))
    warden = engage(made)
    try:
        yield made
    finally:
        warden.communicate()


def start(made: Path, argv: Sequence[str]) -> subprocess.Popen[bytes]:
    """Run ``argv`` boxed; it names the folder. ``PLACE`` in it says then where the box is for others."""
    process = subprocess.Popen([*UNSHARE, *argv])
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None:
        with contextlib.suppress(OSError):
            if first := children.read_text().split():
                fresh = made / f"{PLACE}.new"
                fresh.write_text(f"/proc/{first[0]}/ns/net")
                fresh.rename(made / PLACE)
                break
    return process


def enter(namespace: str) -> None:
    """From now on this thread, and every one that it starts, opens its sockets in that network namespace.

    OSError where it is gone, or where one is not root.
    """
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, f"{namespace} cannot be entered: {os.strerror(number)}")
    finally:
        os.close(descriptor)
