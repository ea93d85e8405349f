"""The Bmc port over IPMI, for machines whose BMC speaks no Redfish: Debian's ``ipmitool``, one process a look.

A session that is kept does not survive a BMC that hangs; a process ends. All questions of one look go through one
process and one session. The password travels in the process's environment, never in its arguments.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from noout.adapters.bmc import parse_ipmi as parse
from noout.domain.cluster import NodeId
from noout.domain.errors import Broken, NooutError, Refused, Retryable, UnknownOutcome
from noout.domain.hardware import HardwareState, Power
from noout.ports import Clock

PORT = 623
LOG_MAX = 200  # newest entries read at once
LOOK_WALL_S = 45.0  # a board with a hundred sensors takes ten seconds
DO_WALL_S = 15.0
IDENTIFY_S = 240  # how long a BMC is asked to show itself where it cannot do it until told otherwise
CLOCK_OFF_S = 120.0


@dataclass(frozen=True)
class _Machine:
    """What stays the same between two looks."""

    serial: str
    model: str
    limits: parse.Limits


class IpmiBmc:
    """One node's BMC at ``ipmi://host[:port]``. ``cipher_suite``: 3 everywhere, 17 where 3 is switched off.

    Only the privileges of an OPERATOR are asked for. IPMI proves nothing about whom one talks to: the management
    network must.
    """

    def __init__(
        self,
        node: NodeId,
        url: str,
        user: str,
        password: str,
        clock: Clock,
        *,
        cipher_suite: int = 3,
        program: str = "ipmitool",
    ) -> None:
        where = urlsplit(url)
        self.node = node
        self._argv = (
            program, "-I", "lanplus", "-C", str(cipher_suite), "-H", where.hostname or "",
            "-p", str(where.port or PORT), "-U", user, "-L", "OPERATOR", "-E", "-Z", "-N", "1", "-R", "3",
        )  # fmt: skip
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath), "IPMI_PASSWORD": password, "LC_ALL": "C", "TZ": "UTC",
        }  # fmt: skip
        self._clock = clock
        self._machine: _Machine | None = None
        self._asked: tuple[bool, datetime | None] = (False, None)  # the LED as we asked for it, and until when

    async def observe(self, *, log: bool = True) -> HardwareState:
        first = self._machine is None
        questions = ["raw 0 1", "sdr elist", *(("fru print 0", "sensor") if first else ())]
        if log:
            questions += ["sel time get", f"sel elist last {LOG_MAX}"]
        try:
            text = await self._ask(questions, LOOK_WALL_S)
            chassis = self._chassis(text)
        except NooutError as error:
            self._machine = None
            at = self._clock.now()
            return HardwareState(node=self.node, at=at, reachable=False, trouble=str(error))
        at, lines = self._clock.now(), text.splitlines()
        if self._machine is None:
            self._machine = _Machine(*parse.fru(lines), parse.limits(lines))
        elist = [line for line in lines if line.count("|") == 4]
        readings = parse.sensors(elist, self._machine.limits)
        return HardwareState(
            node=self.node,
            at=at,
            reachable=True,
            power=chassis.power,
            led_on=self._led(at) if chassis.led_on is None else chassis.led_on,
            readings=readings if chassis.power is Power.ON else parse.off(readings),
            log=parse.log_entries(lines) if log else (),
            redundancy=parse.redundancy(elist),
            serial=self._machine.serial,
            model=self._machine.model,
            trouble=_clock_off(parse.clock(lines), at),
            power_restore=chassis.restore,
        )

    async def power_on(self) -> None:
        """Ask for power unless it is on already. That it was accepted is no result: look."""
        if await self._power() is not Power.ON:
            await self._do("chassis power on")

    async def force_off(self) -> None:
        """Cut the power, as it is, unless it is off already."""
        if await self._power() is not Power.OFF:
            await self._do("chassis power off")

    async def locate(self, on: bool) -> None:
        """Switch the identify LED: until told otherwise, or, where the BMC cannot, for some minutes.

        Few BMCs say whether they identify themselves; of the others what was asked for is shown until it runs out.
        """
        until = None
        if not on:
            await self._do("chassis identify 0")
        else:
            try:
                await self._do("chassis identify force")
            except Refused:
                await self._do(f"chassis identify {IDENTIFY_S}")
                until = self._clock.now() + timedelta(seconds=IDENTIFY_S)
        self._asked = (on, until)

    async def close(self) -> None:
        """Nothing is kept open."""

    # --- inside ------------------------------------------------------------------------------------------

    def _led(self, now: datetime) -> bool:
        on, until = self._asked
        return on and (until is None or now < until)

    async def _power(self) -> Power:
        return self._chassis(await self._ask(["raw 0 1"], DO_WALL_S)).power

    def _chassis(self, text: str) -> parse.Chassis:
        found = next((found for line in text.splitlines() if (found := parse.chassis(line)) is not None), None)
        if found is None:
            raise Retryable(f"the BMC of {self.node} does not tell its chassis status", remedy=_REACH)
        return found

    async def _ask(self, questions: Sequence[str], limit_s: float) -> str:
        """What it prints on all of them. What a BMC does not know of is left out; no session at all is an error."""
        _, stdout, stderr = await self._run(("exec", "/dev/stdin"), "".join(f"{each}\n" for each in questions), limit_s)
        if _no_session(stderr):
            raise Retryable(f"the BMC of {self.node} {_NO_SESSION}", remedy=_REACH)
        return stdout

    async def _do(self, command: str) -> None:
        code, _, stderr = await self._run(command.split(), "", DO_WALL_S)
        if _no_session(stderr):
            raise Retryable(f"the BMC of {self.node} {_NO_SESSION}", remedy=_REACH)
        if code:
            last = " ".join(stderr.split()[-30:])
            raise Refused(f"the BMC of {self.node} refuses `{command}`: {last}", remedy="check its user's privilege")

    async def _run(self, argv: Sequence[str], text: str, limit_s: float) -> tuple[int, str, str]:
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *self._argv, *argv, stdin=pipe, stdout=pipe, stderr=pipe, env=self._environment
            )
        except FileNotFoundError:
            raise Broken(f"ipmitool is not installed: {self.node} is not reached", remedy="install ipmitool") from None
        try:
            async with asyncio.timeout(limit_s):
                stdout, stderr = await process.communicate(text.encode())
        except TimeoutError:
            raise UnknownOutcome(
                f"ipmitool {argv[0]} did not end within {limit_s:.0f} s for {self.node}",
                remedy="look at the node's power and LED before doing it again",
            ) from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return process.returncode or 0, stdout.decode(errors="replace"), stderr.decode(errors="replace")


_REACH = "check the management network, the BMC itself, its user, password file and cipher suite"
_NO_SESSION = "opens no IPMI session: it does not answer, or refuses user, password, privilege or cipher suite"


def _no_session(stderr: str) -> bool:
    return "Unable to establish" in stderr or "Could not open socket" in stderr or "lookup failed" in stderr


def _clock_off(its: datetime | None, now: datetime) -> str:
    if its is None or abs(off_s := (its - now).total_seconds()) <= CLOCK_OFF_S:
        return ""
    return f"its clock is {abs(off_s):.0f} s {'ahead' if off_s > 0 else 'behind'}: so are the times in its log"
