"""Every recorded request that the lab claims to serve, asked of the lab in the recorded situation.

Same status, reason, keys and kinds, and the same lines in the same order in task logs; guests, sizes and times aside.
"""

from __future__ import annotations

import fnmatch
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.conftest import DATA
from tests.contract.lab_pve.shapes import differences, missing_lines
from tests.contract.lab_pve.site import Answer, Site
from tests.contract.lab_pve.situations import (
    REASONS,
    SKIPPED_LINES,
    Situation,
    allowed,
    not_replayed,
    situation,
)

FOLDER = DATA / "proxmox" / "responses"
NAMES = sorted(p.stem for p in FOLDER.glob("*.json")) if FOLDER.is_dir() else []
REPLAYED = [n for n in NAMES if not_replayed(n) is None]
OF_TASK = re.compile(r"-(taskstatus|tasklog)$")


def recording(name: str) -> dict[str, Any]:
    found = json.loads((FOLDER / f"{name}.json").read_text())
    assert isinstance(found, dict)
    return found


def asked_node(recorded: dict[str, Any], chosen: Situation) -> str:
    """The node that answered, if the recording shows it."""
    if chosen.node is not None:
        return chosen.node
    data = (recorded.get("json") or {}).get("data")
    if isinstance(data, list):
        for row in data:
            if isinstance(row, dict) and (row.get("local") == 1 or row.get("id") == "quorum"):
                return str(row.get("node") or row["name"])
    if isinstance(data, dict) and "quorum" in data and isinstance(data["quorum"], dict):
        return str(data["quorum"]["node"])
    return "pve1"


def place(site: Site, path: str) -> None:
    """Put the guest of the path on the node of the path."""
    match = re.match(r"/nodes/(\w+)/(qemu|lxc)/(\d+)", path)
    if match and int(match[3]) in site.cluster.guests:
        vmid = int(match[3])
        site.cluster.guests[vmid].node = match[1]
        for sid in (f"vm:{vmid}", f"ct:{vmid}"):
            if sid in site.cluster.ha.services:
                site.cluster.ha.services[sid].node = match[1]


def split(url: str) -> tuple[str, str]:
    match = re.match(r"/api2/(json|extjs)(/.*)", url)
    assert match
    return match[1], unquote(match[2])


def real_upid(site: Site, path: str) -> str:
    """A task of this lab that is like the recorded one of the path."""
    match = re.search(r"UPID:(\w+):[0-9A-F]+:[0-9A-F]+:[0-9A-F]+:(\w+):([^:]*):[^:]+:", path)
    if match is None:
        return path
    fitting = [u for u, t in site.cluster.tasks.items() if (t.type, t.id) == (match[2], match[3])]
    if not fitting:
        return path  # a task that does not exist, which is what that recording is about
    return path.replace(match[0], fitting[-1]).replace(f"/nodes/{match[1]}/", f"/nodes/{fitting[-1].split(':')[1]}/")


def replay(site: Site, name: str, recorded: dict[str, Any]) -> Answer:
    request, chosen = recorded["request"], situation(name)
    envelope, path = split(request["url"])
    node = asked_node(recorded, chosen)
    headers: dict[str, str] = {}
    token = chosen.token
    params = request["params"]
    if name in CREDENTIALS:
        token = None
        headers, params = CREDENTIALS[name](site, params)
    path = real_upid(site, path)
    return site.ask(
        request["method"],
        path,
        params,
        token=token,
        node=node,
        headers=headers,
        as_json=name == "json-body-post",
        envelope=envelope,
    )


def _login(site: Site) -> dict[str, Any]:
    answer = site.ask("POST", "/access/ticket", {"username": "ops@pve", "password": "Secret123!"}, token=None)
    data: dict[str, Any] = answer.json["data"]
    return data


def _with_ticket(csrf: bool) -> Any:
    def made(site: Site, params: Any) -> tuple[dict[str, str], Any]:
        login = _login(site)
        headers = {"Cookie": f"PVEAuthCookie={login['ticket']}"}
        return (headers | {"CSRFPreventionToken": login["CSRFPreventionToken"]} if csrf else headers), params

    return made


def _header(value: str) -> Any:
    return lambda site, params: ({"Authorization": value}, params)


CREDENTIALS: dict[str, Any] = {
    "access-ticket-ok": lambda site, params: ({}, params),
    "access-ticket-badpw": lambda site, params: ({}, params),
    "ticket-renew": lambda site, params: ({}, {"username": "ops@pve", "password": _login(site)["ticket"]}),
    "ticket-get": _with_ticket(csrf=False),
    "ticket-post-csrf": _with_ticket(csrf=True),
    "err-ticket-post-no-csrf": _with_ticket(csrf=False),
    "err-ticket-garbage": lambda site, params: ({"Cookie": "PVEAuthCookie=PVE:root@pam:6B038196::garbage"}, params),
    "err-no-auth": lambda site, params: ({}, params),
    "err-bad-token": _header("PVEAPIToken=root@pam!lab=00000000-wrong"),
    "err-unknown-token": _header("PVEAPIToken=root@pam!nosuch=00000000-wrong"),
}


@pytest.mark.parametrize("name", REPLAYED)
def test_replay(name: str, recordings: Path) -> None:
    recorded = recording(name)
    base = OF_TASK.sub("", name)
    first = recording(base) if base != name else recorded
    site, chosen = Site(), situation(name)
    if not chosen.keep_place:
        place(site, split(first["request"]["url"])[1])
    for prepare in chosen.prepare:
        prepare(site)
    answer = replay(site, base if base != name else name, first)
    if base != name:
        status, log = site.follow(answer.json["data"])
        answer = log if name.endswith("log") else status
    _compare(name, recorded, answer)


def _compare(name: str, recorded: dict[str, Any], answer: Answer) -> None:
    reason = next((why for p, why in REASONS.items() if fnmatch.fnmatchcase(name, p)), recorded["reason"])
    assert (answer.status, answer.reason) == (recorded["status"], reason), answer
    if recorded.get("json") is None:
        assert answer.body == b""
        return
    if name.endswith("log") and name.startswith(("task", "qemu", "lxc", "ceph")):
        lines = [line["t"] for line in recorded["json"]["data"]]
        assert not missing_lines(lines, [line["t"] for line in answer.json["data"]], SKIPPED_LINES), answer.json
    if name.endswith(("taskstatus", "-status")) and "exitstatus" in (recorded["json"]["data"] or {}):
        assert answer.json["data"]["exitstatus"] == recorded["json"]["data"]["exitstatus"]
    if recorded["status"] != 200 or "success" in recorded["json"]:
        assert answer.json == recorded["json"]
    assert not differences(recorded["json"], answer.json, "", allowed(name)), answer.json


def test_how_many_are_replayed(recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = {n: why for n in NAMES if (why := not_replayed(n)) is not None}
    lines = [f"{len(REPLAYED)} of {len(NAMES)} recordings are replayed against the lab; the others:"]
    for why, count in Counter(others.values()).most_common():
        lines.append(f"  {count:3}  {why}: {', '.join(n for n in others if others[n] == why)}")
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")
    assert len(REPLAYED) >= 300
