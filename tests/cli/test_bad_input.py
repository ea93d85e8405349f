"""Bad input: one clear sentence and its remedy on stderr, the right exit code, no traceback, nothing touched."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from noout.adapters.clock import LabClock
from noout.adapters.store.sql import SqlStore
from noout.settings import load
from tests.cli.conftest import BLIND, DEAF, Lab, Noout, Said

FAILED, USAGE, REFUSED = 1, 2, 3


def files(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def one_sentence(said: Said, code: int, *words: str) -> None:
    """The whole of stderr: a sentence that names what is wrong, and a remedy."""
    assert said.code == code, said
    lines = said.err.splitlines()
    assert len(lines) == 2, said.err
    assert lines[0].startswith("noout: ") and lines[1].startswith("  → "), said.err
    assert "Traceback" not in said.out + said.err
    missing = [word for word in words if word not in said.err]
    assert not missing, f"{missing} not in: {said.err}"


@contextmanager
def nothing_touched(lab: Lab, folder: Path) -> Iterator[None]:
    before, happened = files(folder), lab.happened()
    yield
    assert lab.happened() == happened
    assert files(folder) == before


def change(place: Path, pattern: str, replacement: str, count: int = 0) -> None:
    config = place / "noout.toml"
    text, changed = re.subn(pattern, replacement, config.read_text(), count=count, flags=re.M)
    assert changed, pattern
    config.write_text(text)


def on_every_entrypoint(place: Path, port: int) -> None:
    change(place, r"^entrypoints = .*", f'entrypoints = ["https://127.0.0.1:{port}"]')


# --- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("plan",), ("health",), ("maintain", "--yes")], ids=lambda each: each[0])
def test_an_unknown_node_is_named_with_those_there_are(
    noout: Noout, lab: Lab, place: Path, command: tuple[str, ...]
) -> None:
    with nothing_touched(lab, place):
        one_sentence(noout(*command, "pve9"), USAGE, "no node pve9", "ams1/pve1", "ams1/pve4")


def test_an_unknown_cluster_is_named_with_those_there_are(noout: Noout, lab: Lab, place: Path) -> None:
    with nothing_touched(lab, place):
        one_sentence(noout("plan", "rtm1/pve1"), USAGE, "no cluster rtm1", "ams1")


@pytest.mark.parametrize(
    "command",
    [("status", "ID"), ("approve", "ID"), ("hands-on", "ID", "--serial", "X"), ("pause", "ID"), ("resume", "ID"),
     ("abort", "ID"), ("workorder", "ID"), ("report", "ID")],
    ids=lambda each: each[0],
)  # fmt: skip
def test_an_unknown_maintenance(noout: Noout, lab: Lab, place: Path, command: tuple[str, ...]) -> None:
    happened = lab.happened()
    said = noout(*[each.replace("ID", "ams1-pve9-1") for each in command])
    one_sentence(said, USAGE, "no maintenance ams1-pve9-1", "noout status")
    assert lab.happened() == happened


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("maintain", "pve3", "--mode", "reckless"), ("--mode reckless", "advise, step, auto")),
        (("report", "x", "--format", "docx"), ("--format docx", "html, pdf or json")),
        (("report", "x", "--lang", "fr"), ("--lang fr", "en, nl or es")),
        (("serve", "--role", "king"), ("--role king", "all")),
        (("schema", "nonsense"), ("no document nonsense", "snapshot")),
        (("plan", "pve3", "--json", "--runbook"), ("--json and --runbook", "one of them")),
        (("paln", "pve3"), ("'paln'", "'plan'")),
        (("plan",), ("'NODE'", "noout plan --help")),
        (("lab", "--port", "many"), ("--port", "noout lab --help")),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else None,
)
def test_words_that_are_not_understood(
    noout: Noout, lab: Lab, place: Path, command: tuple[str, ...], words: tuple[str, ...]
) -> None:
    with nothing_touched(lab, place):
        one_sentence(noout(*command), USAGE, *words)


# --- the configuration ------------------------------------------------------------------------------------------


def test_no_configuration(noout: Noout, lab: Lab, place: Path) -> None:
    one_sentence(noout("plan", "pve3", "--config", "other.toml"), USAGE, "other.toml", "--config")
    (place / "noout.toml").rename(place / "elsewhere.toml")
    with nothing_touched(lab, place):
        one_sentence(noout("plan", "pve3"), USAGE, "no configuration", "--config FILE")
        one_sentence(noout("plan", "pve3", NOOUT_CONFIG="gone.toml"), USAGE, "gone.toml", "NOOUT_CONFIG")


@pytest.mark.parametrize(
    ("pattern", "replacement", "words"),
    [
        (r"^entrypoints", "entrypoint", ("unknown key clusters.ams1.entrypoint", "did you mean entrypoints?")),
        (r"\A", "[watches]\n", ("unknown key watches",)),
        (r"^speed = .*", "speed = 0", ("lab.speed", "greater than 0")),
        (r"^speed = .*", "speed = ", ("not valid TOML",)),
        (r"^entrypoints = .*", 'entrypoints = ["pve1:8006"]', ("clusters.ams1.entrypoints.0", "URL")),
        (r"^token = .*", "", ("clusters.ams1", "token_file")),
        (r"^via = .*", 'via = "icmp"', ("probes.via", "icmp")),
        (r"^via = .*", 'via = "direct"\ncontact = 5', ("probes.contact", "string")),
    ],
)
def test_a_wrong_key_is_named(
    noout: Noout, lab: Lab, place: Path, pattern: str, replacement: str, words: tuple[str, ...]
) -> None:
    change(place, pattern, replacement, count=1)
    with nothing_touched(lab, place):
        one_sentence(noout("plan", "pve3"), USAGE, *words)


def test_secrets_are_refused_where_others_can_read_them(noout: Noout, lab: Lab, place: Path) -> None:
    change(place, r"^token = .*", 'token_file = "token"')
    with nothing_touched(lab, place):
        one_sentence(noout("plan", "pve3"), USAGE, "clusters.ams1.token_file", "No such file")
    (place / "token").write_text(lab.token("lab"))
    (place / "token").chmod(0o644)
    with nothing_touched(lab, place):
        said = noout("plan", "pve3")
        one_sentence(said, USAGE, "can be read by others", "chmod 600")
        assert lab.token("lab").split("=")[1] not in said.out + said.err
    (place / "token").chmod(0o600)
    (place / "token").write_text("")
    with nothing_touched(lab, place):
        one_sentence(noout("plan", "pve3"), USAGE, "is empty")


def test_a_secret_in_plain_text_is_for_labs_alone(noout: Noout, lab: Lab, place: Path) -> None:
    change(place, r"\[lab\](\n.+)+", "")
    with nothing_touched(lab, place):
        said = noout("plan", "pve3")
        one_sentence(said, USAGE, "clusters.ams1.token", "plain text")
        assert lab.token("lab") not in said.err


# --- the other side ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("plan", "pve3"), ("snapshot", "-o", "s.json"), ("maintain", "pve3", "--yes")])
def test_a_wrong_token(noout: Noout, lab: Lab, place: Path, command: tuple[str, ...]) -> None:
    change(place, r"^token = .*", 'token = "noout@pve!lab=11111111-2222-4333-8444-555555555555"')
    with nothing_touched(lab, place):
        said = noout(*command)
        one_sentence(said, FAILED, "ams1 did not accept the API token", "user@realm!name=secret")
        assert "555555555555" not in said.err


class Eavesdropper:
    """Between noout and a node: passes everything on, and keeps what the client sent."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.heard = b""
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            node = socket.create_connection(("127.0.0.1", self.target))
            for source, sink, keep in ((client, node, True), (node, client, False)):
                threading.Thread(target=self._pass, args=(source, sink, keep), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, keep: bool) -> None:
        try:
            while data := source.recv(65536):
                self.heard += data if keep else b""
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


