"""Commands of the operator's own, which get a text on their standard input. They are run as they are, by no shell."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence


async def hand_over(argv: Sequence[str], text: str, limit_s: float) -> str:
    """Run ``argv`` with ``text`` on its standard input: why that failed, "" when it did not. Never raises."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(limit_s):
                _, said = await process.communicate(text.encode())
        finally:
            if process.returncode is None:
                process.kill()
    except TimeoutError:
        return f"{argv[0]} did not end within {limit_s:.0f} s"
    except OSError as error:
        return f"{argv[0]} could not be run: {error.strerror or error}"
    if process.returncode:
        return f"{argv[0]} ended with {process.returncode}: {said.decode(errors='replace').strip()}"
    return ""
