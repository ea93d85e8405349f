"""Control's side wired: who has documents to show, and who does what is wanted."""

from __future__ import annotations

from urllib.parse import urlsplit

from noout.adapters.http import Channel, Server
from noout.adapters.tls import context_for
from noout.app.compose import Installation
from noout.app.maintain import Maintenances
from noout.app.portal import Portals
from noout.app.public.courier import Courier
from noout.app.public.envelope import key_of
from noout.app.public.technicians import Technicians
from noout.domain.errors import UsageError
from noout.settings import read_secret
from noout.settings_public import PublicSettings


def courier_of(found: Installation) -> Courier:
    """UsageError when the configuration names no public process, or its key cannot be read."""
    chosen = found.settings.public
    if chosen is None:
        raise UsageError(
            "no public process is configured: technicians would reach nothing",
            remedy="add [public], or serve with --role all (docs/how-to/two-processes.md)",
        )
    key = key_of(read_secret(found.settings.file(chosen.key_file), "public.key_file"), "public.key_file")
    maintenances = Maintenances(found)
    technicians = Technicians(maintenances.field_work(), found.news.open_ones, maintenances.all)
    portals = Portals(found)
    documents = (technicians.documents, portals.documents)
    performs = {"technician": technicians.perform, "portal": portals.perform}
    return Courier(_channel(found, chosen), key, found.clock, documents, performs)


def _channel(found: Installation, chosen: PublicSettings) -> Channel:
    parts = urlsplit(chosen.url)
    ca = found.settings.file(chosen.ca) if chosen.ca else None
    tls = context_for(parts.netloc, chosen.fingerprint, ca) if parts.scheme == "https" else None
    return Channel(Server(chosen.url, tls))
