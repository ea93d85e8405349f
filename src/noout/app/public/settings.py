"""The public process's own configuration. There is no place in it for a cluster, a BMC or a store: it holds no
credential of any of them, and a file that does is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from noout.app.public.envelope import key_of
from noout.app.wording import read_wording
from noout.domain.errors import UsageError
from noout.settings import read_secret
from noout.settings_kinds import Zone
from noout.tell.wording import Wording


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PublicServe(_Table):
    """``proxies``: addresses or networks whose word on where a request came from counts."""

    listen: str = "127.0.0.1:8081"
    base_url: str = ""
    timezone: Zone = "UTC"
    wording_file: Path | None = None  # the same as control's, for the pages made here
    proxies: list[str] = ["127.0.0.1"]


class ControlSettings(_Table):
    key_file: Path


class PublicFile(_Table):
    serve: PublicServe = PublicServe()
    control: ControlSettings
    path: Path = Field(default=Path("public.toml"), exclude=True)

    @property
    def key(self) -> bytes:
        """UsageError when the file is missing, readable by others or too short."""
        return key_of(read_secret(self._beside(self.control.key_file), "control.key_file"), "control.key_file")

    @property
    def wording(self) -> Wording:
        """UsageError names what is wrong with the file."""
        chosen = self.serve.wording_file
        return read_wording(self._beside(chosen) if chosen else None, "serve.wording_file")

    def _beside(self, file: Path) -> Path:
        return file if file.is_absolute() else self.path.parent / file


def load_public(path: Path) -> PublicFile:
    """Read and check it; UsageError names the first wrong key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", remedy="check the file and its rights") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}", remedy="correct that line") from None
    if held := sorted(data.keys() & {"clusters", "store", "access", "customers", "tell", "public"}):
        raise UsageError(
            f"{path} holds [{held[0]}]: it is control's configuration, and public holds no credential",
            remedy="give the public process a file of its own (docs/how-to/two-processes.md)",
        )
    try:
        return PublicFile.model_validate({**data, "path": path})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{path}: key {key}: {first['msg']}", remedy=f"correct {key}") from None
