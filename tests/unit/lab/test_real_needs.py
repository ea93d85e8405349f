"""What a real migration refuses to be measured with."""

from __future__ import annotations

from pathlib import Path

import pytest

from noout.lab.real import needs


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing on it but a guest's kernel."""
    (tmp_path / "vmlinuz").touch()
    monkeypatch.setattr(needs, "PARTS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def install(machine: Path, qemu: str) -> None:
    for name in needs.PROGRAMS:
        (machine / name).write_text(f"#!/bin/sh\necho 'QEMU emulator version {qemu}'\n")
        (machine / name).chmod(0o755)


def test_what_is_missing_is_named(machine: Path) -> None:
    assert "qemu-system-x86_64, ip, tc, gcc (scripts/install-real-parts)" in needs.lacking.__wrapped__()
    (machine / "vmlinuz").unlink()
    assert "gcc, a guest kernel" in needs.lacking.__wrapped__()


@pytest.mark.parametrize(("version", "refused"), [("7.2.22 (Debian)", True), ("8.9.9", True), ("9.0.0", False)])
def test_a_qemu_that_loses_writes_without_kvm_is_refused(machine: Path, version: str, refused: bool) -> None:
    install(machine, version)
    assert ("loses writes" in needs.lacking.__wrapped__()) is refused
