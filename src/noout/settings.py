"""noout.toml as one typed tree. Every error names its key, what was found there and what to do.

Secrets are named by file (``token_file``, ``password_file``), readable by their owner only. Only a lab's own
configuration (one with a ``[lab]`` table) may hold them literally.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from noout.domain.cluster import GuestId
from noout.domain.errors import UsageError
from noout.domain.hardware import Urgency
from noout.settings_access import AccessSettings, check_access
from noout.settings_field import WorkOrderSettings
from noout.settings_keeping import HeartbeatSettings, JournalSettings, WebhookName, WebhookSettings, check_webhooks
from noout.settings_kinds import (
    AlertSettings,
    BmcUrl,
    Fingerprint,
    FreezeSettings,
    GuestName,
    HttpsUrl,
    PrometheusSettings,
    Url,
    WindowText,
    Zone,
)
from noout.settings_probes import ProbeSettings, check_probes
from noout.settings_public import PublicSettings, check_public
from noout.settings_tell import CustomerSettings, TellSettings, check_tell

CREDENTIAL = "credential:"  # before the name of a secret that systemd hands over, in place of a file's path
SEARCHED = (Path("noout.toml"), Path("/etc/noout/noout.toml"))


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LabSettings(_Table):
    """Written by ``noout lab``: how its time runs (``now = epoch + speed x (wall - started)``) and its control API."""

    epoch: float
    started: float
    speed: float = Field(gt=0)
    control: Url
    namespace: str = ""  # of a lab with real parts: the network namespace in which it, and its guests, are reached


class ShellSettings(_Table):
    """SSH to the nodes, for the few things PVE offers there only."""

    user: str = "root"
    key_file: Path
    known_hosts_file: Path
    ports: dict[str, int] = {}  # node -> port, where it is not 22
    hosts: dict[str, str] = {}  # node -> address, where it is not what PVE says


class CephSettings(_Table):
    enabled: bool = True
    user: str | None = Field(default=None, pattern=r"^client\.[A-Za-z0-9][A-Za-z0-9_.-]*$")  # None: the node's admin
    hosts: dict[str, str] = {}  # node -> CRUSH host, where they differ


class BmcSettings(_Table):
    url: BmcUrl
    user: str
    password_file: Path | None = None
    password: str | None = Field(default=None, repr=False)
    fingerprint: Fingerprint | None = None
    ca: Path | None = None
    session: bool = False  # Redfish: log in once and out at the end, instead of the password with every request
    cipher_suite: int = Field(default=3, ge=0, le=17)  # IPMI


class NodeSettings(_Table):
    """``chassis``, ``pdu``, ``switch``: names of the parts it shares with every other node that has the same there."""

    room: str = ""
    rack: str = ""
    unit: str = ""
    serial: str = ""
    chassis: str = ""
    pdu: str = ""
    switch: str = ""


class NetworkSettings(_Table):
    """The network of the cluster's migrations, where it is not as it is seen, or as is assumed."""

    nic_gbit: float = Field(default=10, gt=0)  # a node's link
    encrypted: bool | None = None
    shared: bool | None = None  # with Ceph or corosync


class ClusterSettings(_Table):
    entrypoints: list[HttpsUrl] = Field(min_length=1)
    token_file: Path | None = None
    token: str | None = Field(default=None, repr=False)
    user: str | None = Field(default=None, pattern=r"^[^@\s]+@[^@\s!]+$")  # instead of a token: user@realm
    password_file: Path | None = None
    password: str | None = Field(default=None, repr=False)
    accept_version: str | None = Field(default=None, pattern=r"^\d+\.\d+$")
    fingerprint: Fingerprint | None = None
    fingerprints: dict[str, Fingerprint] = {}  # "host:port" -> fingerprint
    ca: Path | None = None
    shell: ShellSettings | None = None
    ceph: CephSettings = CephSettings()
    network: NetworkSettings = NetworkSettings()
    bmc: dict[str, BmcSettings] = {}
    alerts: AlertSettings | None = None
    prometheus: PrometheusSettings | None = None
    nodes: dict[str, NodeSettings] = {}
    timezone: Zone = "UTC"


