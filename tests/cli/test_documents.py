"""What commands print: documents that fit their published schemas, text that fits a narrow terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from noout.app.schemas import SCHEMAS
from tests.cli.conftest import Lab, Noout, run


def fits(noout: Noout, name: str, document: Any) -> None:
    schema = json.loads(noout("schema", name).out)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(document)
    assert (document["format"], document["version"]) == (f"noout.{name}", 1)


@pytest.mark.parametrize(
    ("name", "command"),
    [("snapshot", ("snapshot",)), ("plan", ("plan", "pve3", "--json")), ("health", ("health", "--json")),
     ("status", ("status", "--json"))],
    ids=lambda each: each if isinstance(each, str) else "",
)  # fmt: skip
def test_a_document_fits_its_schema(noout: Noout, lab: Lab, name: str, command: tuple[str, ...]) -> None:
    said = noout(*command)
    assert (said.code, said.err) == (0, "")
    document = json.loads(said.out)
    fits(noout, name, document)
    if name == "snapshot":
        assert document["unreadable"] == []
        assert lab.token("lab").split("=")[1] not in said.out


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_schema_is_one(noout: Noout, name: str) -> None:
    schema = json.loads(noout("schema", name).out)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert {"format", "version"} <= set(schema["required"])


def test_a_schema_refuses_what_is_not_its_document(noout: Noout) -> None:
    with pytest.raises(jsonschema.ValidationError):
        fits(noout, "plan", {"format": "noout.snapshot", "version": 1})


def test_a_plan_on_a_snapshot_is_the_plan_on_the_cluster(noout: Noout, place: Path) -> None:
    assert noout("snapshot", "-o", "s.json").code == 0
    plans = [
        json.loads(noout("plan", "pve3", "--json", *where).out)["plan"] for where in ((), ("--snapshot", "s.json"))
    ]
    assert [[(move["name"], move["kind"], move["target"]) for move in plan["moves"]] for plan in plans] == [
        [(move["name"], move["kind"], move["target"]) for move in plans[0]["moves"]]
    ] * 2


def test_a_plan_says_whose_guests_it_touches_and_draws_itself(noout: Noout, place: Path) -> None:
    said = noout("plan", "pve3", "--json", "--svg", "plan.svg")
    assert (said.code, said.err) == (0, "")
    document = json.loads(said.out)
    fits(noout, "plan", document)
    touched = {str(guest) for each in document["customers"] for guest in each["guests"]}
    assert touched == {str(move["guest"]) for move in document["plan"]["moves"]}
    drawn = ElementTree.fromstring((place / "plan.svg").read_text())
    assert document["plan"]["id"] in " ".join(drawn.itertext())
    assert "Customers touched" in noout("plan", "pve3").out
    for more, words in (
        (("pve3", "--svg", "no/such/folder.svg"), "cannot be written"),
        (("--all", "--svg", "x"), "one node"),
    ):
        said = noout("plan", *more)
        assert said.code == 2 and words in said.err


def test_a_plan_that_does_not_work_is_a_document_and_a_picture_all_the_same(noout: Noout, place: Path) -> None:
    document = json.loads(noout("snapshot").out)
    state = document["clusters"][0]["state"]
    next(each for each in state["guests"] if each["node"]["name"] == "pve3")["ram_bytes"] = 2**50
    (place / "s.json").write_text(json.dumps(document))
    said = noout("plan", "pve3", "--snapshot", "s.json", "--json", "--svg", "plan.svg")
    assert (said.code, said.err) == (3, "")
    found = json.loads(said.out)
    fits(noout, "plan", found)
    [blocker] = [each for each in found["plan"]["blockers"] if each["code"] == "plan.no-room"]
    assert blocker["remedy"]
    assert blocker["remedy"] in " ".join(ElementTree.parse(place / "plan.svg").getroot().itertext())


def test_text_fits_into_80_columns(noout: Noout) -> None:
    for command in (("health",), ("plan", "pve3"), ("status",), ("--help",)):
        said = noout(*command)
        assert said.err == ""
        long = [line for line in said.out.splitlines() if len(line.rstrip()) > 80]
        assert not long, long
        assert "\x1b" not in said.out, "no colours into a pipe"


def test_every_node_one_after_the_other(noout: Noout) -> None:
    document = json.loads(noout("plan", "--all", "--json").out)
    fits(noout, "rolling", document)
    rolling = document["rolling"]
    assert [stage["number"] for stage in rolling["stages"]] == list(range(1, len(rolling["stages"]) + 1))
    assert rolling["cost"]["moves"] < rolling["there_and_back"]["moves"]
    said = noout("plan", "--all", "--hours", "2")
    assert said.code == (3 if rolling["blocked"] else 0)
    assert "last 2 h" in said.out and "Whose turn is when" in said.out
    assert all(len(line.rstrip()) <= 80 for line in said.out.splitlines())


def test_nodes_that_are_away_at_once(noout: Noout) -> None:
    said = noout("plan", "pve2", "--with", "pve3", "--json")
    document = json.loads(said.out)
    fits(noout, "plans", document)
    first, second = document["plans"]
    assert [first["node"]["name"], second["node"]["name"]] == ["pve2", "pve3"]
    assert said.code == 3, "two of four votes make no quorum"
    assert {"cluster.quorum"} <= {each["code"] for each in first["blockers"]}
    targets = {move["target"]["name"] for plan in document["plans"] for move in plan["moves"] if move["target"]}
    assert not targets & {"pve2", "pve3"}


@pytest.mark.parametrize(
    "command",
    [(), ("pve3", "--all"), ("--all", "--with", "pve2"), ("pve3", "--hours", "2"), ("--all", "--runbook"),
     ("--all", "--cluster", "nowhere"), ("pve3", "--with", "pve3")],
)  # fmt: skip
def test_a_plan_is_for_one_node_for_some_or_for_all(noout: Noout, command: tuple[str, ...]) -> None:
    said = noout("plan", *command)
    assert said.code == 2 and "Traceback" not in said.err


def test_a_runbook_is_a_shell_script_of_commands_and_comments(noout: Noout) -> None:
    said = noout("plan", "pve3", "--runbook")
    assert said.code == 0
    tools = {line.split()[0] for line in said.out.splitlines() if line and not line.startswith("#")}
    assert tools == {"pvesh", "ceph", "ha-manager", "ipmitool"}


@pytest.mark.parametrize(
    ("code", "command"),
    [(0, ("--version",)), (1, ("health", "pve3")), (2, ("plan", "pve9")), (3, ("maintain", "pve3"))],
)
def test_exit_codes_of_a_real_process(place: Path, closed_port: int, code: int, command: tuple[str, ...]) -> None:
    if code == 1:
        config = place / "noout.toml"
        head, tail = config.read_text().split("[clusters.ams1.bmc.pve3]\n")
        config.write_text(
            f'{head}[clusters.ams1.bmc.pve3]\nurl = "https://127.0.0.1:{closed_port}"\n' + tail.split("\n", 1)[1]
        )
    said = run(*command, cwd=place)
    assert said.code == code, said
    assert "Traceback" not in said.err


def test_debug_shows_a_log_and_no_secret(place: Path, lab: Lab) -> None:
    said = run("--debug", "plan", "pve3", cwd=place)
    assert said.code == 0
    assert "DEBUG" in said.err or "INFO" in said.err
    assert lab.token("lab").split("=")[1] not in said.out + said.err


def test_everything_is_stopped_and_allowed_again(noout: Noout) -> None:
    assert noout("allow-all").out.strip() == "nothing was stopped"
    said = noout("stop-all", "--reason", "a customer [calls]")
    assert said.code == 0 and "no new effect is started anywhere" in said.out
    assert "stopped already" in noout("stop-all").out
    told = noout("status")
    assert "a customer [calls]" in " ".join(told.out.split()) and "noout allow-all" in told.out
    document = json.loads(noout("status", "--json").out)
    fits(noout, "status", document)
    assert document["standstill"]["reason"] == "a customer [calls]"
    assert noout("allow-all").out.strip() == "effects are allowed again"
    assert json.loads(noout("status", "--json").out)["standstill"] is None
