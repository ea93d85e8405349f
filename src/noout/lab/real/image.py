"""The guest of real migrations: a kernel from Debian, an initramfs with one small program in it."""

from __future__ import annotations

import gzip
import shutil
import stat
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parent / "guest.c"


def build(parts: Path, folder: Path) -> None:
    """``parts``: a folder with ``vmlinuz`` and ``*.ko``; ``folder`` gets ``vmlinuz`` and ``initramfs``."""
    init = folder / "init"
    subprocess.run(
        ["gcc", "-O2", "-Wall", "-Wextra", "-static", "-pthread", "-o", str(init), str(SOURCE)],
        check=True,
        capture_output=True,
    )
    entries = [("dev", stat.S_IFDIR | 0o755, b"", (0, 0)), ("dev/console", stat.S_IFCHR | 0o600, b"", (5, 1))]
    entries += [(module.name, stat.S_IFREG | 0o644, module.read_bytes(), (0, 0)) for module in parts.glob("*.ko")]
    entries.append(("init", stat.S_IFREG | 0o755, init.read_bytes(), (0, 0)))
    archive = b"".join(_entry(number, *each) for number, each in enumerate(entries, 1))
    (folder / "initramfs").write_bytes(gzip.compress(archive + _entry(0, "TRAILER!!!", 0, b"", (0, 0)), 1))
    shutil.copy(parts / "vmlinuz", folder / "vmlinuz")


def _entry(inode: int, name: str, mode: int, data: bytes, device: tuple[int, int]) -> bytes:
    """One file in cpio's "newc" form, which the kernel reads."""
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