class PolicySettings(_Table):
    streams: int = Field(default=8, ge=1, le=32)
    network_share: float = Field(default=0.5, gt=0, le=1)
    slow_wait_s: float = Field(default=900, ge=0)
    os_reserve_gib: float = Field(default=8, ge=0)
    osd_reserve_gib: float = Field(default=4, ge=0)
    relocate_tag: str = "relocate-ok"
    shutdown_tag: str = "shutdown-ok"
    eject_tag: str = "eject-ok"
    pin_tag: str = Field(default="pin-", min_length=1)
    prefer_tag: str = Field(default="prefer-", min_length=1)
    tolerant_tag: str = "tolerant"
    eject_isos: str = Field(default="ask", pattern="^(ask|eject)$")
    lock_wait_s: float = Field(default=3600, ge=0)
    cpu_ratio: float = Field(default=0.8, gt=0)
    canary: Literal["return", "wait"] = "return"
    soak_s: float = Field(default=600, gt=0)
    soak_share: float = Field(default=0, ge=0, lt=1)
    soak_max_h: float = Field(default=4, gt=0)
    hold_limit_h: float = Field(default=4, gt=0)
    cluster_noout: bool = False
    probation_days: float = Field(default=7, gt=0)
    watch_every_s: float = Field(default=60, gt=0)
    show_estimates: bool = False
    windows: list[WindowText] = []
    four_eyes: bool = False
    node_hours: float = Field(default=1, ge=0)


class ActionSettings(_Table):
    """What a condition calls for; what is not set is as in ``watch.policy.Actions``."""

    fan_flapping: Urgency | None = None
    fan_degraded: Urgency | None = None
    fan_failed: Urgency | None = None
    fans_failed: Urgency | None = None
    fans_insufficient: Urgency | None = None
    temperature_critical: Urgency | None = None
    power_degraded: Urgency | None = None
    power_failed: Urgency | None = None
    power_at_risk: Urgency | None = None
    memory_correctable: Urgency | None = None
    memory_uncorrectable: Urgency | None = None
    network_flapping: Urgency | None = None
    network_degraded: Urgency | None = None
    network_failed: Urgency | None = None
    disk_failing: Urgency | None = None


class WatchSettings(_Table):
    actions: ActionSettings = ActionSettings()
    smart: bool = True  # ask Proxmox VE for SMART's word on each node's disks, once an hour
    events_url: HttpsUrl | None = None  # where the BMCs reach this noout, to send their events to


class SelfSettings(_Table):
    """What noout itself and its database run in, where those are guests."""

    guests: list[GuestName] = []


class ServeSettings(_Table):
    listen: str = "127.0.0.1:8080"
    base_url: str = ""
    proxies: list[str] = ["127.0.0.1"]  # whose word on where a request came from counts: addresses, networks
    operator_token_file: Path | None = None
    operator_token: str | None = Field(default=None, repr=False)
    provider: str = "Your provider"


class StoreSettings(_Table):
    url: str = "sqlite:///noout.db"
    takeover_s: float = Field(default=15, ge=2, le=600)  # several processes: the longest a dead one's runs stand still


class PageSettings(_Table):
    command: tuple[str, ...] = ()  # run with one JSON document on its standard input, to wake people


