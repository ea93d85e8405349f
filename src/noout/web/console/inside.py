"""What every page of the console needs: who is there, what they may see, and the page around what is shown."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from fastapi import Response
from fastapi.responses import HTMLResponse

from noout.domain.access import Right, Session
from noout.domain.cluster import NodeId
from noout.domain.maintenance import Maintenance
from noout.web.console.doors import Doors
from noout.web.console.view import render
from noout.web.services import Console, Shown, WebServices


class NotHere(Exception):
    """Nothing of that name, or nothing that this person may see."""


@dataclass(frozen=True, slots=True)
class Inside:
    services: WebServices
    console: Console
    doors: Doors

    @property
    def shown(self) -> Shown:
        return self.console.shown

    def page(self, template: str, session: Session, status: int = 200, **what: Any) -> Response:
        """``session``: whose page it is; the menu shows what they may."""
        always = {
            "session": session, "now": self.services.field.clock.now(), "new_key": new_key,
            "is_admin": session.person.may(Right.ADMINISTER, None),
        }  # fmt: skip
        return HTMLResponse(render(template, **(always | what)), status)

    async def node(self, session: Session, cluster: str, name: str) -> NodeId:
        """Raises NotHere for one that is not there, and for one that this person may not see."""
        node = NodeId(cluster, name)
        if cluster not in session.person.some(Right.SEE, self.shown.clusters):
            raise NotHere
        seen = await self.shown.overview.cluster(cluster)
        if seen.state is not None and not any(each.id == node for each in seen.state.nodes):
            raise NotHere
        return node

    async def maintenance(self, session: Session, maintenance: str) -> Maintenance:
        """Raises NotHere like ``node``."""
        m = await self.services.field.maintenance(maintenance)
        if m is None or not session.person.may(Right.SEE, m.node.cluster):
            raise NotHere
        return m


def new_key() -> str:
    """What makes a form count once, however often it is sent."""
    return secrets.token_hex(12)


def actor(session: Session) -> str:
    """As the journal names them."""
    return f"operator:{session.person.name}"