APPLICATION_DATA = 23  # the type of a TLS record; a request can travel in no other


def tls_records(stream: bytes) -> list[int]:
    """The content types of a TLS stream's records, one client's connections after another."""
    found, position = [], 0
    while position + 5 <= len(stream):
        found.append(stream[position])
        position += 5 + int.from_bytes(stream[position + 3 : position + 5], "big")
    return found


def test_a_wrong_fingerprint_and_nothing_is_sent(noout: Noout, lab: Lab, place: Path) -> None:
    """Every byte that noout sends passes here: a greeting in the clear, and not one record of what comes after."""
    ear = Eavesdropper(lab.server.base)
    on_every_entrypoint(place, ear.port)
    change(place, r"^\[clusters\.ams1\.fingerprints\](\n.+)+", "")
    change(place, r"^token = ", f'fingerprint = "{"ab" * 32}"\ntoken = ')
    with nothing_touched(lab, place):
        said = noout("plan", "pve3")
    one_sentence(said, FAILED, "another certificate than the pinned one", "AB:AB", "nothing was sent")
    assert ear.heard, "the connection did not come this way"
    assert APPLICATION_DATA not in tls_records(ear.heard)
    ear.server.close()


@pytest.mark.parametrize(
    ("token", "command", "words"),
    [
        (BLIND, ("plan", "pve3"), ("VM.Audit on /vms", "Datastore.Audit on /storage", "pveum acl modify")),
        (BLIND, ("snapshot",), ("VM.Audit on /vms", "pveum acl modify")),
        (DEAF, ("maintain", "pve3", "--yes"), ("VM.PowerMgmt on /vms", "Sys.Console on /", "pveum acl modify")),
    ],
)
def test_a_missing_privilege_is_named_with_its_path(
    noout: Noout, lab: Lab, place: Path, token: str, command: tuple[str, ...], words: tuple[str, ...]
) -> None:
    change(place, r"^token = .*", f'token = "{lab.token(token)}"')
    happened = lab.happened()
    one_sentence(noout(*command), REFUSED, *words)
    assert lab.happened() == happened


