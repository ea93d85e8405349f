"""The tests' own ground: virtual time and HTTP without sockets."""

import asyncio
import threading
import time

import httpx2
import pytest

from tests.support.asgi import AsgiNetwork, asgi_client
from tests.support.virtual import NothingWillHappen, ThreadTookPart, VirtualTimeUp, run_virtual


def test_hours_pass_at_once_and_in_order():
    async def story():
        loop, seen = asyncio.get_running_loop(), []

        async def sleeper(seconds):
            await asyncio.sleep(seconds)
            seen.append((seconds, loop.time()))

        await asyncio.gather(sleeper(7200), sleeper(0.5), sleeper(3600))
        return seen

    wall = time.perf_counter()
    seen = run_virtual(story())
    assert [seconds for seconds, _ in seen] == [0.5, 3600, 7200]
    assert all(abs(seconds - at) < 1e-5 for seconds, at in seen)
    assert time.perf_counter() - wall < 2


def test_waiting_for_nothing_is_said():
    async def stuck():
        await asyncio.Event().wait()

    with pytest.raises(NothingWillHappen):
        run_virtual(stuck())


def test_a_thread_is_refused_because_time_would_jump_past_it():
    async def story():
        await asyncio.to_thread(int)

    with pytest.raises(ThreadTookPart):
        run_virtual(story())


def test_a_thread_that_another_library_began_is_found_when_it_comes_back():
    async def story():
        loop, back = asyncio.get_running_loop(), asyncio.Event()
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(back.set,))
        loop.call_soon(thread.start)
        loop.call_soon(thread.join)
        await back.wait()

    with pytest.raises(ThreadTookPart):
        run_virtual(story())


def test_polling_for_ever_ends():
    async def poll():
        while True:  # noqa: ASYNC110
            await asyncio.sleep(10)

    with pytest.raises(VirtualTimeUp):
        run_virtual(poll(), limit_s=3600)


async def answer(send, status=200, reason=None, body=b"{}"):
    start = {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
    await send({**start, **({"reason": reason} if reason else {})})
    await send({"type": "http.response.body", "body": body})


def test_reason_phrase_and_routing():
    async def one(scope, receive, send):
        await answer(send, 403, b"Permission check failed (/vms/101, VM.Migrate)", (await receive())["body"])

    async def two(scope, receive, send):
        await answer(send, body=scope["query_string"])

    async def story():
        network = AsgiNetwork({("127.0.0.1", 8006): one, ("127.0.0.1", 8007): two})
        async with httpx2.AsyncClient(transport=network) as client:
            first = await client.post("https://127.0.0.1:8006/x", data={"a": "b"})
            second = await client.get("https://127.0.0.1:8007/x?y=1")
            with pytest.raises(httpx2.ConnectError):
                await client.get("https://127.0.0.1:8008/x")
            return first.status_code, first.reason_phrase, first.text, second.text

    assert run_virtual(story()) == (403, "Permission check failed (/vms/101, VM.Migrate)", "a=b", "y=1")


def test_read_timeout_leaves_the_work_running():
    done = []

    async def slow(scope, receive, send):
        await receive()
        await asyncio.sleep(60)
        done.append("done")
        await answer(send)

    async def story():
        async with asgi_client(slow, timeout=30) as client:
            with pytest.raises(httpx2.ReadTimeout):
                await client.get("/")
            at = asyncio.get_running_loop().time()
            await asyncio.sleep(100)
            return at

    assert run_virtual(story()) == pytest.approx(30)
    assert done == ["done"]


def test_disconnect_without_an_answer():
    async def drop(scope, receive, send):
        await send({"type": "lab.disconnect"})

    async def story():
        async with asgi_client(drop) as client:
            with pytest.raises(httpx2.RemoteProtocolError):
                await client.get("/")

    run_virtual(story())
