"""The Bmc port over Redfish. BMCs are slow and flaky: requests are few, one after the other, and bounded.

A 2xx is not a result: the LED is read back here, the power by observing.
"""

from __future__ import annotations

from dataclasses import dataclass

from noout.adapters.bmc import parse
from noout.adapters.bmc.client import ROOT, RedfishClient
from noout.adapters.bmc.look import Look
from noout.adapters.bmc.parse import Document, documents, link, links, table
from noout.adapters.bmc.subscription import subscribed
from noout.adapters.http import Server
from noout.domain.cluster import NodeId
from noout.domain.errors import Broken, NooutError, Refused, UnknownOutcome
from noout.domain.hardware import HardwareState, Power, Reading, SensorKind
from noout.ports import Clock

CHASSIS_MAX = 4
LOG_NAMES = ("SEL", "Sel", "IML", "Log1", "EventLog", "Event")  # where hardware events are, by vendor
POWER_ON = ("On", "ForceOn", "PushPowerButton")
POWER_OFF = ("ForceOff",)
LED_READS = 5


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
        self.client = RedfishClient(node, server, user, password, session=session)
        self._clock = clock
        self._paths: _Paths | None = None
        self._last_entry: str | None = None

    async def observe(self, *, log: bool = True) -> HardwareState:
        at = self._clock.now()
        try:
            paths = await self._discover()
            system = await self.client.get(paths.system)
        except NooutError as error:
            self._paths = None
            return HardwareState(node=self.node, at=at, reachable=False, trouble=str(error))
        look = Look(self.client)
        chassis = [await look.at(path) for path in paths.chassis]
        readings, redundancy = await self._sensors(look, chassis)
        redundancy = {**parse.hpe_redundancy(system), **redundancy}
        entries = parse.log_entries(await self._log(look, paths), [each.sensor for each in readings]) if log else ()
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
        system = await self.client.get(paths.system)
        if parse.power(system) is Power.ON:
            return
        await self._reset(paths, system, POWER_ON, "press the power button at the rack")

    async def force_off(self) -> None:
        """Cut the power, as it is, unless it is off already. Nobody but a person decides that."""
        paths = await self._discover()
        system = await self.client.get(paths.system)
        if parse.power(system) is not Power.OFF:
            await self._reset(paths, system, POWER_OFF, "hold its power button at the rack, or pull its cords")

    async def _reset(self, paths: _Paths, system: Document, kinds: tuple[str, ...], by_hand: str) -> None:
        """Ask for the first of ``kinds`` that this machine says it allows. That it is accepted is no result."""
        action = table(table(system.get("Actions")).get("#ComputerSystem.Reset"))
        info_path = action.get("@Redfish.ActionInfo")
        info = await self.client.get(info_path) if isinstance(info_path, str) and info_path else {}
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
        await self.client.effect("POST", path, {"ResetType": wanted})

    async def locate(self, on: bool) -> None:
        """Switch the locate LED, on the System or else the Chassis, and read it back."""
        paths = await self._discover()
        for path in (paths.system, *paths.chassis):
            document, etag = await self.client.read(path)
            shown = parse.led(document)
            if shown is None:
                continue
            if shown is not on:
                new = isinstance(document.get("LocationIndicatorActive"), bool)
                body = {"LocationIndicatorActive": on} if new else {"IndicatorLED": "Blinking" if on else "Off"}
                await self.client.effect("PATCH", path, body, {"If-Match": etag} if etag else {})
            for _ in range(LED_READS):
                if parse.led(await self.client.get(path)) is on:
                    return
                await self._clock.sleep(1.0)
            raise UnknownOutcome(
                f"the BMC of {self.node} took the request and its LED still reads {'off' if on else 'on'}",
                remedy="look at the node; locate it by rack and serial number",
            )
        raise Refused(f"the BMC of {self.node} has no locate LED", remedy="locate it by rack and serial number")

    async def subscribed(self, destination: str, context: str, known: str) -> str:
        """See ``EventSource``."""
        return await subscribed(self.client, destination, context, known)

    async def unsubscribe(self, known: str) -> None:
        await self.client.effect("DELETE", known)

    async def close(self) -> None:
        await self.client.close()

    # --- reading -----------------------------------------------------------------------------------------

    async def _discover(self) -> _Paths:
        if self._paths is not None:
            return self._paths
        # Some BMCs answer the root with null: then the collections are where everybody has them.
        root = await self.client.get(f"{ROOT}/", missing_ok=True)
        systems = await self.client.get(link(root, "Systems") or f"{ROOT}/Systems")
        members = links(systems.get("Members"))
        if not members:
            raise Broken(f"the BMC of {self.node} shows no system", remedy="update its firmware")
        system = await self.client.get(members[0])
        chassis = links(table(system.get("Links")).get("Chassis"))
        if not chassis:
            listed = await self.client.get(link(root, "Chassis") or f"{ROOT}/Chassis", missing_ok=True)
            chassis = links(listed.get("Members"))
        log = await self._find_log(root, system)
        # Dell says it among the attributes of its BIOS, which change at a boot only.
        asks = link(system, "Bios") if not parse.power_restore(system) else None
        bios = await self.client.get(asks, missing_ok=True) if asks else {}
        restore = parse.power_restore({}, table(bios.get("Attributes")))
        self._paths = _Paths(members[0], tuple(chassis[:CHASSIS_MAX]), log, restore)
        return self._paths

    async def _find_log(self, root: Document, system: Document) -> str | None:
        """The entries of the log with the hardware's events, of the System or else of the Manager."""
        places = [link(system, "LogServices")]
        managers = links(table(system.get("Links")).get("ManagedBy"))
        if not managers:
            listed = await self.client.get(link(root, "Managers") or f"{ROOT}/Managers", missing_ok=True)
            managers = links(listed.get("Members"))
        for place in [*places, *(f"{manager.rstrip('/')}/LogServices" for manager in managers)]:
            services = links((await self.client.get(place, missing_ok=True)).get("Members")) if place else []
            ranked = sorted(services, key=_log_rank)
            if ranked:
                service = await self.client.get(ranked[0], missing_ok=True)
                return link(service, "Entries") or f"{ranked[0].rstrip('/')}/Entries"
        return None

    async def _sensors(self, look: Look, chassis: list[Document]) -> tuple[tuple[Reading, ...], dict[str, str]]:
        readings: tuple[Reading, ...] = ()
        fans_rows: list[Document] = []
        fans: list[Document] = []
        power_rows: list[Document] = []
        for each in chassis:
            thermal = await look.at(link(each, "Thermal"))
            readings += parse.from_thermal(thermal)
            fans_rows += documents(thermal.get("Redundancy"))
            fans += documents(thermal.get("Fans"))
            if not _has(readings, SensorKind.FAN):
                more, groups, members = await self._new_thermal(look, each)
                readings = parse.merge(readings, more)
                fans_rows += groups
                fans += members
            power = await look.at(link(each, "Power"))
            readings += parse.from_power(documents(power.get("PowerSupplies")))
            power_rows += documents(power.get("Redundancy"))
            if not _has(readings, SensorKind.POWER_SUPPLY) and link(each, "PowerSubsystem"):
                subsystem = await look.at(link(each, "PowerSubsystem"))
                supplies = await look.members(link(subsystem, "PowerSupplies"))
                readings += parse.from_power(supplies)
                power_rows += documents(subsystem.get("PowerSupplyRedundancy"))
        told = {"fans": parse.redundancy(fans_rows, fans), "power-supplies": parse.redundancy(power_rows)}
        return parse.unique(readings), {key: word for key, word in told.items() if word is not None}

    async def _new_thermal(
        self, look: Look, chassis: Document
    ) -> tuple[tuple[Reading, ...], list[Document], list[Document]]:
        """Readings, redundancy groups, and the fans themselves."""
        subsystem = await look.at(link(chassis, "ThermalSubsystem"))
        fans = await look.members(link(subsystem, "Fans"))
        sensors = await look.members(link(chassis, "Sensors"))
        found = parse.merge(parse.from_fans(fans, sensors), parse.from_sensors(sensors))
        return found, documents(subsystem.get("FanRedundancy")), fans

    async def _log(self, look: Look, paths: _Paths) -> list[Document]:
        rows = await look.log(paths.log, self._last_entry)
        if rows:
            self._last_entry = str(rows[-1].get("Id"))
        return rows

    async def _dimms(self, look: Look, system: Document) -> int | None:
        count = (await look.at(link(system, "Memory"))).get("Members@odata.count")
        return count if isinstance(count, int) else None


def _has(readings: tuple[Reading, ...], kind: SensorKind) -> bool:
    return any(reading.kind is kind for reading in readings)


def _log_rank(path: str) -> int:
    name = path.rstrip("/").rsplit("/", 1)[-1]
    return LOG_NAMES.index(name) if name in LOG_NAMES else len(LOG_NAMES)
