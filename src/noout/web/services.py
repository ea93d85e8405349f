"""What the web needs of the program: a handful of callables, wired by ``app``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from noout.app.technician import FieldWork
from noout.app.watching.reception import Reception
from noout.domain.access import Person
from noout.domain.maintenance import Maintenance


@dataclass(frozen=True, slots=True)
class WebServices:
    """What the web needs of the program.

    ``person_of``: a bearer token -> whose it is; None when it is nobody's.
    ``reception``: takes what is sent about the nodes' hardware; None where nothing watches them.
    ``base_url``: what links begin with, where it differs from how the request came ("https://noout.example").
    ``timezone``: the technicians' own, for times on their page.
    ``metrics``: figures of noout itself, for a Prometheus; None where nothing is served all the time.
    """

    field: FieldWork
    maintenances: Callable[[], Awaitable[Sequence[Maintenance]]]
    person_of: Callable[[str], Awaitable[Person | None]]
    reception: Reception | None = None
    base_url: str = ""
    timezone: str = "UTC"
    metrics: Callable[[], Awaitable[str]] | None = None