class Settings(_Table):
    clusters: dict[str, ClusterSettings] = Field(min_length=1)
    lab: LabSettings | None = None
    customers: dict[str, CustomerSettings] = {}
    tell: TellSettings = TellSettings()
    probes: ProbeSettings = ProbeSettings()
    policy: PolicySettings = PolicySettings()
    freezes: list[FreezeSettings] = []
    watch: WatchSettings = WatchSettings()
    self: SelfSettings = SelfSettings()
    serve: ServeSettings = ServeSettings()
    access: AccessSettings = AccessSettings()
    store: StoreSettings = StoreSettings()
    page: PageSettings = PageSettings()
    workorders: WorkOrderSettings = WorkOrderSettings()
    journal: JournalSettings = JournalSettings()
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    webhooks: dict[WebhookName, WebhookSettings] = {}
    public: PublicSettings | None = None
    path: Path = Field(default=Path("noout.toml"), exclude=True)

    @property
    def technicians_url(self) -> str:
        """What technicians' links begin with; "" where they begin as the request did that asked for one."""
        apart = (self.public.base_url or self.public.url) if self.public else ""
        return (apart or self.serve.base_url).rstrip("/")

    def file(self, path: Path) -> Path:
        """A path of the configuration, taken from the configuration's own folder when relative."""
        return path if path.is_absolute() else self.path.parent / path


