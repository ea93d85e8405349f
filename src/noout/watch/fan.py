"""What is remembered of one fan from poll to poll. Times are Unix seconds, speeds in the fan's own unit."""

from __future__ import annotations

from dataclasses import dataclass, field

from noout.watch.rows import ROWS_MAX

STANDING = 0.1  # share of the usual speed below which a fan counts as standing still
COLLAPSE = 2.0  # a fan that usually turns at this many times its limit does not get there by hunting
A_DAY = 144  # rows of ten minutes
FAILED_POLLS = 5  # low polls in a row
EPISODES_MAX = 100  # kept of one fan: what is older weighs nothing beside them
ODD_HALF_LIFE_S = 6 * 3600.0
ODD_FROM, ODD_CLEAR = 8.0, 2.0  # readings out of line, weighed by age: an erratic sensor


@dataclass(slots=True)
class Low:
    """A stretch of low readings: [since, until], None while it lasts. ``what``: "stall", "low" or "hunting"."""

    since: float
    until: float | None
    what: str
    lowest: float


@dataclass(slots=True)
class Fan:
    """One fan. ``run``: low polls in a row up to now; ``low``: its stretches of low readings, oldest first."""

    name: str
    limit: float = 0.0  # lower critical; 0 = the BMC gives none
    usual: float = 0.0  # its usual speed; 0 = not known yet
    slowest: float = 0.0  # in ten minutes of its first day
    offset: float | None = None  # ln of its usual speed in proportion to its peers
    slack: float = 0.0  # how far below that is still usual [ln]
    run: int = 0
    run_since: float = 0.0
    fastest: float = 0.0  # in this run
    low: list[Low] = field(default_factory=list)
    turned: bool = False
    absent: int = 0  # polls in a row without a reading of it
    distrust: int = 0  # its next readings that are not believed
    standby: bool = False  # it stands still, as it does whenever so little is asked of the fans
    stands: bool = False  # it stood still for a while in its first three days: it is one that stands by
    stood_since: float = 0.0
    bounds: tuple[float, float] | None = None  # of a fan without a limit: ``standby.bounds``
    bounds_rows: int = -1  # how many rows it had when they were learned
    fresh_rows: int = 0  # rows since it was put in; its own baseline begins there
    young: bool = False  # put in meanwhile; its baseline is not yet three days old
    deficit: float = 0.0  # the CUSUM of how far it is below its baseline [ln x blocks]
    surplus: float = 0.0
    deficit_since: float = 0.0
    short: float = 0.0  # by how much it was below its baseline in the latest block [share]
    odd: float = 0.0  # readings out of line, weighed by age
    odd_at: float = 0.0
    odd_since: float | None = None
    degraded_since: float | None = None

    @property
    def open(self) -> bool:
        return bool(self.low) and self.low[-1].until is None

    def turned_at(self, speed: float) -> None:
        """Its mean speed in a block of ten minutes."""
        weight = 1.0 if self.fresh_rows == 0 else 1.0 / min(self.fresh_rows + 1, ROWS_MAX)
        self.usual += (speed - self.usual) * weight
        self.slowest = speed if self.fresh_rows == 0 else min(self.slowest, speed)
        self.fresh_rows += 1

    @property
    def hunts(self) -> bool:
        """Whether it turns so near its limit that it may fall below it without a fault. What is asked of it varies with
        the hour: before it was watched for a day, its slowest ten minutes stand for its usual speed."""
        return (self.slowest if self.fresh_rows < A_DAY else self.usual) < COLLAPSE * self.limit

    def is_low(self, at: float, speed: float, hunting: bool) -> None:
        """One believed low reading."""
        if not hunting:
            if self.run == 0:
                self.run_since, self.fastest = at, 0.0
            self.run += 1
            self.fastest = max(self.fastest, speed)
        else:
            self.run = 0
        what = "hunting" if hunting else "stall" if speed <= STANDING * self.usual else "low"
        if not self.open:
            self.low.append(Low(at, None, what, speed))
            del self.low[:-EPISODES_MAX]
            return
        last = self.low[-1]
        last.lowest = min(last.lowest, speed)
        last.what = min(last.what, what, key=("stall", "low", "hunting").index)

    def is_well(self, at: float) -> None:
        """One believed reading that is not low."""
        self.run = 0
        if self.open:
            self.low[-1].until = at

    def is_odd(self, at: float, weight: float) -> None:
        """One believed reading far from what its peers say, though not low."""
        self.odd = self.oddness(at) + weight
        self.odd_at = at
        if self.odd >= ODD_FROM and self.odd_since is None:
            self.odd_since = at
        elif self.odd < ODD_CLEAR:
            self.odd_since = None

    def oddness(self, at: float) -> float:
        """How many readings were out of line lately: each counts half after six hours."""
        return float(self.odd * 0.5 ** ((at - self.odd_at) / ODD_HALF_LIFE_S)) if self.odd else 0.0

    def erratic_since(self, at: float) -> float | None:
        return self.odd_since if self.odd_since is not None and self.oddness(at) >= ODD_CLEAR else None

    def start_anew(self) -> None:
        """It was taken out, or another one put in: nothing of its proportion to the others is known any more."""
        self.offset, self.fresh_rows, self.young = None, 0, True
        self.deficit = self.surplus = 0.0
        self.degraded_since = None
