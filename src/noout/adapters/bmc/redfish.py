"""The Bmc port over Redfish. BMCs are slow and flaky: requests are few, one after the other, and bounded.

A 2xx is not a result: the LED is read back here, the power by observing.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from noout.adapters.bmc import parse
from noout.adapters.bmc.parse import Document, documents, link, links, table
from noout.adapters.http import Answer, AnswerLost, Channel, NotSent, Server
from noout.domain.cluster import NodeId
from noout.domain.errors import Broken, NooutError, Refused, Retryable, UnknownOutcome
from noout.domain.hardware import HardwareState, LogEntry, Power, Reading, SensorKind
from noout.ports import Clock

ROOT = "/redfish/v1"
LOG_MAX = 200  # newest entries read at once
CHASSIS_MAX = 4
LOG_NAMES = ("SEL", "Sel", "IML", "Log1", "EventLog", "Event")  # where hardware events are, by vendor
POWER_ON = ("On", "ForceOn", "PushPowerButton")
POWER_OFF = ("ForceOff",)
LED_READS = 5
LOGOUT_S = 3.0
READ_TIMEOUT_S = 10.0  # a BMC that takes longer is taken for mute


@dataclass(frozen=True)
class _Paths:
    """Where things are in this BMC's tree."""

    system: str
    chassis: tuple[str, ...]
    log: str | None  # the entries
    restore: str  # what its BIOS does when power comes back, where the System does not say it


