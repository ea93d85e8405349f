"""The real ``ceph`` command line without the time Python takes to start: half of what a command costs.

A process of Debian's Python reads ``/usr/bin/ceph`` once, up to its last statement (``if __name__ == "__main__"``). For
each command it forks, and the child goes through that statement with its own arguments, environment and outputs, as if
just started. The file, its librados and its exit codes are the real ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from noout.lab.wire.outcome import Outcome

PYTHON, CEPH = "/usr/bin/python3", "/usr/bin/ceph"

# One connection, one command: a line {"argv", "env"} in; {"exit", "out", "err"} out. A client that goes away ends it.
PROGRAM = """
import ast, json, os, select, signal, socket, sys, tempfile, traceback
place, path = sys.argv[1], sys.argv[2]
body = ast.parse(open(path).read()).body
names = {"__name__": "ceph", "__file__": path, "__builtins__": __builtins__}
exec(compile(ast.Module(body[:-1], []), path, "exec"), names)
last = compile(ast.Module(body[-1:], []), path, "exec")
signal.signal(signal.SIGCHLD, signal.SIG_IGN)

def run(asked, out, err):
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, file in ((0, nothing), (1, out.fileno()), (2, err.fileno())):
        os.dup2(file, number)
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = asked["argv"]
    names["__name__"] = "__main__"
    code = 1
    try:
        exec(last, names)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

def serve(connection):
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    asked = json.loads(connection.makefile("rb").readline())
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            run(asked, out, err)
        ended = os.pidfd_open(child)
        ready = select.select([ended, connection], [], [])[0]
        if ended not in ready:
            os.killpg(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode(errors="replace"))
        if ended in ready:
            connection.sendall(json.dumps({"exit": code, "out": said[0], "err": said[1]}).encode())

with socket.socket(socket.AF_UNIX) as door:
    door.bind(place)
    door.listen(64)
    print("ready", flush=True)
    while True:
        ready = select.select([door, sys.stdin], [], [])[0]
        if sys.stdin in ready:
            break
        connection = door.accept()[0]
        if not os.fork():
            door.close()
            try:
                serve(connection)
            finally:
                os._exit(0)
        connection.close()
"""


class CephForks:
    """Ends by itself when this process does: its stdin ends."""

    def __init__(self, folder: Path) -> None:
        self._place = folder / "ceph.fork"
        self._process = subprocess.Popen(
            [PYTHON, "-c", PROGRAM, str(self._place), CEPH], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._ready = False
        self._door = asyncio.Lock()

    async def run(self, argv: Sequence[str], environment: Mapping[str, str]) -> Outcome:
        """Cancelled or timed out, it ends the command."""
        async with self._door:
            if not self._ready:
                assert self._process.stdout is not None
                line = await asyncio.to_thread(self._process.stdout.readline)
                assert line == b"ready\n", "`ceph` could not be loaded"
                self._ready = True
        reader, writer = await asyncio.open_unix_connection(str(self._place), limit=1 << 26)
        try:
            writer.write(json.dumps({"argv": list(argv), "env": dict(environment)}).encode() + b"\n")
            answer = json.loads(await reader.read())
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return Outcome(int(answer["exit"]), answer["out"], answer["err"])

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
