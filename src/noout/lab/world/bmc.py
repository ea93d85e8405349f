"""The boards' own senses: fans, temperatures, the event log, the locate LED.

Readings are reckoned on demand from the seed, the sensor and the ten seconds one is in; nothing is kept, so a year
of them costs nothing. A fan's stops are scheduled, because each writes into the event log.
"""

from __future__ import annotations

import math

from noout.lab.world.chance import exponential, lognormal, normal, share
from noout.lab.world.kernel import HasNow
from noout.lab.world.model import Bmc, Cluster, Fan, LogRecord, World
from noout.lab.world.power import PowerLaws

BUCKET_S = 10.0
QUANTUM_RPM = 100.0


class BmcLaws(PowerLaws):
    """What a BMC answers, on standby power too; nothing while the cords are out."""

    def __init__(self, world: World, clock: HasNow) -> None:
        super().__init__(world, clock)
        self._flap_seconds: dict[tuple[str, str, str], float] = {}

    def bmc_reachable(self, cluster: Cluster, node: str) -> bool:
        bmc = cluster.bmcs[node]
        return not bmc.mute and not bmc.cords_pulled

    # --- sensors ---

    def fan_readings(self, cluster: Cluster, node: str) -> dict[str, float | None]:
        """RPM by fan; None for one that is not there, 0.0 for all while the node is off; empty without power."""
        bmc = cluster.bmcs[node]
        if bmc.cords_pulled:
            return {}
        return {name: self._fan(cluster, bmc, fan) for name, fan in bmc.fans.items()}

    def _fan(self, cluster: Cluster, bmc: Bmc, fan: Fan) -> float | None:
        if not fan.present:
            return None
        if not cluster.nodes[bmc.node].power:
            return 0.0
        lying = self._lying.get((cluster.name, bmc.node)) == "fans"
        if not lying and any(since <= self.now < until for since, until in fan.stops[-50:]):
            return 0.0
        bucket = int(self.now // BUCKET_S)
        duty = 1.6 if bmc.lid_open else 1 + 0.05 * math.sin(2 * math.pi * (self.now % 86400) / 86400 - 2.2)
        noise = 1 + 0.008 * normal(self.world.seed, cluster.name, bmc.node, fan.name, bucket)
        worn = 1 - min(0.9, fan.wear_per_day * max(0.0, self.now - fan.wears_since) / 86400)
        return round(fan.rpm * duty * worn * noise / QUANTUM_RPM) * QUANTUM_RPM

    def temperatures(self, cluster: Cluster, node: str) -> dict[str, float | None]:
        """Degrees Celsius by sensor; with the node off all are near the inlet's; empty without power."""
        bmc = cluster.bmcs[node]
        if bmc.cords_pulled:
            return {}
        bucket = int(self.now // 60)
        inlet = bmc.temperatures["Inlet"].celsius if "Inlet" in bmc.temperatures else 22.0
        values: dict[str, float | None] = {}
        for name, sensor in bmc.temperatures.items():
            base = sensor.celsius if cluster.nodes[node].power else inlet + 1
            still = sum(any(a <= self.now < b for a, b in fan.stops[-5:]) for fan in bmc.fans.values())
            wobble = normal(self.world.seed, cluster.name, node, name, bucket)
            values[name] = round(base + wobble + (0 if name == "Inlet" else 2.0 * still), 0)
        return values

    # --- the event log and the LED ---

    def bmc_log(self, cluster: Cluster, node: str) -> list[LogRecord]:
        """Oldest first."""
        return list(cluster.bmcs[node].log)

    def bmc_record(
        self, cluster: Cluster, node: str, severity: str, message: str, sensor: str = "", message_id: str = ""
    ) -> None:
        log = cluster.bmcs[node].log
        number = log[-1].id + 1 if log else 1
        level = {"OK": "OK", "Warning": "Warning"}.get(severity, "Critical")
        log.append(LogRecord(number, self.now, level, message, sensor, message_id))  # type: ignore[arg-type]

    def set_led(self, cluster: Cluster, node: str, on: bool) -> None:
        bmc = cluster.bmcs[node]
        if bmc.led != on:
            bmc.led = on
            self.note(cluster, f"LED of {node} {'on' if on else 'off'}")

    # --- a fan that stops now and then ---

    def flap(self, cluster: Cluster, node: str, fan: Fan, per_hour: float, seconds: float) -> None:
        """Let a fan stop ``per_hour`` times an hour on average, for about ``seconds`` each, until it is repaired."""
        began = fan.flap_per_hour > 0
        fan.flap_per_hour = per_hour
        self._flap_seconds[cluster.name, node, fan.name] = seconds
        if not began:
            self._next_stop(cluster, node, fan, 0)

    def _next_stop(self, cluster: Cluster, node: str, fan: Fan, count: int) -> None:
        key = (cluster.name, node, fan.name, count, int(self.now))
        wait = exponential(3600 / fan.flap_per_hour, self.world.seed, "stop", *key)
        if share(self.world.seed, "burst", *key) < 0.3:  # stops come in bunches
            wait *= 0.1
        self.after(max(wait, 1.0), lambda: self._stop(cluster, node, fan, count))

    def _stop(self, cluster: Cluster, node: str, fan: Fan, count: int) -> None:
        if fan.flap_per_hour <= 0:
            return
        seconds = 0.0
        if cluster.nodes[node].power and fan.present:
            mean = self._flap_seconds[cluster.name, node, fan.name]
            seconds = lognormal(mean, 0.4, self.world.seed, "length", node, fan.name, count, int(self.now))
            fan.stops.append((self.now, self.now + seconds))
            del fan.stops[:-500]
            self.note(cluster, f"fan {fan.name} of {node} stood still {seconds:.1f} s")
            self._thresholds(cluster, node, fan, "asserted", "Critical")
            self.after(seconds, lambda: self._recovered(cluster, node, fan))
        self.after(seconds, lambda: self._next_stop(cluster, node, fan, count + 1) if fan.flap_per_hour > 0 else None)

    def _recovered(self, cluster: Cluster, node: str, fan: Fan) -> None:
        if cluster.nodes[node].power and not cluster.bmcs[node].cords_pulled:
            self._thresholds(cluster, node, fan, "deasserted", "OK")

    def _thresholds(self, cluster: Cluster, node: str, fan: Fan, what: str, severity: str) -> None:
        """One stop crosses three thresholds: three records down, three up."""
        low = fan.lower_critical
        levels = [("non-critical", low * 1.2), ("critical", low), ("non-recoverable", low * 0.8)]
        rpm = 0 if what == "asserted" else int(fan.rpm)
        for level, limit in levels if what == "asserted" else reversed(levels):
            text = (
                f"{fan.name}: Lower {level.capitalize()} - going low {what}, reading {rpm} RPM, limit {limit:.0f} RPM"
            )
            grade = "Warning" if level == "non-critical" and severity == "Critical" else severity
            self.bmc_record(cluster, node, grade, text, fan.name, "FanSpeedLow" if rpm == 0 else "FanSpeedNormal")
