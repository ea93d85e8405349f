"""noout as it is, in a process that dies or stops where a test wants it to, and says who it is in what it asks.

    python -m tests.crash.victim FOLDER serve --config FILE

In FOLDER, a file ``armed/KIND.WHEN.VERB`` is a place: KIND kill (-9) or stop (SIGSTOP); WHEN ``intended`` (the intent
is in the journal, nothing was checked or asked since), ``before`` or ``after`` the effect was asked for. Whoever comes
there first moves the file to ``met/`` and is struck; each place strikes once, whichever process it is.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from noout.adapters import durable
from noout.adapters.http import Channel
from noout.adapters.store.sql import SqlStore
from noout.cli.main import run
from noout.domain.journal import Kind
from noout.steps import effects

PID = "X-Pid"  # the header
STRIKES = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


class Places:
    def __init__(self, folder: Path) -> None:
        self.armed, self.met = folder / "armed", folder / "met"

    def here(self, when: str, verb: str) -> None:
        for kind, strike in STRIKES.items():
            name = f"{kind}.{when}.{verb}"
            try:
                (self.armed / name).rename(self.met / name)
            except FileNotFoundError:
                continue
            os.kill(os.getpid(), strike)


def lay(places: Places) -> None:
    """Around every effect there is, and after every intent."""
    for verb, effect in effects.EFFECTS.items():
        effects.EFFECTS[verb] = replace(effect, act=_struck(places, verb, effect.act))
    append = SqlStore.append

    async def written(self: SqlStore, stream: str, seq: int, kind: str, data: Any, actor: str = "noout") -> Any:
        event = await append(self, stream, seq, kind, data, actor)
        if kind == Kind.INTENT:
            places.here("intended", data["action"]["verb"])
        return event

    SqlStore.append = written  # type: ignore[method-assign]


def say_who() -> None:
    """Every HTTP request says which process asks."""
    ask = Channel.ask

    async def signed(self: Channel, *args: Any, headers: Any = None, **options: Any) -> Any:
        return await ask(self, *args, headers={**(headers or {}), PID: str(os.getpid())}, **options)

    Channel.ask = signed  # type: ignore[method-assign]


def _struck(places: Places, verb: str, act: Any) -> Any:
    async def struck(*args: Any) -> Any:
        places.here("before", verb)
        answer = await act(*args)
        places.here("after", verb)
        return answer

    return struck


if __name__ == "__main__":
    durable.QUEUE_POLL_S = 0.05  # the lab's time runs fast: half a second would be a minute
    lay(Places(Path(sys.argv[1])))
    say_who()
    del sys.argv[1]
    run()