def test_a_token_that_may_only_look_can_plan(noout: Noout, lab: Lab, place: Path) -> None:
    change(place, r"^token = .*", f'token = "{lab.token(DEAF)}"')
    happened = lab.happened()
    assert noout("plan", "pve3").code == 0
    assert noout("maintain", "pve3", "--mode", "advise").code == 0
    assert lab.happened() == happened


@pytest.mark.parametrize("command", [("plan", "pve3"), ("snapshot", "-o", "s.json"), ("maintain", "pve3", "--yes")])
def test_a_cluster_that_does_not_answer(
    noout: Noout, lab: Lab, place: Path, closed_port: int, command: tuple[str, ...]
) -> None:
    on_every_entrypoint(place, closed_port)
    with nothing_touched(lab, place):
        one_sentence(noout(*command), FAILED, "ams1", "no entry point", "check the network")


def test_a_bmc_that_does_not_answer(noout: Noout, lab: Lab, place: Path, closed_port: int) -> None:
    change(place, r"(?<=bmc\.pve3\]\n)url = .*", f'url = "https://127.0.0.1:{closed_port}"')
    happened = lab.happened()
    said = noout("health", "pve3")
    assert said.code == FAILED
    assert "Traceback" not in said.out + said.err
    assert "does not answer" in said.out
    assert noout("health", "pve1").code == 0
    assert lab.happened() == happened


# --- snapshots --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def snapshot(lab: Lab) -> str:
    from tests.cli.conftest import run

    said = run("snapshot", cwd=lab.folder)
    assert said.code == 0, said.err
    return said.out


def guests(document: Any) -> list[Any]:
    found: list[Any] = document["clusters"][0]["state"]["guests"]
    return found


def changed(change: Callable[[Any], None]) -> Callable[[str], str]:
    def apply(text: str) -> str:
        document = json.loads(text)
        change(document)
        return json.dumps(document)

    return apply


