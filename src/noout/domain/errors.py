"""What can go wrong when talking to the world, as an exception tree.

::

    NooutError
    ├── UsageError        the caller's words are off (unknown node, malformed file)         exit 2
    ├── Refused           the other side, or a rule of ours, said no; nothing was done      exit 3
    │   └── Forbidden     a privilege is missing: says which and on what path               exit 3
    ├── Retryable         nothing was done, or only reading: asking again is safe           exit 1
    ├── UnknownOutcome    an effect was asked for and the answer never came: look first     exit 4
    ├── Broken            it will not work until somebody mends something                   exit 1
    │   ├── Untrusted     the certificate or host key is not the pinned one; nothing sent   exit 1
    │   └── StoreBroken   noout's own database cannot be used: nothing is begun until then  exit 1
    └── Superseded        somebody else wrote to this journal stream first                  (fences a zombie)

Each carries one sentence for a person and a remedy; ``str(error)`` is fit to print.
"""

from __future__ import annotations


class NooutError(Exception):
    """Base of all: ``message`` says what is wrong, ``remedy`` what to do about it (may be empty)."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} → {self.remedy}" if self.remedy else self.message


class UsageError(NooutError):
    exit_code = 2


class Refused(NooutError):
    exit_code = 3


class Forbidden(Refused):
    """A privilege is missing. ``privilege`` and ``path`` as Proxmox VE names them ("" where it did not say)."""

    def __init__(self, message: str, *, privilege: str = "", path: str = "", remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.privilege = privilege
        self.path = path


class Retryable(NooutError):
    exit_code = 1


class UnknownOutcome(NooutError):
    exit_code = 4


class Broken(NooutError):
    exit_code = 1


class Untrusted(Broken):
    pass


class StoreBroken(Broken):
    pass


class Superseded(NooutError):
    exit_code = 1
