"""The guest that real migrations move: a kernel, an initramfs with one program in it, booted once and saved."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.realqemu import PARTS, TwoHosts
from tests.support.warden import engage

SOURCE = Path(__file__).parent / "guest" / "guest.c"


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


@contextlib.contextmanager
def saved_guest() -> Iterator[Path]:
    """A template for ``TwoHosts``, in a folder with its kernel and initramfs; gone after the block, or with us."""
    folder = Path(tempfile.mkdtemp(prefix="noout-guest-"))
    warden = engage(folder)
    try:
        build(PARTS, folder)
        asyncio.run(_boot_and_save(folder, folder / "template"))
        yield folder / "template"
    finally:
        warden.communicate()


async def _boot_and_save(folder: Path, template: Path) -> None:
    async with TwoHosts(folder) as hosts:
        machine = await hosts.boot()
        await machine.qmp.execute("migrate", {"uri": f"exec:cat > {template}"})
        async with asyncio.timeout(60):
            while True:
                told = await machine.migration()
                if told["status"] == "completed":
                    return
                if told["status"] == "failed":
                    raise RuntimeError(f"the guest could not be saved: {told.get('error-desc', '')}")
                await asyncio.sleep(0.05)