def find(given: Path | None) -> Path:
    """The configuration file: the one given, NOOUT_CONFIG, ./noout.toml, /etc/noout/noout.toml; else UsageError."""
    named = given or (Path(os.environ["NOOUT_CONFIG"]) if os.environ.get("NOOUT_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise UsageError(f"there is no configuration file {named}", remedy="check --config or NOOUT_CONFIG")
        return named
    for path in SEARCHED:
        if path.is_file():
            return path
    raise UsageError(
        "no configuration: neither ./noout.toml nor /etc/noout/noout.toml exists",
        remedy="name one with --config FILE, or try `noout demo`, which needs none",
    )


def load(path: Path) -> Settings:
    """Read and check one configuration file; UsageError names the first wrong key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", remedy="check the file and its rights") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}", remedy="correct that line") from None
    return parse(data, path)


def parse(data: Mapping[str, Any], path: Path) -> Settings:
    """A TOML document, already read, as Settings."""
    if "path" in data:
        raise UsageError(f"{path}: unknown key path", remedy="remove it")
    try:
        settings = Settings.model_validate({**data, "path": path})
    except ValidationError as error:
        raise UsageError(f"{path}: {_sentence(error)}", remedy=_remedy(error)) from None
    _check_secrets(settings)
    check_probes(settings.probes, path, literal=settings.lab is not None)
    _check_self(settings)
    check_tell(settings.tell, settings.customers, path, literal=settings.lab is not None)
    check_access(settings.access, settings.clusters, path, literal=settings.lab is not None)
    check_public(settings.public, path)
    check_webhooks(settings.webhooks, settings.clusters, path, literal=settings.lab is not None)
    return settings


def _first(error: ValidationError) -> ErrorDetails:
    """The one to speak of: an unknown key before a missing one, for the missing one may just be misspelt."""
    return min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")


def _key(error: ValidationError) -> str:
    return ".".join(str(part) for part in _first(error)["loc"])


def _sentence(error: ValidationError) -> str:
    first = _first(error)
    key = _key(error)
    if first["type"] == "extra_forbidden":
        return f"unknown key {key}"
    if first["type"] == "missing":
        return f"key {key} is missing"
    secret = any(word in key for word in ("token", "password", "secret", "hash"))
    found = "" if secret else f" (found {str(first.get('input'))[:60]!r})"
    return f"key {key}: {first['msg'].removeprefix('Value error, ')}{found}"


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    """The names allowed beside the key at ``loc``."""
    model: type[BaseModel] | None = Settings
    for part in loc[:-1]:
        field = model.model_fields.get(str(part)) if model else None
        if field is not None:
            model = next((each for each in _models(field.annotation)), None)
    return list(model.model_fields) if model else []


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for each in getattr(annotation, "__args__", ()) for found in _models(each)]


def _remedy(error: ValidationError) -> str:
    first = _first(error)
    key = _key(error)
    if first["type"] != "extra_forbidden":
        return f"correct {key}"
    known = _known_keys(first["loc"])
    near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return "remove it" + (f"; known here: {', '.join(sorted(set(known) - {'path'}))}" if known else "")


def _check_self(settings: Settings) -> None:
    for guest in settings.self.guests:
        cluster = GuestId.parse(guest).cluster
        if cluster not in settings.clusters:
            raise UsageError(
                f"{settings.path}: key self.guests: {guest} is in no cluster of this file",
                remedy=f"known: {', '.join(settings.clusters)}",
            )


def _check_secrets(settings: Settings) -> None:
    """Literal secrets are for a lab's own file only; every cluster needs one way to know its server and itself."""
    for name, cluster in settings.clusters.items():
        where = f"{settings.path}: key clusters.{name}"
        _check_login(where, cluster)
        literal = [f"clusters.{name}.token"] if cluster.token else []
        literal += [f"clusters.{name}.password"] if cluster.password else []
        literal += [f"clusters.{name}.bmc.{node}.password" for node, bmc in cluster.bmc.items() if bmc.password]
        tables = {"alerts": cluster.alerts, "prometheus": cluster.prometheus}
        literal += [f"clusters.{name}.{key}.token" for key, each in tables.items() if each is not None and each.token]
        if literal and settings.lab is None:
            raise UsageError(
                f"{settings.path}: key {literal[0]} holds a secret in plain text",
                remedy="put it into a file readable by noout only and name that file",
            )
        for node, bmc in cluster.bmc.items():
            if bmc.password is None and bmc.password_file is None:
                raise UsageError(f"{where}.bmc.{node}: password_file is missing", remedy="set it")
            if bmc.url.startswith("ipmi:") and (bmc.fingerprint or bmc.ca or bmc.session):
                raise UsageError(
                    f"{where}.bmc.{node}: fingerprint, ca and session are for Redfish; IPMI shows no certificate",
                    remedy="leave them out, or use the BMC's https:// address",
                )


def _check_login(where: str, cluster: ClusterSettings) -> None:
    """One way in: a token, or a user and a password."""
    token = cluster.token is not None or cluster.token_file is not None
    password = cluster.password is not None or cluster.password_file is not None
    if token and (cluster.user or password):
        raise UsageError(f"{where}: both a token and a user are set", remedy="keep one; a token can be given less")
    if cluster.user and not password:
        raise UsageError(
            f"{where}: user is set and password_file is missing", remedy="set password_file, or token_file"
        )
    if password and not cluster.user:
        raise UsageError(f"{where}: password_file is set and user is missing", remedy='set user = "NAME@REALM"')
    if not token and not cluster.user:
        raise UsageError(
            f"{where}: neither token_file nor token is set", remedy="set token_file (or user and password_file)"
        )


def secret(settings: Settings, literal: str | None, file: Path | None, key: str) -> str:
    """A secret's value; UsageError when its file is missing, empty or readable by others."""
    if literal is not None:
        return literal
    assert file is not None, key
    if str(file).startswith(CREDENTIAL):
        return _credential(str(file).removeprefix(CREDENTIAL), key)
    return read_secret(settings.file(file), key)


def read_secret(path: Path, key: str) -> str:
    """A secret in a file of its owner's; UsageError when it is missing, empty or readable by others."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(f"key {key}: {path} cannot be read: {error.strerror}", remedy="check the file") from None
    if mode & 0o077:
        raise UsageError(f"key {key}: {path} can be read by others", remedy=f"chmod 600 {path}")
    if not text:
        raise UsageError(f"key {key}: {path} is empty", remedy="write the secret into it")
    return text


def _credential(name: str, key: str) -> str:
    """A secret that systemd hands over in a folder of the service's own (LoadCredential, LoadCredentialEncrypted)."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder or not name or "/" in name:
        raise UsageError(
            f"key {key}: no credential {name!r} was handed over",
            remedy=f"LoadCredentialEncrypted={name or 'NAME'} in the unit; by hand: systemd-run -p LoadCredential=...",
        )
    try:
        text = (Path(folder) / name).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(
            f"key {key}: the credential {name} cannot be read: {error.strerror}",
            remedy=f"LoadCredentialEncrypted={name} in the unit",
        ) from None
    if not text:
        raise UsageError(f"key {key}: the credential {name} is empty", remedy="write the secret into it")
    return text
