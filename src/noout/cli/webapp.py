"""The web application over one installation: what ``serve``, ``maintain`` and the demo put on a port."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
from fastapi import FastAPI

from noout.app.access import Access, Tokens
from noout.app.compose import Installation
from noout.app.console import Showing
from noout.app.maintain import Maintenances
from noout.app.notice import reception_of
from noout.app.portal import Portals
from noout.app.watcher import Watcher
from noout.domain.access import Grant, Person, Role
from noout.domain.errors import Broken, UsageError
from noout.settings import secret
from noout.web.app import WebServices, create_app, server_of
from noout.web.services import Console

STARTUP_S_MAX = 20.0
Figures = Callable[[], Awaitable[str]]


def operator_token(found: Installation) -> str:
    """The configured operator token, or a fresh one that lives as long as this process."""
    serve = found.settings.serve
    if serve.operator_token is None and serve.operator_token_file is None:
        return secrets.token_urlsafe(24)
    return secret(found.settings, serve.operator_token, serve.operator_token_file, "serve.operator_token_file")


def web_services(
    found: Installation,
    token: str,
    watcher: Watcher | None = None,
    figures: Figures | None = None,
    access: Access | None = None,
    ready: Callable[[], Awaitable[bool]] | None = None,
    technicians: bool = True,
) -> WebServices:
    """``access``: None where nobody can sign in; the console is not served then. ``ready``: what ``/readyz`` says;
    ``technicians``: their pages are served here."""
    maintenances = Maintenances(found)
    tokens = Tokens(found.journal, found.clock)

    async def person_of(given: str) -> Person | None:
        if secrets.compare_digest(given.encode(), token.encode()):
            return Person("operator", (Grant(Role.ADMIN),))
        return await tokens.person(given)

    return WebServices(
        field=maintenances.field_work(),
        maintenances=maintenances.all,
        person_of=person_of,
        reception=reception_of(found, watcher) if watcher is not None else None,
        base_url=found.settings.serve.base_url,
        metrics=figures,
        console=Console(access, Showing(found, watcher)) if access is not None and watcher is not None else None,
        ready=ready,
        technicians=technicians,
        proxies=",".join(found.settings.serve.proxies),
        technicians_url=found.settings.technicians_url,
        portal=Portals(found) if technicians else None,  # both are for the public, and served by one process
    )


@asynccontextmanager
async def web_served(
    found: Installation,
    listen: str = "127.0.0.1:0",
    watcher: Watcher | None = None,
    figures: Figures | None = None,
    access: Access | None = None,
    ready: Callable[[], Awaitable[bool]] | None = None,
    technicians: bool = True,
) -> AsyncIterator[tuple[httpx2.AsyncClient, str]]:
    """Serve the web application; yields a client of it and the operator's token. UsageError for a bad address.

    ``watcher`` gets what is sent about the nodes' hardware; ``figures`` is what ``/metrics`` shows;
    ``access``: the ways in to the console; ``ready`` and ``technicians`` as for ``web_services``.
    """
    token = operator_token(found)
    services = web_services(found, token, watcher, figures, access, ready, technicians)
    async with (
        listening(create_app(services), listen, services.proxies) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        yield client, token


@asynccontextmanager
async def listening(app: FastAPI, listen: str, proxies: str) -> AsyncIterator[str]:
    """Serve ``app`` until the block ends; its URL. UsageError for a bad address, Broken for one that is taken."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"key serve.listen: {listen!r} is not HOST:PORT", remedy="for example 127.0.0.1:8080")
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host.strip("[]"), int(port)))
    except OSError as error:
        sock.close()
        raise Broken(
            f"{listen} cannot be listened on: {error.strerror}", remedy="set serve.listen to another"
        ) from None
    server = server_of(app, proxies=proxies)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        async with asyncio.timeout(STARTUP_S_MAX):
            while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn offers no event for it
                await asyncio.sleep(0.02)
        address, bound = sock.getsockname()[:2]
        yield f"http://[{address}]:{bound}" if ":" in address else f"http://{address}:{bound}"
    finally:
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        sock.close()
