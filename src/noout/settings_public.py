"""The table of the public process, where technicians' and customers' pages are served apart."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from noout.domain.errors import UsageError
from noout.settings_kinds import Fingerprint, Url

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class PublicSettings(BaseModel):
    """``url``: where control reaches it; ``base_url``: where phones and customers do, if that is another address."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Url
    key_file: Path
    base_url: str = ""
    ca: Path | None = None
    fingerprint: Fingerprint | None = None


def check_public(public: PublicSettings | None, path: Path) -> None:
    """UsageError where what technicians do would go over a network that anybody can read."""
    if public is None or public.url.startswith("https://") or urlsplit(public.url).hostname in LOOPBACK:
        return
    raise UsageError(f"{path}: key public.url is not https", remedy="the secrets of technicians' links go over it")
