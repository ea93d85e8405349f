"""How noout finds the machine it runs on."""

from __future__ import annotations

from pathlib import Path

from noout.adapters.machine import machine_uuid


def test_the_uuid_of_the_firmware(tmp_path: Path) -> None:
    (tmp_path / "product_uuid").write_text("8E5A1D1C-59B0-4A0E-93C5-4C3F0DDC0A11\n")
    assert machine_uuid(tmp_path / "product_uuid") == "8e5a1d1c-59b0-4a0e-93c5-4c3f0ddc0a11"


def test_where_it_cannot_be_read_nothing_is_known(tmp_path: Path) -> None:
    assert machine_uuid(tmp_path / "absent") == ""
    (tmp_path / "odd").write_bytes(b"\xff\xfe")
    assert machine_uuid(tmp_path / "odd") == ""
