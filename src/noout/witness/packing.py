"""Samples as few bytes: what a prober asks at even distances and what answers alike is told once.

A block holds tracks: the samples of one guest, from one vantage point, of one kind. Of a track are kept the times at
which its questions were due (as runs of equal distances), the answers (as runs of equal ones) and how late each was
asked; the whole is deflated. What comes out is what went in, to the microsecond and to the last bit of ``lag_s``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from noout.domain.cluster import GuestId
from noout.domain.impact import Sample

US, MS_US = 1_000_000, 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MS, _MICRO, _RAW = range(3)  # how ``lag_s`` is written: whole milliseconds, whole microseconds, as it is

Track = tuple[GuestId, str, bool]


def pack(samples: Iterable[Sample]) -> bytes:
    """``unpack`` gives the same samples, those of a track in the same order, the tracks one after the other."""
    tracks: dict[Track, list[Sample]] = {}
    for sample in samples:
        tracks.setdefault((sample.guest, sample.vantage, sample.held), []).append(sample)
    out = bytearray()
    _put(out, len(tracks))
    for (guest, vantage, held), each in tracks.items():
        _put_text(out, str(guest))
        _put_text(out, vantage)
        _put(out, int(held))
        _put_track(out, each)
    return zlib.compress(bytes(out), 6)


def unpack(packed: bytes) -> Iterator[Sample]:
    read = _Reader(zlib.decompress(packed))
    for _ in range(read.number()):
        guest, vantage, held = GuestId.parse(read.text()), read.text(), bool(read.number())
        for at_us, ok, lag_s in _track(read):
            yield Sample(guest, _EPOCH + timedelta(microseconds=at_us), ok, lag_s, vantage, held)


def _put_track(out: bytearray, samples: Sequence[Sample]) -> None:
    lags_s = [sample.lag_s for sample in samples]
    lags_us = [round(lag_s * US) for lag_s in lags_s]
    exact = min(lags_us) >= 0 and [lag_us / US for lag_us in lags_us] == lags_s
    how = _RAW if not exact else _MICRO if any(lag_us % MS_US for lag_us in lags_us) else _MS
    _put(out, len(samples))
    _put(out, how)
    if how == _RAW:
        out += struct.pack(f"<{len(samples)}d", *lags_s)
        lags_us = [0] * len(samples)
    else:
        unit = MS_US if how == _MS else 1
        for lag_us in lags_us:
            _put(out, lag_us // unit)
    steps, before = [], 0
    for sample, lag_us in zip(samples, lags_us, strict=True):
        due = (sample.at - _EPOCH) // _MICROSECOND - lag_us
        step = due - before
        steps.append((step << 1) ^ (step >> 127))  # signs to the lowest bit: small stays small
        before = due
    _put_runs(out, steps)
    _put_runs(out, [int(sample.ok) for sample in samples])


def _track(read: _Reader) -> Iterator[tuple[int, bool, float]]:
    count, how = read.number(), read.number()
    if how == _RAW:
        lags_us, lags_s = [0] * count, read.doubles(count)
    else:
        unit = MS_US if how == _MS else 1
        lags_us = [read.number() * unit for _ in range(count)]
        lags_s = [lag_us / US for lag_us in lags_us]
    steps, answers = read.runs(count), read.runs(count)
    due = 0
    for step, ok, lag_us, lag_s in zip(steps, answers, lags_us, lags_s, strict=True):
        due += (step >> 1) ^ -(step & 1)
        yield due + lag_us, bool(ok), lag_s


def _put(out: bytearray, number: int) -> None:
    """Seven bits a byte, the lowest first; the eighth says that more come."""
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)


def _put_text(out: bytearray, text: str) -> None:
    data = text.encode()
    _put(out, len(data))
    out += data


def _put_runs(out: bytearray, numbers: Sequence[int]) -> None:
    same, times = numbers[0], 0
    for number in numbers:
        if number != same:
            _put(out, same)
            _put(out, times)
            same, times = number, 0
        times += 1
    _put(out, same)
    _put(out, times)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def number(self) -> int:
        found = shift = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            found |= (byte & 127) << shift
            if byte < 128:
                return found
            shift += 7

    def text(self) -> str:
        length = self.number()
        self._at += length
        return self._data[self._at - length : self._at].decode()

    def doubles(self, count: int) -> list[float]:
        found = struct.unpack_from(f"<{count}d", self._data, self._at)
        self._at += 8 * count
        return list(found)

    def runs(self, count: int) -> list[int]:
        found: list[int] = []
        while len(found) < count:
            number, times = self.number(), self.number()
            found += [number] * times
        return found
