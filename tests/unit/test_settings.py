"""The configuration: secrets go to no server that anybody on the way could pose as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from noout.domain.errors import UsageError
from noout.settings import parse

BMC = {"user": "noout", "password_file": "p", "fingerprint": "ab" * 32}


def test_no_secret_is_sent_over_plain_http() -> None:
    cluster = {"entrypoints": ["https://pve1.example.net:8006"], "token_file": "t"}
    assert parse({"clusters": {"ams1": cluster}}, Path("noout.toml")).clusters["ams1"].fingerprint is None
    plain = {**cluster, "entrypoints": ["http://pve1.example.net:8006"]}
    with pytest.raises(UsageError, match=r"clusters.ams1.entrypoints.0: must begin with https"):
        parse({"clusters": {"ams1": plain}}, Path("noout.toml"))
    board = {**cluster, "bmc": {"pve1": {**BMC, "url": "http://bmc1.example.net"}}}
    with pytest.raises(UsageError, match=r"bmc.pve1.url: must begin with https"):
        parse({"clusters": {"ams1": board}}, Path("noout.toml"))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({}, "neither token_file nor token"),
        ({"user": "noout@pve"}, "password_file is missing"),
        ({"password_file": "p"}, "user is missing"),
        ({"user": "noout@pve", "password_file": "p", "token_file": "t"}, "both a token and a user"),
        ({"user": "noout", "password_file": "p"}, r"clusters.ams1.user"),
        ({"user": "noout@pve!control", "password_file": "p"}, r"clusters.ams1.user"),
        ({"user": "noout@pve", "password": "literal"}, r"clusters.ams1.password holds a secret"),
        ({"token_file": "t", "accept_version": "9.3.1"}, r"clusters.ams1.accept_version"),
    ],
)
def test_a_cluster_has_one_way_in(keys: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        parse({"clusters": {"ams1": {"entrypoints": ["https://pve1:8006"], **keys}}}, Path("noout.toml"))
    assert "literal" not in str(caught.value)


def test_a_user_and_a_password_file_are_a_way_in() -> None:
    keys = {"entrypoints": ["https://pve1:8006"], "user": "noout@pve", "password_file": "p"}
    assert parse({"clusters": {"ams1": keys}}, Path("noout.toml")).clusters["ams1"].user == "noout@pve"


@pytest.mark.parametrize(
    ("guests", "said"),
    [
        (["110"], r"key self.guests.0: must be a guest such as ams1/110"),
        (["ams2/110"], "ams2/110 is in no cluster of this file"),
    ],
)
def test_what_noout_runs_in_is_not_mistyped(guests: list[str], said: str) -> None:
    """A name that fits nothing would let noout switch itself off."""
    cluster = {"entrypoints": ["https://pve1:8006"], "token_file": "t"}
    with pytest.raises(UsageError, match=said):
        parse({"clusters": {"ams1": cluster}, "self": {"guests": guests}}, Path("noout.toml"))
    with pytest.raises(UsageError, match=r"unknown key self.guest"):
        parse({"clusters": {"ams1": cluster}, "self": {"guest": []}}, Path("noout.toml"))
    fine = parse({"clusters": {"ams1": cluster}, "self": {"guests": ["ams1/110"]}}, Path("noout.toml"))
    assert fine.self.guests == ["ams1/110"]


def test_a_bmc_over_ipmi_or_with_a_session() -> None:
    cluster = {"entrypoints": ["https://pve1.example.net:8006"], "token_file": "t"}
    boards = {
        "pve1": {"url": "ipmi://bmc1.example.net", "user": "noout", "password_file": "p", "cipher_suite": 17},
        "pve2": {**BMC, "url": "https://bmc2.example.net", "session": True},
    }
    found = parse({"clusters": {"ams1": {**cluster, "bmc": boards}}}, Path("noout.toml")).clusters["ams1"].bmc
    assert (found["pve1"].url, found["pve1"].cipher_suite) == ("ipmi://bmc1.example.net", 17)
    assert found["pve2"].session


@pytest.mark.parametrize(
    ("board", "said"),
    [
        ({"url": "ipmi://noout:secret@bmc1", "user": "noout", "password_file": "p"}, "without user or password"),
        ({**BMC, "url": "ipmi://bmc1"}, "IPMI shows no certificate"),
    ],
)
def test_what_makes_no_sense_over_ipmi_is_refused(board: dict[str, str], said: str) -> None:
    cluster = {"entrypoints": ["https://pve1.example.net:8006"], "token_file": "t", "bmc": {"pve1": board}}
    with pytest.raises(UsageError, match=said):
        parse({"clusters": {"ams1": cluster}}, Path("noout.toml"))


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"alerts": {}}, "clusters.ams1.alerts: token_file must be set"),
        ({"alerts": {"token": "x"}}, "clusters.ams1.alerts.token holds a secret"),
        ({"alerts": {"token_file": "t", "kinds": {"OurFans": "fans"}}}, "alerts.kinds.OurFans"),
        ({"prometheus": {"url": "http://prometheus:9090", "token_file": "t"}}, "must begin with https"),
        ({"prometheus": {"url": "prometheus:9090"}}, "prometheus.url: must be a URL"),
    ],
)
def test_sources_of_alerts_and_metrics_that_are_not_right_are_named(tables: dict[str, Any], said: str) -> None:
    cluster = {"entrypoints": ["https://pve1.example.net:8006"], "token_file": "t", **tables}
    with pytest.raises(UsageError, match=said):
        parse({"clusters": {"ams1": cluster}}, Path("noout.toml"))


def test_a_prometheus_without_a_login_may_be_asked_over_plain_http() -> None:
    tables = {
        "prometheus": {"url": "http://prometheus:9090", "nodes": {"192.0.2.13": "pve3"}},
        "alerts": {"token_file": "t"},
    }
    cluster = {"entrypoints": ["https://pve1.example.net:8006"], "token_file": "t", **tables}
    found = parse({"clusters": {"ams1": cluster}}, Path("noout.toml")).clusters["ams1"]
    assert found.prometheus is not None
    assert (found.prometheus.label, found.prometheus.nodes) == ("instance", {"192.0.2.13": "pve3"})
