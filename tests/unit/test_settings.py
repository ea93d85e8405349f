"""The configuration: secrets go to no server that anybody on the way could pose as."""

from __future__ import annotations

from pathlib import Path

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
