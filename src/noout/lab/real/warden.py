"""A process of its own that clears up behind another one as soon as that lets go of it, be it by dying."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

# When its stdin ends: end all processes that have the folder on their command line, then remove what they stood on.
WARDEN = """
import os, pathlib, shutil, signal, subprocess, sys, threading
folder, *namespaces = sys.argv[1:]
sys.stdin.read()
for _ in range(100):
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if int(path.parent.name) != os.getpid() and folder.encode() in path.read_bytes():
                os.kill(int(path.parent.name), signal.SIGKILL)
                found.append(path)
        except OSError:
            pass
    if not found:
        break
    threading.Event().wait(0.05)
for name in namespaces:
    subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)
shutil.rmtree(folder, ignore_errors=True)
"""


def engage(folder: Path, namespaces: Iterable[str] = ()) -> subprocess.Popen[bytes]:
    """``communicate()`` with it, or die: it ends what runs on ``folder``, and removes folder and namespaces."""
    argv = [sys.executable, "-c", WARDEN, str(folder), *namespaces]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True)