class RedfishBmc:
    """One node's BMC. ``session``: log in once instead of sending the password with every request.

    What went wrong (no answer, wrong password, another certificate) is told in the observation's ``trouble``.
    """

    def __init__(
        self, node: NodeId, server: Server, user: str, password: str, clock: Clock, *, session: bool = False
    ) -> None:
        self.node = node
        self._user = user
        self._password = password
        self._clock = clock
        self._session = session
        self._token: str | None = None
        self._session_path: str | None = None
        self._logins: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
        self._channel = Channel(server)
        self._paths: _Paths | None = None
        self._last_entry: str | None = None

    async def observe(self, *, log: bool = True) -> HardwareState:
        at = self._clock.now()
        try:
            paths = await self._discover()
            system = await self._get(paths.system)
        except NooutError as error:
            self._paths = None
            return HardwareState(node=self.node, at=at, reachable=False, trouble=str(error))
        look = _Look(self)
        chassis = [await look.at(path) for path in paths.chassis]
        readings, redundancy = await self._sensors(look, chassis)
        redundancy = {**parse.hpe_redundancy(system), **redundancy}
        entries = await self._log(look, paths, readings) if log else ()
        dimms = await self._dimms(look, system) if log else None
        first = chassis[0] if chassis else {}
        lit = parse.led(system)
        return HardwareState(
            node=self.node,
            at=self._clock.now(),
            reachable=True,
            power=parse.power(system) if "PowerState" in system else parse.power(first),
            led_on=lit if lit is not None else parse.led(first),
            readings=readings,
            log=entries,
            redundancy=redundancy,
            serial=str(system.get("SerialNumber") or first.get("SerialNumber") or "").strip(),
            model=str(system.get("Model") or first.get("Model") or "").strip(),
            inventory=parse.inventory(system, dimms),
            trouble=look.trouble,
            power_restore=parse.power_restore(system) or paths.restore,
        )

    async def power_on(self) -> None:
        """Ask for power unless it is on already. The power button is pressed only after reading that it is off."""
        paths = await self._discover()
        system = await self._get(paths.system)
        if parse.power(system) is Power.ON:
            return
        await self._reset(paths, system, POWER_ON, "press the power button at the rack")

    async def force_off(self) -> None:
        """Cut the power, as it is, unless it is off already. Nobody but a person decides that."""
        paths = await self._discover()
        system = await self._get(paths.system)
        if parse.power(system) is not Power.OFF:
            await self._reset(paths, system, POWER_OFF, "hold its power button at the rack, or pull its cords")

    async def _reset(self, paths: _Paths, system: Document, kinds: tuple[str, ...], by_hand: str) -> None:
        """Ask for the first of ``kinds`` that this machine says it allows. That it is accepted is no result."""
        action = table(table(system.get("Actions")).get("#ComputerSystem.Reset"))
        info_path = action.get("@Redfish.ActionInfo")
        info = await self._get(info_path) if isinstance(info_path, str) and info_path else {}
        allowed = parse.reset_types(action, info)
        wanted = next((kind for kind in kinds if kind in allowed), None if allowed else kinds[0])
        if wanted is None:
            raise Refused(
                f"the BMC of {self.node} cannot do {kinds[0]}: it offers {', '.join(allowed)}", remedy=by_hand
            )
        if wanted == "PushPowerButton" and parse.power(system) is not Power.OFF:
            raise Refused(f"the BMC of {self.node} does not say that the power is off; its button is not pressed")
        target = action.get("target")
        path = target if isinstance(target, str) and target else f"{paths.system}/Actions/ComputerSystem.Reset"
        await self._effect("POST", path, {"ResetType": wanted})

    async def locate(self, on: bool) -> None:
        """Switch the locate LED, on the System or else the Chassis, and read it back."""
        paths = await self._discover()
        for path in (paths.system, *paths.chassis):
            document, etag = await self._read(path)
            shown = parse.led(document)
            if shown is None:
                continue
            if shown is not on:
                new = isinstance(document.get("LocationIndicatorActive"), bool)
                body = {"LocationIndicatorActive": on} if new else {"IndicatorLED": "Blinking" if on else "Off"}
                await self._effect("PATCH", path, body, {"If-Match": etag} if etag else {})
            for _ in range(LED_READS):
                if parse.led(await self._get(path)) is on:
                    return
                await self._clock.sleep(1.0)
            raise UnknownOutcome(
                f"the BMC of {self.node} took the request and its LED still reads {'off' if on else 'on'}",
                remedy="look at the node; locate it by rack and serial number",
            )
        raise Refused(f"the BMC of {self.node} has no locate LED", remedy="locate it by rack and serial number")

    async def close(self) -> None:
        """Log out, should there be a session: a BMC has few. One that does not answer forgets it by itself."""
        if self._token is not None and self._session_path is not None:
            with suppress(NotSent, AnswerLost, NooutError):
                headers = {"X-Auth-Token": self._token}
                await self._channel.ask("DELETE", self._session_path, headers=headers, read_timeout_s=LOGOUT_S)
            self._token = None
        await self._channel.close()

    # --- reading -----------------------------------------------------------------------------------------

    async def _discover(self) -> _Paths:
        if self._paths is not None:
            return self._paths
        # Some BMCs answer the root with null: then the collections are where everybody has them.
        root = await self._get(f"{ROOT}/", missing_ok=True)
        systems = await self._get(link(root, "Systems") or f"{ROOT}/Systems")
        members = links(systems.get("Members"))
        if not members:
            raise Broken(f"the BMC of {self.node} shows no system", remedy="update its firmware")
        system = await self._get(members[0])
        chassis = links(table(system.get("Links")).get("Chassis"))
        if not chassis:
            listed = await self._get(link(root, "Chassis") or f"{ROOT}/Chassis", missing_ok=True)
            chassis = links(listed.get("Members"))
        log = await self._find_log(root, system)
        # Dell says it among the attributes of its BIOS, which change at a boot only.
        asks = link(system, "Bios") if not parse.power_restore(system) else None
        bios = await self._get(asks, missing_ok=True) if asks else {}
        restore = parse.power_restore({}, table(bios.get("Attributes")))
        self._paths = _Paths(members[0], tuple(chassis[:CHASSIS_MAX]), log, restore)
        return self._paths

    async def _find_log(self, root: Document, system: Document) -> str | None:
        """The entries of the log with the hardware's events, of the System or else of the Manager."""
        places = [link(system, "LogServices")]
        managers = links(table(system.get("Links")).get("ManagedBy"))
        if not managers:
            listed = await self._get(link(root, "Managers") or f"{ROOT}/Managers", missing_ok=True)
            managers = links(listed.get("Members"))
        for place in [*places, *(f"{manager.rstrip('/')}/LogServices" for manager in managers)]:
            services = links((await self._get(place, missing_ok=True)).get("Members")) if place else []
            ranked = sorted(services, key=_log_rank)
            if ranked:
                service = await self._get(ranked[0], missing_ok=True)
                return link(service, "Entries") or f"{ranked[0].rstrip('/')}/Entries"
        return None

    async def _sensors(self, look: _Look, chassis: list[Document]) -> tuple[tuple[Reading, ...], dict[str, str]]:
        readings: tuple[Reading, ...] = ()
        fans_rows: list[Document] = []
        power_rows: list[Document] = []
        for each in chassis:
            thermal = await look.at(link(each, "Thermal"))
            readings += parse.from_thermal(thermal)
            fans_rows += documents(thermal.get("Redundancy"))
            if not _has(readings, SensorKind.FAN):
                more, groups = await self._new_thermal(look, each)
                readings = parse.merge(readings, more)
                fans_rows += groups
            power = await look.at(link(each, "Power"))
            readings += parse.from_power(documents(power.get("PowerSupplies")))
            power_rows += documents(power.get("Redundancy"))
            if not _has(readings, SensorKind.POWER_SUPPLY) and link(each, "PowerSubsystem"):
                subsystem = await look.at(link(each, "PowerSubsystem"))
                supplies = await look.members(link(subsystem, "PowerSupplies"))
                readings += parse.from_power(supplies)
                power_rows += documents(subsystem.get("PowerSupplyRedundancy"))
        told = {"fans": parse.redundancy(fans_rows), "power-supplies": parse.redundancy(power_rows)}
        return parse.unique(readings), {key: word for key, word in told.items() if word is not None}

    async def _new_thermal(self, look: _Look, chassis: Document) -> tuple[tuple[Reading, ...], list[Document]]:
        subsystem = await look.at(link(chassis, "ThermalSubsystem"))
        fans = await look.members(link(subsystem, "Fans"))
        sensors = await look.members(link(chassis, "Sensors"))
        found = parse.merge(parse.from_fans(fans, sensors), parse.from_sensors(sensors))
        return found, documents(subsystem.get("FanRedundancy"))

    async def _log(self, look: _Look, paths: _Paths, readings: tuple[Reading, ...]) -> tuple[LogEntry, ...]:
        """The newest entries. Some BMCs begin with the newest, some with the oldest; most answer in pages."""
        page = await look.at(paths.log)
        rows = documents(page.get("Members"))
        if rows and all("Created" not in row and "EventTimestamp" not in row for row in rows):
            rows = await look.members(paths.log)  # only links: ask for their contents
        total = page.get("Members@odata.count")
        entries = parse.log_entries(rows)
        oldest_first = bool(rows) and bool(entries) and str(rows[-1].get("Id")) == entries[-1].id
        more = page.get("Members@odata.nextLink") or page.get("@odata.nextLink")
        if isinstance(total, int) and total > len(rows) and oldest_first and len(rows) > 1:
            page = await look.at(paths.log, {"$skip": str(max(total - LOG_MAX, 0))})
            rows = documents(page.get("Members")) or rows
            more = page.get("Members@odata.nextLink")
        while isinstance(more, str) and len(rows) < LOG_MAX and not self._known(rows):
            page = await look.at(more)
            rows += documents(page.get("Members"))
            more = page.get("Members@odata.nextLink") if page.get("Members") else None
        found = parse.log_entries(rows, [reading.sensor for reading in readings])[-LOG_MAX:]
        self._last_entry = found[-1].id if found else None
        return found

    def _known(self, rows: list[Document]) -> bool:
        """Whether the newest entry of the last look is among these: what comes after it has been read before."""
        return self._last_entry is not None and any(str(row.get("Id")) == self._last_entry for row in rows)

    async def _dimms(self, look: _Look, system: Document) -> int | None:
        count = (await look.at(link(system, "Memory"))).get("Members@odata.count")
        return count if isinstance(count, int) else None

    # --- requests ----------------------------------------------------------------------------------------

    async def _get(self, path: str, query: Mapping[str, str] | None = None, *, missing_ok: bool = False) -> Document:
        document, _ = await self._read(path, query, missing_ok=missing_ok)
        return document

    async def _read(
        self, path: str, query: Mapping[str, str] | None = None, *, missing_ok: bool = False
    ) -> tuple[Document, str]:
        """(document, ETag). A null or empty body is an empty document, and so is a 404 where ``missing_ok``."""
        try:
            answer = await self._ask("GET", path, query=query)
        except (NotSent, AnswerLost) as error:
            raise Retryable(f"the BMC of {self.node} does not answer: {error}", remedy=_REACH) from error
        if answer.status == 404 and missing_ok:
            return {}, ""
        if answer.status != 200:
            raise self._failure("GET", path, answer)
        return _document(answer), answer.headers.get("etag", "")

    async def _effect(
        self, method: str, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        try:
            answer = await self._ask(method, path, json=body, headers=headers)
        except NotSent as error:
            raise Retryable(f"the BMC of {self.node} does not answer: {error}", remedy=_REACH) from error
        except AnswerLost as error:
            raise UnknownOutcome(
                f"{method} {path} was sent to the BMC of {self.node}; no answer came ({error})",
                remedy="look at the node's power and LED before doing it again",
            ) from error
        if answer.status >= 300:
            raise self._failure(method, path, answer)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        parts = urlsplit(path)  # a BMC's link may be absolute: only its path is followed, always to this BMC
        local = parts.path + (f"?{parts.query}" if parts.query else "")
        wait_s = min(READ_TIMEOUT_S, self._channel.server.read_timeout_s)
        for last in (False, True):
            sent = {**await self._login(), **(headers or {})}
            answer = await self._channel.ask(method, local, query=query, json=json, headers=sent, read_timeout_s=wait_s)
            if answer.status == 401 and self._session and not last:
                if self._token == sent.get("X-Auth-Token"):  # else another look has logged in again already
                    self._token = None  # the session ended: nothing was done
                continue
            return answer
        raise AssertionError("unreachable")

    async def _login(self) -> dict[str, str]:
        if not self._session:
            pair = base64.b64encode(f"{self._user}:{self._password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        async with self._logins.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            if self._token is None:  # of two that look at once, one logs in for both
                self._token = await self._open_session()
        return {"X-Auth-Token": self._token}

    async def _open_session(self) -> str:
        path = f"{ROOT}/SessionService/Sessions"
        login = {"UserName": self._user, "Password": self._password}
        answer = await self._channel.ask("POST", path, json=login, read_timeout_s=READ_TIMEOUT_S)
        token = answer.headers.get("x-auth-token")
        if answer.status not in (200, 201) or not token:
            raise self._failure("POST", path, answer)
        told = urlsplit(answer.headers.get("location") or str(_document(answer).get("@odata.id") or "")).path
        self._session_path = told if told.startswith(f"{path}/") else None
        return token

    def _failure(self, method: str, path: str, answer: Answer) -> NooutError:
        what = f"the BMC of {self.node}: {method} {path}: {answer.status} {_told(answer)}".rstrip()
        if answer.status in (401, 403):
            return Broken(what, remedy="check the BMC's user, password file and role")
        if answer.status in (400, 404, 405, 409, 412):
            return Refused(what)
        return Retryable(what, remedy=_REACH) if method == "GET" else UnknownOutcome(what, remedy="look at the node")


class _Look:
    """Reading what is not indispensable: what fails is left out, and after a lost answer nothing more is asked."""

    def __init__(self, bmc: RedfishBmc) -> None:
        self._bmc = bmc
        self.trouble = ""

    async def at(self, path: str | None, query: Mapping[str, str] | None = None) -> Document:
        if path is None or self.trouble:
            return {}
        try:
            return await self._bmc._get(path, query, missing_ok=True)
        except (Retryable, Broken) as error:
            self.trouble = error.message
        except Refused:
            pass  # this BMC does not do that query
        return {}

    async def members(self, path: str | None) -> list[Document]:
        """A collection's members in full: expanded if the BMC can, else one by one."""
        if path is None:
            return []
        expanded = documents((await self.at(path, {"$expand": "."})).get("Members"))
        rows = expanded or documents((await self.at(path)).get("Members"))
        return [row if len(row) > 1 else await self.at(row.get("@odata.id")) for row in rows[:LOG_MAX]]


_REACH = "check the management network and the BMC itself"


def _document(answer: Answer) -> Document:
    try:
        return table(json.loads(answer.body))
    except ValueError:
        return {}


def _told(answer: Answer) -> str:
    """A BMC's own words for an error."""
    error = table(_document(answer).get("error"))
    info = documents(error.get("@Message.ExtendedInfo"))
    return str((info[0].get("Message") if info else None) or error.get("message") or answer.reason)


def _has(readings: tuple[Reading, ...], kind: SensorKind) -> bool:
    return any(reading.kind is kind for reading in readings)


def _log_rank(path: str) -> int:
    name = path.rstrip("/").rsplit("/", 1)[-1]
    return LOG_NAMES.index(name) if name in LOG_NAMES else len(LOG_NAMES)
