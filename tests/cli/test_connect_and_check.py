"""``noout init`` and ``noout check`` as people type them, against a lab on real sockets."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import jsonschema
import pytest

from noout.adapters.tls import shown
from noout.app.connect import found as connecting
from noout.settings import load
from tests.cli.conftest import BLIND, DEAF, Lab, Noout


@pytest.fixture
def token(lab: Lab, place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(connecting, "TRY_S", 0.2)  # the lab's nodes name addresses where nobody answers
    file = place / "my.token"
    file.touch(0o600)
    file.write_text(lab.token("lab"))
    return file


def entry_point(lab: Lab) -> tuple[str, str]:
    cluster = load(lab.folder / "noout.toml").clusters["ams1"]
    return cluster.entrypoints[0], cluster.fingerprints[cluster.entrypoints[0].removeprefix("https://")]


def test_init_writes_what_check_then_runs_with(lab: Lab, place: Path, noout: Noout, token: Path) -> None:
    url, pin = entry_point(lab)
    said = noout("init", url, "--token-file", token, "--fingerprint", pin, "--config", "new.toml")
    assert said.code == 0, said
    assert "which is the one you named" in said.out
    for told in ("pveum role add", "ssh-keygen", "noout-shell", "client.noout", "ssh-keyscan", "Next: noout check"):
        assert told in said.out
    assert lab.token("lab").split("=")[1] not in said.out + said.err + (place / "new.toml").read_text()
    assert stat.S_IMODE((place / "new.toml").stat().st_mode) == 0o644
    written = load(place / "new.toml").clusters["ams1"]
    assert set(written.nodes) == {"pve1", "pve2", "pve3", "pve4"}
    assert written.token_file == Path("my.token")
    checked = noout("check", "--config", "new.toml")
    assert checked.code == 3
    assert "bmc.missing" in checked.out
    assert "secret.missing" in checked.out, "the SSH key that is still to be made"
    assert "Traceback" not in checked.err


def test_init_pins_on_first_use_and_says_so(lab: Lab, place: Path, noout: Noout) -> None:
    url, pin = entry_point(lab)
    said = noout("init", url, "--name", "here", "--config", "new.toml")
    assert said.code == 0
    assert "trust on first use" in said.out
    assert shown(pin) in said.out
    assert list(load(place / "new.toml").clusters["here"].fingerprints.values()) == [pin]


def test_init_sends_no_token_to_a_server_that_nobody_vouched_for(
    lab: Lab, place: Path, noout: Noout, token: Path
) -> None:
    url, _ = entry_point(lab)
    said = noout("init", url, "--token-file", token, "--config", "new.toml")
    assert (said.code, "nobody has vouched for" in said.err) == (2, True)
    said = noout("init", url, "--token-file", token, "--fingerprint", "00" * 32, "--config", "new.toml")
    assert (said.code, "nothing was sent" in said.err) == (1, True)
    assert not (place / "new.toml").exists()
    assert noout("init", url, "--token-file", token, "--yes", "--config", "new.toml").code == 0


def test_init_never_writes_over_a_configuration_by_accident(lab: Lab, place: Path, noout: Noout) -> None:
    url, _ = entry_point(lab)
    before = (place / "noout.toml").read_text()
    said = noout("init", url)
    assert (said.code, "--force" in said.err) == (2, True)
    assert (place / "noout.toml").read_text() == before
    assert noout("init", url, "--force").code == 0
    assert (place / "noout.toml").read_text() != before


def test_init_asks_nobody_where_nobody_can_answer(noout: Noout, closed_port: int) -> None:
    said = noout("init", "--config", "new.toml")
    assert (said.code, "noout init https://" in said.err) == (2, True)
    assert noout("init", f"https://127.0.0.1:{closed_port}", "--config", "new.toml").code == 1


def test_check_names_what_is_in_the_way_with_its_remedy(noout: Noout) -> None:
    said = noout("check")
    assert said.code == 3
    assert said.err == ""
    assert "guest.local-iso" in said.out
    assert "eject-ok" in said.out
    assert "Looked at:" in said.out
    assert not [line for line in said.out.splitlines() if len(line.rstrip()) > 80]


def test_check_as_a_document_fits_its_schema(noout: Noout) -> None:
    schema = json.loads(noout("schema", "check").out)
    said = noout("check", "pve2", "--json")
    document = json.loads(said.out)
    jsonschema.validate(document, schema)
    assert (document["format"], document["version"]) == ("noout.check", 1)
    assert all(each["remedy"] for each in document["findings"])
    assert {each["place"] for each in document["findings"]} <= {"ams1", "ams1/pve2", "noout"}


@pytest.mark.parametrize(
    ("token", "code", "finding"), [(DEAF, "token.read-only", 3), (BLIND, "token.blind", 3), ("no such", "cluster.", 1)]
)
def test_check_with_less_than_all_rights(
    lab: Lab, place: Path, noout: Noout, token: str, code: str, finding: int
) -> None:
    config = place / "noout.toml"
    given = lab.token(token) if token in (DEAF, BLIND) else "noout@pve!lab=00000000-0000-4000-8000-000000000000"
    config.write_text(re.sub(r"(?m)^token = .*", f'token = "{given}"', config.read_text()))
    said = noout("check")
    assert (said.code, code in said.out) == (finding, True)


def test_check_knows_its_words(noout: Noout) -> None:
    assert noout("check", "--cluster", "nope").code == 2
    assert noout("check", "pve9").code == 2