SPOILT: dict[str, tuple[Callable[[str], str], tuple[str, ...]]] = {
    "truncated": (lambda text: text[: len(text) // 2], ("is not a whole snapshot", "ends in the middle")),
    "empty": (lambda text: "", ("is not a whole snapshot",)),
    "garbage": (lambda text: "\x00\x01garbage", ("is not a whole snapshot",)),
    "another document": (lambda text: '{"format": "noout.plan", "version": 1}', ("not a snapshot",)),
    "a later version": (changed(lambda d: d.update(version=9)), ("version 9",)),
    "a key is missing": (changed(lambda d: guests(d)[0].pop("node")), ("guests.0.node",)),
    "a value is a word": (changed(lambda d: guests(d)[0].update(ram_bytes="much")), ("guests.0.ram_bytes", "much")),
    "less than nothing": (changed(lambda d: guests(d)[0].update(ram_bytes=-1)), ("ram",)),
    "no number": (changed(lambda d: guests(d)[0].update(cpu_used=float("nan"))), ("guests.0.cpu_used", "nan")),
    "a number as text": (changed(lambda d: guests(d)[0]["id"].update(vmid="100")), ("guests.0.id.vmid", "'100'")),
    "a guest of nowhere": (
        changed(lambda d: guests(d)[0]["node"].update(name="pve9")),
        ("guests.0.node", "'ams1/pve9' is not a node"),
    ),
    "no nodes": (changed(lambda d: d["clusters"][0]["state"].update(nodes=[])), ("ams1 has no nodes",)),
    "no clusters": (changed(lambda d: d.update(clusters=[])), ("holds no cluster",)),
    "twice the same guest": (changed(lambda d: guests(d).append(guests(d)[0])), ("ams1/100", "2 times")),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_snapshot(noout: Noout, lab: Lab, place: Path, snapshot: str, how: str) -> None:
    spoil, words = SPOILT[how]
    (place / "snapshot.json").write_text(spoil(snapshot))
    with nothing_touched(lab, place):
        one_sentence(noout("plan", "pve3", "--snapshot", "snapshot.json"), USAGE, *words)


def test_a_snapshot_that_is_not_there(noout: Noout, lab: Lab, place: Path, snapshot: str) -> None:
    (place / "snapshot.json").write_text(snapshot)
    with nothing_touched(lab, place):
        one_sentence(noout("plan", "pve3", "--snapshot", "gone.json"), USAGE, "gone.json", "No such file")
        one_sentence(noout("plan", "pve9", "--snapshot", "snapshot.json"), USAGE, "no node pve9", "ams1/pve1")
        one_sentence(noout("snapshot", "-o", "no/such/folder.json"), USAGE, "cannot be written", "another file")


# --- the store --------------------------------------------------------------------------------------------------


def test_a_store_that_is_no_database(noout: Noout, lab: Lab, place: Path) -> None:
    (place / "noout.db").write_text("this is a shopping list, not a database. " * 200)
    with nothing_touched(lab, place):
        one_sentence(noout("status"), FAILED, "noout.db", "cannot be used", "check that it")
        one_sentence(noout("maintain", "pve3", "--yes"), FAILED, "noout.db", "cannot be used")


def test_a_store_that_cannot_be_written(noout: Noout, lab: Lab, place: Path) -> None:
    """A folder stands where the file should be (rights do not stop root)."""
    (place / "noout.db").mkdir()
    with nothing_touched(lab, place):
        one_sentence(noout("maintain", "pve3", "--yes"), FAILED, "noout.db", "cannot be used")


def test_a_store_of_an_unknown_kind(noout: Noout, lab: Lab, place: Path) -> None:
    change(place, r"(?<=\[store\]\n)url = .*", 'url = "carrier-pigeon://roof"')
    with nothing_touched(lab, place):
        one_sentence(noout("status"), USAGE, "store.url", "sqlite:///noout.db")


# --- maintenances -----------------------------------------------------------------------------------------------


def opened(place: Path, node: str = "pve1") -> str:
    """A maintenance in the store that nobody carries out, as if its process had been stopped at once."""
    settings = load(place / "noout.toml")
    assert settings.lab is not None
    clock = LabClock(settings.lab.epoch, settings.lab.started, settings.lab.speed)

    async def write() -> None:
        store = await SqlStore.open(f"sqlite:///{place / 'noout.db'}", clock)
        data = {"node": f"ams1/{node}", "reason": "fans", "mode": "auto", "fault": None}
        await store.append(f"ams1-{node}-1", 0, "maintenance.opened", data, "operator:anna")
        await store.close()

    asyncio.run(write())
    return f"ams1-{node}-1"


def test_a_second_maintenance_in_the_cluster(noout: Noout, lab: Lab, place: Path) -> None:
    first = opened(place)
    happened = lab.happened()
    one_sentence(noout("maintain", "pve3", "--yes"), REFUSED, first, "one at a time", f"noout status {first}")
    assert lab.happened() == happened


def test_what_a_maintenance_does_not_ask_for_yet(noout: Noout, lab: Lab, place: Path) -> None:
    maintenance = opened(place)
    one_sentence(noout("workorder", maintenance, "--link"), REFUSED, "no work order yet", "once the node is empty")
    one_sentence(noout("hands-on", maintenance, "--serial", "X1"), REFUSED, "no work order yet")
    one_sentence(noout("report", maintenance, "--customer", "nobody"), USAGE, "no customer nobody", "known: ")


def test_a_maintenance_that_nobody_approved(noout: Noout, lab: Lab, place: Path) -> None:
    happened = lab.happened()
    refused, silent = noout("maintain", "pve3", stdin="n\n"), noout("maintain", "pve3", stdin="")
    for said, word in ((refused, "was not approved"), (silent, "--yes")):
        assert said.code == REFUSED, said
        assert "not begun" in said.err and word in said.err and "Traceback" not in said.err
    assert lab.happened() == happened


# --- the lab ----------------------------------------------------------------------------------------------------


def test_a_port_that_is_taken(noout: Noout, lab: Lab, place: Path) -> None:
    with nothing_touched(lab, place):
        said = noout("lab", "--port", str(lab.server.base), "--write-config", "new.toml")
        one_sentence(said, FAILED, f"port {lab.server.base}", "--port")


def test_an_unknown_scenario(noout: Noout, lab: Lab, place: Path) -> None:
    with nothing_touched(lab, place):
        one_sentence(noout("lab", "--scenario", "apocalypse", "--port", "0"), USAGE, "apocalypse", "fan-flapping")
