"""The Prober port for real services: asks each at its own times, from this process.

Each service has a phase of its own on a grid of absolute times: questions spread over the interval instead of all at
once, and two stretches asked one after the other follow each other without a gap or a double. Every sample says how
late this process was; what it was too late to see is its own gap and nobody's silence.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
import zlib
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from noout import __version__
from noout.adapters.probe.addresses import Addresses
from noout.adapters.probe.asking import Cancel, is_address, nothing
from noout.adapters.probe.echo import Echoes
from noout.adapters.probe.kept import Kept
from noout.adapters.probe.lateness import Beat
from noout.adapters.probe.limits import Guard, Limits, stretches
from noout.adapters.probe.names import Query
from noout.adapters.probe.tcp import Dial
from noout.adapters.probe.web import Https, agent_of
from noout.domain.errors import Refused
from noout.domain.impact import Sample, Service
from noout.domain.probes import Ask, Question, parse, usable
from noout.ports import Clock

log = logging.getLogger(__name__)

TIMEOUT_S = 1.0
PATIENCE = 3.0  # an answer may take so many times what it usually takes,
PATIENCE_S = 0.05  # and this much more, before it counts as none
LEARNT_S = 0.01
AT_ONCE = 50  # questions after which whatever came in is looked at
US = 1_000_000
MS_US = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Asked:
    """One question under way."""

    __slots__ = ("at_us", "cancel", "lag_us", "late_s", "place", "round", "settled", "since")

    def __init__(self, round_: _Round, place: _Place, due_us: int, at_us: int, since: float, late_s: float) -> None:
        self.round, self.place, self.at_us, self.lag_us = round_, place, at_us, at_us - due_us
        self.since, self.late_s = since, late_s  # of the event loop; how late it had been in all
        self.cancel: Cancel = nothing
        self.settled = False

    def sent(self, network_s: float) -> None:
        """The request leaves only now. All but ``network_s`` of the time since was this process's own, in which the
        service was not asked: that moves the time of the question, and makes its answer no less certain."""
        own_s = asyncio.get_running_loop().time() - self.since - network_s
        self.at_us += max(0, math.ceil(own_s * US / MS_US)) * MS_US

    def settle(self, verdict: bool | None) -> None:
        if not self.settled:
            self.round.settle(self, verdict)


class _Known:
    """One service with the address that is asked: what stays from one stretch to the next."""

    __slots__ = ("question", "service", "share", "usual_s")

    def __init__(self, service: Service, question: Question) -> None:
        self.service, self.question = service, question
        self.share = zlib.crc32(f"{service.guest} {service.probe}".encode()) / 2**32
        self.usual_s: float | None = None

    def learn(self, took_s: float) -> None:
        """What is usual follows slowly: one pause makes no slow service, an answer that is always slow soon does."""
        usual_s = took_s if self.usual_s is None else self.usual_s
        self.usual_s = 0.8 * usual_s + 0.2 * min(took_s, 2 * usual_s + LEARNT_S)


class _Place:
    """One service on its grid of times; all of them in microseconds."""

    __slots__ = ("every_us", "known", "phase_us")

    def __init__(self, known: _Known, every_us: int) -> None:
        self.known, self.every_us = known, every_us
        self.phase_us = int(known.share * every_us) // MS_US * MS_US

    def first_after(self, us: int) -> int:
        return self.phase_us + ((us - self.phase_us) // self.every_us + 1) * self.every_us

    def patience_s(self, timeout_s: float) -> float:
        """How long after a question an answer still is one."""
        if self.known.usual_s is None:
            return timeout_s
        return min(timeout_s, max(self.every_us / US / 2, PATIENCE * self.known.usual_s + PATIENCE_S))


class DirectProber:
    """``probe`` of a service as ``domain.probes`` reads it. A service without an address that is known, or that cannot
    be asked from here, gets no samples, and so counts as not measured; so does an instant that is over by more than one
    interval, or over the limits: nothing is made up. ``contact``: told to whoever wonders who asks (User-Agent).
    """

    def __init__(
        self,
        clock: Clock,
        limits: Limits | None = None,
        *,
        contact: str = "",
        networks: Sequence[str] = (),
        only: Sequence[str] = (),
        ca: Path | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.clock, self.timeout_s = clock, timeout_s
        self.limits = limits or Limits(None, None)
        self.networks = tuple(networks)
        self.only = tuple(only)  # networks outside of which nobody is asked; (): no such bound
        self.agent = agent_of(__version__, contact)
        self.kept, self.echoes, self.https = Kept(), Echoes(), Https(self.agent, ca)
        self.guard = Guard(self.limits)
        self.rounds: list[_Round] = []
        self.under_way: deque[_Asked] = deque()  # oldest first; the settled ones among them are passed over
        self.known: dict[Service, _Known] = {}
        self.beat = Beat(self._beaten)
        self._addresses = Addresses()
        self._told: set[str] = set()

    async def collect(
        self, services: Sequence[Service], since: datetime, until: datetime, every_s: float
    ) -> Sequence[Sample]:
        """As the port says. Several may run at once."""
        if every_s <= 0:
            raise ValueError("every_s has to be positive")
        places = await self._places(services, every_s)
        round_ = _Round(self, places)
        self.rounds.append(round_)
        self.beat.start()
        try:
            await round_.run(_us(since), _us(until))
        finally:
            self.rounds.remove(round_)
            round_.drop()
        return sorted(round_.samples, key=lambda sample: (sample.at, sample.guest))

    async def close(self) -> None:
        self.beat.stop()
        self.kept.close()
        self.echoes.close()
        self._addresses.close()

    def ask(self, asked: _Asked) -> Cancel:
        question, loop = asked.place.known.question, asyncio.get_running_loop()
        if question.ask in (Ask.TCP, Ask.HTTP):
            return Dial(loop, question, asked.settle, self.agent, sent=asked.sent).start()
        if question.ask is Ask.HELD:
            self.kept.ask(asked.place.known.service.guest, question, asked.settle)
            return nothing
        if question.ask is Ask.HTTPS:
            return self.https.start(question, asked.settle)
        if question.ask is Ask.DNS:
            return Query(loop, question, asked.settle).start()
        return self.echoes.start(question, asked.settle)

    def _beaten(self) -> bool:
        """End what waited too long; go on while anybody is asked."""
        now = asyncio.get_running_loop().time()
        while self.under_way and (self.under_way[0].settled or now - self.under_way[0].since >= self.timeout_s):
            asked = self.under_way.popleft()
            if not asked.settled:
                asked.cancel()
                asked.settle(False)
        self.kept.forget(now)
        return bool(self.rounds)

    async def _places(self, services: Sequence[Service], every_s: float) -> list[_Place]:
        asked = [(service, question) for service in services if (question := self._question(service)) is not None]
        await self._addresses.prepare({question.host for _, question in asked})
        found = [known for service, question in asked if (known := self._known(service, question)) is not None]
        others: defaultdict[str, float] = defaultdict(float)
        for round_ in self.rounds:
            for host, rate in round_.rates():
                others[host] += rate
        hosts = [known.question.host for known in found]
        factors = stretches(hosts, every_s, self.limits, others)
        slowest = max(factors.values(), default=1.0)
        if slowest > 1:
            self._tell(
                f"{len(found)} services each {every_s:g} s are more questions than the limits allow ([probes] per_s, "
                f"per_host_per_s): they are asked up to {slowest:.1f} times less often"
            )
        every_us = {host: max(MS_US, math.ceil(every_s * by * US / MS_US) * MS_US) for host, by in factors.items()}
        return [_Place(known, every_us[known.question.host]) for known in found]

    def _known(self, service: Service, question: Question) -> _Known | None:
        """The service with the address that its name has now; None when that is unknown, or may not be asked."""
        address = self._addresses.of(question.host)
        known = self.known.get(service)
        if address is None or (known is not None and known.question.host == address):
            return known if address is not None else None
        if self.only and not usable([address], self.only, everywhere=True):
            self._tell(f"{service.guest} ({service.name}) is not measured: {address} may not be asked from here")
            return None
        self.known[service] = _Known(service, replace(question, host=address))
        return self.known[service]

    def _question(self, service: Service) -> Question | None:
        """What can be asked of a service from here; why not is said once."""
        name = f"{service.guest} ({service.name})"
        try:
            question = parse(service.probe).at(usable(service.addresses, self.networks))
            if question is None:
                self._tell(f"{name} is not measured: its address is not known; name it in its probe {service.probe!r}")
            elif question.ask is Ask.ICMP and is_address(question.host):
                self.echoes.open_for(question.host)
        except ValueError as error:
            self._tell(f"{name} is not measured: its probe {service.probe!r} {error}")
            return None
        except (Refused, OSError) as error:
            self._tell(f"{name} is not measured: {error}")
            return None
        return question

    def _tell(self, said: str) -> None:
        if said not in self._told:
            self._told.add(said)
            log.warning("%s", said)


class _Round:
    """One ``collect``: what is asked of whom between two times."""

    def __init__(self, prober: DirectProber, places: Sequence[_Place]) -> None:
        self.prober, self.places = prober, places
        self.samples: list[Sample] = []
        self.open = 0
        self.asking = True
        self.all_in = asyncio.Event()
        self.mine: set[_Asked] = set()

    def rates(self) -> Iterator[tuple[str, float]]:
        """What is still being asked: address, questions a second."""
        if self.asking:
            yield from ((place.known.question.host, US / place.every_us) for place in self.places)

    async def run(self, since_us: int, until_us: int) -> None:
        clock = self.prober.clock
        due = [(place.first_after(since_us), number) for number, place in enumerate(self.places)]
        heapq.heapify(due)
        while due and due[0][0] <= until_us:
            await clock.sleep((due[0][0] - _us(clock.now())) / US)
            for _ in range(AT_ONCE):
                now_us = _us(clock.now())
                if not due or not due[0][0] <= min(now_us, until_us):
                    break
                due_us, number = due[0]
                heapq.heapreplace(due, (due_us + self.places[number].every_us, number))
                self._ask(self.places[number], due_us, now_us)
        self.asking = False
        await clock.sleep((until_us - _us(clock.now())) / US)
        if self.mine:
            await self.all_in.wait()

    def _ask(self, place: _Place, due_us: int, now_us: int) -> None:
        prober, now = self.prober, asyncio.get_running_loop().time()
        if now_us - due_us >= place.every_us or not prober.guard.lets(place.known.question.host, now):
            return
        at_us = -(-now_us // MS_US) * MS_US  # to the millisecond, never earlier than it was: lateness is not hidden
        asked = _Asked(self, place, due_us, at_us, now, prober.beat.late_s())
        self.mine.add(asked)
        prober.under_way.append(asked)
        asked.cancel = prober.ask(asked)

    def settle(self, asked: _Asked, verdict: bool | None) -> None:
        asked.settled = True
        self.mine.discard(asked)
        place, known = asked.place, asked.place.known
        at_us, lag_us = asked.at_us, asked.lag_us
        late_s = max(0.0, self.prober.beat.late_s() - asked.late_s)  # while it waited for the answer
        raw_s = asyncio.get_running_loop().time() - asked.since
        took_s = max(0.0, raw_s - late_s)  # without its own waiting
        patience_s = place.patience_s(self.prober.timeout_s)
        slow = took_s > patience_s
        now_us = -(-_us(self.prober.clock.now()) // MS_US) * MS_US
        answered_us: int | None = None
        if not known.question.held:
            if verdict:
                known.learn(took_s)
                verdict = not slow
                half_s = place.every_us / US / 2
                if slow:  # too late to be good; and yet the service is there from here on
                    answered_us = now_us
                elif took_s > half_s:  # good, and sure only of when it came: so far a silence may reach
                    at_us, lag_us = now_us, max(lag_us, math.ceil(late_s * US / MS_US) * MS_US)
                elif raw_s > half_s:
                    verdict = None  # it came, and this process did not see when
            if verdict is False and not slow:  # a slow one is too long still with that taken off: no excuse
                lag_us = max(lag_us, math.ceil(late_s * US / MS_US) * MS_US)
        if verdict is not None:
            at = _EPOCH + timedelta(microseconds=at_us)
            self.samples.append(Sample(known.service.guest, at, verdict, lag_us / US, held=known.question.held))
        if answered_us is not None:
            back = _EPOCH + timedelta(microseconds=answered_us)
            self.samples.append(Sample(known.service.guest, back, True, late_s))  # it may have come so much earlier
        if not self.asking and not self.mine:
            self.all_in.set()

    def drop(self) -> None:
        """Called off: end what is under way."""
        for asked in list(self.mine):
            asked.settled = True
            asked.cancel()
        self.mine.clear()


def _us(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
