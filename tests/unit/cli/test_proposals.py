"""``noout proposals``, ``snooze`` and ``decline`` over a journal on disk, without a cluster that answers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from noout.app.proposals import Proposals
from noout.app.schemas import ProposalsDocument
from noout.cli import proposals as command
from noout.cli.options import opened
from noout.codec import decode
from noout.domain.cluster import NodeId
from noout.domain.errors import Refused, Retryable, UsageError
from noout.domain.hardware import Condition, Urgency, Verdict
from noout.domain.proposals import ReadyPlan
from noout.watch.policy import propose
from tests.unit.watch.traces import PVE3, START

CONFIG = """
[lab]
epoch = 1795000000.0
started = 1795000000.0
speed = 1.0
control = "http://127.0.0.1:1"
[clusters.ams1]
entrypoints = ["https://127.0.0.1:1"]
token = "noout@pve!t=00000000-0000-0000-0000-000000000000"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose journal proposes a maintenance of pve3."""
    path = tmp_path / "noout.toml"
    path.write_text(CONFIG)
    fault = propose(PVE3, [Verdict(PVE3, "FAN3B", Condition.FLAPPING, START, "FAN3B stood still 3 times.")])
    assert fault is not None

    async def no_plan(node: NodeId) -> ReadyPlan:
        raise Retryable(f"{node.cluster} does not answer")

    async def write() -> None:
        async with opened(path) as found:
            await Proposals(found.journal, found.clock, ready=no_plan).consider(fault)

    asyncio.run(write())
    return path


def test_it_lists_what_is_proposed_with_the_plan_or_why_there_is_none(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.proposals(config=config)
    said = " ".join(capsys.readouterr().out.split())
    assert "ams1/pve3 ▲ schedule pve3: FAN3B stood still 3 times: schedule a repair." in said
    assert "none yet: ams1 does not answer" in said and "→ noout plan ams1/pve3, then noout maintain ams1/pve3" in said


def test_an_answer_is_kept_with_its_reason_and_shown(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.snooze("pve3", "the fan is ordered", "7d", config)
    assert "ams1/pve3: snoozed until" in capsys.readouterr().out
    command.proposals(as_json=True, config=config)
    document = decode(ProposalsDocument, json.loads(capsys.readouterr().out))
    (one,) = document.proposals
    assert (one.standing, one.reason, one.urgency) == ("snoozed", "the fan is ordered", Urgency.SCHEDULE)
    command.decline("ams1/pve3", "not a fault", config)
    capsys.readouterr()
    command.proposals(config=config)
    assert "declined by operator:" in capsys.readouterr().out


def test_a_node_of_which_nothing_is_known_and_an_empty_reason_are_refused(config: Path) -> None:
    with pytest.raises(UsageError, match="there is no node pve9"):
        command.decline("pve9", "no", config)
    with pytest.raises(UsageError, match="for a reason only"):
        command.decline("pve3", " ", config)


@pytest.mark.parametrize("text", ["", "7", "0d", "-1d", "91d", "1y", "1e3d", "99999999d"])
def test_a_span_that_is_none_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="is not known"):
        command.parse_span(text)


def test_spans() -> None:
    assert [command.parse_span(each).total_seconds() for each in ("30m", "12h", "7d", "2 w")] == [
        1800,
        43200,
        604800,
        1209600,
    ]


def test_nothing_proposed_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "noout.toml"
    path.write_text(CONFIG)
    command.proposals(config=path)
    assert "Nothing is proposed" in capsys.readouterr().out
    with pytest.raises((Refused, UsageError)):
        command.snooze("ams1/pve3", "x", "1d", path)
