"""What a command that ran on a node's shell left behind."""

from __future__ import annotations

from typing import NamedTuple


class Outcome(NamedTuple):
    """Exit code, both outputs, and how long the command hung before it exited.

    ``after_s`` is in virtual seconds; None means that it never comes back (the caller has to give up).
    """

    exit: int
    stdout: str = ""
    stderr: str = ""
    after_s: float | None = 0.0
