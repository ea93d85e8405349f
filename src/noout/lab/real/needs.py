"""What real parts need of this machine, said in one sentence where it is missing."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

QEMU = "qemu-system-x86_64"
OLDEST_QEMU = 9
PROGRAMS = (QEMU, "ip", "tc", "gcc")
PARTS = Path(os.environ.get("NOOUT_REAL_GUEST") or "/var/cache/noout-real/guest")  # where install-real-parts puts them
LAB_PROGRAMS = ("ipmi_sim", "ipmitool", "unshare", "nsenter", "setpriv")
CEPH_PROGRAMS = ("ceph", "ceph-mon", "ceph-mgr", "ceph-osd", "monmaptool", "rados")


@functools.cache
def lacking() -> str:
    """Why no guest can migrate here; empty where everything is there."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    missing += [] if (PARTS / "vmlinuz").exists() else ["a guest kernel"]
    if missing:
        return f"a real migration needs {', '.join(missing)} (scripts/install-real-parts)"
    told = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"version (\d+)", told)
    if version is None or int(version[1]) < OLDEST_QEMU:
        return f"a real migration needs QEMU {OLDEST_QEMU} or later: an older one loses writes without KVM"
    if os.geteuid() != 0:
        return "a real migration needs root, for network namespaces"
    return "" if os.access("/dev/net/tun", os.W_OK) else "a real migration needs /dev/net/tun"


def lacking_for_lab() -> str:
    """Why the lab with real parts cannot be started here; empty where it can."""
    missing = [name for name in LAB_PROGRAMS if shutil.which(name) is None]
    return lacking() or (f"a real lab needs {', '.join(missing)} (scripts/install-real-parts)" if missing else "")


def lacking_for_ceph() -> str:
    """Why there can be no real Ceph; empty where there can."""
    missing = [name for name in CEPH_PROGRAMS if shutil.which(name) is None]
    return f"a real Ceph needs {', '.join(missing)} (scripts/install-real-parts)" if missing else ""
