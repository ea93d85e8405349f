"""The round of what customers are told, as a serving process does it: draft, tell the desk, send what was released."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from noout.adapters.notify import apprise
from noout.app.compose import Installation, in_clock_s
from noout.app.drafting import Drafting
from noout.app.months import Months
from noout.app.outbox import Outbox
from noout.app.sending import Sending, mailer_of
from noout.domain.errors import NooutError, UsageError
from noout.domain.notices import Notice, State

log = logging.getLogger(__name__)

POST = "post"  # the lease: one process of those that share a store does the round
LOOK_EVERY_S, LOOK_WALL_S = 60.0, 5.0


async def keep_telling(found: Installation) -> None:
    """Until cancelled. Nothing is sent twice by a process that takes over: what was sent is kept."""
    drafting, sending, months = Drafting(found), Sending(found, mailer_of(found)), Months(found)
    while True:
        try:
            made = await drafting.look() + await months.digests()
            await tell_desk(found, made)
            await sending.look()
        except NooutError as error:
            log.warning("messages to customers: %s", error)
        await found.clock.sleep(max(LOOK_EVERY_S, in_clock_s(found.clock, LOOK_WALL_S)))


async def tell_desk(found: Installation, made: Sequence[Notice]) -> None:
    """Say by apprise, where that is on, that drafts wait for a release."""
    tell = found.settings.tell
    if "apprise" not in tell.channels or tell.apprise_file is None:
        return
    waiting = [each for each in made if (await Outbox(found).get(each.id)).standing.state is State.DRAFT]
    if not waiting:
        return
    path = found.settings.file(tell.apprise_file)
    try:
        urls = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise UsageError(f"key tell.apprise_file: {path} cannot be read", remedy="check the file") from error
    lines = "\n".join(f"{each.id}: {each.texts[0].subject}" for each in waiting)
    title = f"{len(waiting)} message{'s' if len(waiting) > 1 else ''} to customers wait for your release"
    await apprise.tell(urls, title, f"{lines}\nnoout tell list")
