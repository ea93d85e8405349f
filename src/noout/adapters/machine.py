"""The machine that noout runs on, as its firmware names it: how noout finds itself among a cluster's guests."""

from __future__ import annotations

from pathlib import Path

PRODUCT_UUID = Path("/sys/class/dmi/id/product_uuid")


def machine_uuid(path: Path = PRODUCT_UUID) -> str:
    """The SMBIOS UUID in lower case; "" where it cannot be read: by anyone but root, or on a machine without one.

    In a container it is the node's own, which no guest has.
    """
    try:
        return path.read_text(encoding="ascii").strip().lower()
    except (OSError, UnicodeDecodeError):
        return ""
