"""A real Chromium, and the web application on a real socket of this process."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, async_playwright

from noout.web.app import make_server
from tests.web.world import World

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: run scripts/install-real-parts")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@asynccontextmanager
async def serving(world: World) -> AsyncIterator[str]:
    """The base URL under which ``world`` is served."""
    server = make_server(world.services())
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()  # from here on connections wait, however long the server takes to start
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
