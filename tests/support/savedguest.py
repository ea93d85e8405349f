"""The guest that real migrations move: a kernel, an initramfs with one program in it, booted once and saved."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from noout.lab.real.image import build
from noout.lab.real.needs import PARTS
from noout.lab.real.warden import engage
from tests.support.realqemu import TwoHosts


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
