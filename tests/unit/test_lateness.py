"""How late the prober says that it was."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading

import pytest

from noout.adapters.probe import lateness
from noout.adapters.probe.lateness import Beat, RunDelay


class Counted(RunDelay):
    """A kernel whose count the test moves."""

    now_s = 7.0

    def seconds(self) -> float:
        return self.now_s


async def test_what_the_kernel_kept_from_this_thread_is_waiting_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lateness, "RunDelay", Counted)
    beats = asyncio.Semaphore(0)
    beat = Beat(lambda: beats.release() is None)
    beat.start()
    try:
        before_s = beat.late_s()
        monkeypatch.setattr(Counted, "now_s", 8.0)  # a second, of which no timer knows
        assert beat.late_s() - before_s == pytest.approx(1.0, abs=0.5)
        for _ in range(3):
            await beats.acquire()
        assert beat.late_s() - before_s == pytest.approx(1.0, abs=0.5)  # counted once, however often it beats
    finally:
        beat.stop()


def test_the_kernel_counts_while_others_have_the_core() -> None:
    """Two threads that compute on one core cannot both have it."""
    delay = RunDelay()
    before_s = delay.seconds()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    stop = threading.Event()
    # hashing lets go of the interpreter, so that both really want the core
    other = threading.Thread(target=lambda: [_hash() for _ in iter(stop.is_set, True)])
    other.start()
    try:
        for _ in range(1000):
            _hash()
            if delay.seconds() > before_s:
                break
    finally:
        stop.set()
        other.join()
        os.sched_setaffinity(0, cores)
    assert delay.seconds() > before_s
    delay.close()
    assert delay.seconds() == 0.0


def _hash() -> None:
    hashlib.sha256(bytes(2_000_000))
