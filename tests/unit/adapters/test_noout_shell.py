"""The forced command: it lets through what noout sends, to the last word, and nothing else, however it is written."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import noout
from noout.adapters.ceph import CephCli
from noout.adapters.ceph.survey import CephShells
from noout.adapters.pve.hypervisor import PveHypervisor
from noout.adapters.shell import forced
from noout.domain.cluster import NodeId
from noout.domain.errors import Retryable
from noout.ports import Completed, Shell
from tests.support.labsite import lab_site
from tests.support.virtual import run_virtual

SCRIPT = Path(noout.__file__).parent / "data" / "noout-shell"
LIMIT = "timeout --kill-after=5 30 "
TAIL = " --format json"
CEPH = "ceph --connect-timeout 10 "


def load() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("noout_shell", str(SCRIPT))
    spec = importlib.util.spec_from_loader("noout_shell", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
    return module


gate = load()

ALLOWED = [
    CEPH + "status" + TAIL,
    CEPH + "osd dump" + TAIL,
    CEPH + "osd df" + TAIL,
    CEPH + "osd ok-to-stop 4 5" + TAIL,
    CEPH + "osd set-group noout pve3" + TAIL,
    CEPH + "osd set-group noout,noup store-3.rack_b" + TAIL,
    CEPH + "osd unset-group noup pve3" + TAIL,
    CEPH + "mgr fail pve1" + TAIL,
    CEPH + "mds fail pve1" + TAIL,
    "ceph --name client.noout --connect-timeout 10 osd tree" + TAIL,
    "ceph daemon mon.pve1 mon_status",
    "ha-manager crm-command node-maintenance enable pve3",
    "ha-manager crm-command node-maintenance disable pve3",
    "ip -json -details address show",
    "ping -M do -n -q -c 1 -W 1 -s 8972 10.77.0.3",
    "ping -M do -n -q -c 1 -W 1 -s 1452 fd00:77::3",
]


@pytest.mark.parametrize("line", ALLOWED)
def test_what_noout_says_is_let_through_with_and_without_a_time_limit(line: str) -> None:
    seconds, words, effect = gate.judge(LIMIT + line)
    assert (seconds, words) == (30, line.split(" "))
    assert gate.judge(line)[1:] == (words, effect)
    assert effect is any(word in line for word in ("set-group", " fail ", "crm-command"))


ATTACKS = {
    "a login": "",
    "a shell": "bash",
    "a shell's command": "sh -c id",
    "a second command": ALLOWED[0] + "; id",
    "a second command after a newline": ALLOWED[0] + "\nid",
    "a newline at the end": ALLOWED[0] + "\n",
    "a carriage return": ALLOWED[0] + "\rid",
    "a null byte": ALLOWED[0] + "\0id",
    "a pipe": ALLOWED[0] + " | sh",
    "and": ALLOWED[0] + " && id",
    "in the background": ALLOWED[0] + " & id",
    "a substitution": CEPH + "osd set-group noout $(id)" + TAIL,
    "backquotes": CEPH + "osd set-group noout `id`" + TAIL,
    "a variable": CEPH + "osd set-group noout $HOME" + TAIL,
    "a quoted blank": CEPH + "osd set-group noout 'pve3 pve4'" + TAIL,
    "quotes that mean nothing": CEPH + "osd 'set-group' noout pve3" + TAIL,
    "an escaped blank": CEPH + "osd set-group noout pve3\\ pve4" + TAIL,
    "a tab": "ceph\tstatus",
    "two blanks": CEPH + " status" + TAIL,
    "a blank before": " " + ALLOWED[0],
    "a blank after": ALLOWED[0] + " ",
    "a glob": CEPH + "osd set-group noout *" + TAIL,
    "a file": ALLOWED[0] + " > /etc/passwd",
    "an assignment before": "CEPH_ARGS=-o ceph status",
    "letters of another alphabet": CEPH + "osd set-group noout pvé3" + TAIL,
    "digits of another alphabet": CEPH + "osd ok-to-stop ٣" + TAIL,
    "a fullwidth blank": ALLOWED[0].replace(" ", "\u3000"),
    "another file of that name": "/tmp/ceph --connect-timeout 10 status" + TAIL,
    "a path upwards": "../ceph --connect-timeout 10 status" + TAIL,
    "an option instead of a host": CEPH + "osd set-group noout --yes" + TAIL,
    "an option instead of an OSD": CEPH + "osd ok-to-stop -i" + TAIL,
    "one more option": CEPH + "-c evil.conf status" + TAIL,
    "a keyring's file": CEPH + "--keyring admin status" + TAIL,
    "an output file": CEPH + "osd dump -o authorized_keys" + TAIL,
    "one more word": CEPH + "osd set-group noout pve3 pve4" + TAIL,
    "one word less": CEPH + "osd set-group noout" + TAIL,
    "no time limit of the connection": "ceph status" + TAIL,
    "people's format": CEPH + "status",
    "a prompt that reads stdin": "ceph --connect-timeout 10" + TAIL,
    "for the whole cluster": CEPH + "osd set noout" + TAIL,
    "another flag": CEPH + "osd set-group nodown pve3" + TAIL,
    "another flag beside ours": CEPH + "osd set-group noout,noin pve3" + TAIL,
    "three flags": CEPH + "osd set-group noout,noup,noin pve3" + TAIL,
    "a single OSD": CEPH + "osd set-group noout osd.3" + TAIL,
    "a single OSD by number": CEPH + "osd set-group noout 3" + TAIL,
    "out": CEPH + "osd out 3" + TAIL,
    "destroy": CEPH + "osd purge 3 --yes-i-really-mean-it" + TAIL,
    "the keys": CEPH + "auth get client.admin" + TAIL,
    "a pool": CEPH + "osd pool rm rbd rbd" + TAIL,
    "another user": "ceph --name osd.3 --connect-timeout 10 status" + TAIL,
    "the admin socket's rest": "ceph daemon mon.pve1 config show",
    "another daemon's socket": "ceph daemon osd.3 mon_status",
    "a socket by its path": "ceph daemon /var/run/ceph/x.asok mon_status",
    "a guest moved by HA": "ha-manager migrate vm:101 pve2",
    "HA's services": "ha-manager remove vm:101",
    "a node with a dot": "ha-manager crm-command node-maintenance enable pve3.example.net",
    "a node that is an option": "ha-manager crm-command node-maintenance enable -h",
    "power": "reboot",
    "links that are changed": "ip link set eno1 down",
    "addresses that are changed": "ip -json -details address add 10.0.0.1/24 dev eno1",
    "a namespace": "ip netns exec x sh",
    "a file of commands": "ip -batch x",
    "a flood": "ping -f -M do -n -q -c 1 -W 1 -s 8972 10.77.0.3",
    "many packets": "ping -M do -n -q -c 9 -W 1 -s 8972 10.77.0.3",
    "a packet to a name": "ping -M do -n -q -c 1 -W 1 -s 8972 example.net",
    "a packet to an option": "ping -M do -n -q -c 1 -W 1 -s 8972 -f",
    "a packet to a number": "ping -M do -n -q -c 1 -W 1 -s 8972 1",
    "a huge packet": "ping -M do -n -q -c 1 -W 1 -s 65507 10.77.0.3",
    "files": "scp -t /root",
    "sftp": "/usr/lib/openssh/sftp-server",
    "rsync": "rsync --server -vlogDtprze.iLsfxC . /",
    "a time limit alone": "timeout --kill-after=5 30",
    "a time limit of a shell": "timeout --kill-after=5 30 sh",
    "a limit in a limit": LIMIT + LIMIT + ALLOWED[0],
    "no limit": "timeout --kill-after=5 0 " + ALLOWED[0],
    "a limit of hours": "timeout --kill-after=5 999 " + ALLOWED[0],
    "another option of timeout": "timeout --foreground 30 " + ALLOWED[0],
    "very long": CEPH + "osd ok-to-stop" + " 1" * 3000 + TAIL,
}


@pytest.mark.parametrize("line", ATTACKS.values(), ids=ATTACKS.keys())
def test_everything_else_is_refused(line: str) -> None:
    with pytest.raises(gate.Refused):
        gate.judge(line)


def test_no_sign_of_a_shell_gets_through_at_any_place() -> None:
    for sign in ";&|`$()<>\\'\"*?[]{}!#~^%@/+\t\n\r\0\x1b\x7f\u00a0\u2028é":
        for line in (*ALLOWED, LIMIT + ALLOWED[0]):
            for place in (0, len(line) // 2, len(line)):
                with pytest.raises(gate.Refused):
                    gate.judge(line[:place] + sign + line[place:])


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80) | st.lists(st.sampled_from(" ".join(ALLOWED).split() + list(";$`'\n-")), max_size=12))
def test_whatever_is_let_through_is_words_that_mean_the_same_to_every_shell(asked: str | list[str]) -> None:
    line = asked if isinstance(asked, str) else " ".join(asked)
    try:
        _, words, _ = gate.judge(line)
    except gate.Refused:
        return
    assert shlex.join(words) in line
    assert words[0] in ("ceph", "ha-manager")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ALLOWED), st.text(min_size=1, max_size=30))
def test_no_word_can_be_smuggled_in_as_a_name(line: str, name: str) -> None:
    """Also quoted, as an honest client would send it."""
    words = line.split(" ")
    words[words.index("pve3") if "pve3" in words else -1] = name
    try:
        _, let, _ = gate.judge(shlex.join(words))
    except gate.Refused:
        return
    assert let == words
    assert not name.startswith("-") or name in line.split(" ")


def test_the_user_and_the_hosts_that_root_has_named_are_the_only_ones() -> None:
    ours = "ceph --name client.noout --connect-timeout 10 osd set-group noout pve3" + TAIL
    assert gate.judge(ours, "client.noout", frozenset({"pve3"}))[2]
    for line, hosts in (
        (ours, frozenset({"pve4"})),
        (ours.replace("set-group noout pve3", "unset-group noout default"), frozenset({"pve3"})),
        (ours.replace("client.noout", "client.admin"), frozenset({"pve3"})),
        (ours.replace("--name client.noout ", ""), frozenset({"pve3"})),
    ):
        with pytest.raises(gate.Refused):
            gate.judge(line, "client.noout", hosts)


def test_everything_that_noout_sends_is_let_through() -> None:
    """Every method of the adapters that use the shell, against the lab, through the gate."""
    sent: list[Sequence[str]] = []

    class Gated:
        def __init__(self, behind: Shell) -> None:
            self.behind = behind

        async def run(self, node: NodeId, argv: Sequence[str], *, timeout_s: float = 30.0) -> Completed:
            sent.append(argv)
            seconds, words, _ = gate.judge(shlex.join(["timeout", "--kill-after=5", f"{timeout_s:.0f}", *argv]))
            assert (seconds, words) == (timeout_s, list(argv))
            return await self.behind.run(node, argv, timeout_s=timeout_s)

    async def everything() -> None:
        site = lab_site()
        nodes = [NodeId("ams1", "pve1"), NodeId("ams1", "pve2")]
        ceph = CephCli(Gated(site.shell), nodes, site.clock, user="client.noout")
        await ceph.observe()
        await ceph.ok_to_stop((0, 1))
        await ceph.osd_machines()
        await ceph.set_host_flags("pve3", frozenset({"noout", "noup"}))
        await ceph.unset_host_flags("pve3", frozenset({"noout", "noup"}))
        await ceph.fail_mgr()
        assert site.cluster.ceph is not None
        site.cluster.ceph.services += [("mds", "pve2"), ("mds", "pve4")]
        await ceph.fail_mds("pve2")
        doctor = CephShells(Gated(site.shell), nodes, user="client.noout")
        assert not (await doctor.survey()).unread
        assert set((await doctor.try_shells(nodes)).values()) == {""}
        pve = PveHypervisor(site.client, Gated(site.shell))
        await pve.maintenance_mode(NodeId("ams1", "pve3"), True)
        await pve.maintenance_mode(NodeId("ams1", "pve3"), False)
        for mon in site.cluster.ceph.mons.values():
            mon.running = mon.in_quorum = False
        with pytest.raises(Retryable):
            await ceph.observe()

    run_virtual(everything(), limit_s=7200)
    assert {"mon_status", "set-group", "node-maintenance"} <= {word for argv in sent for word in argv}


# --- the file itself, as sshd starts it ----------------------------------------------------------------------


def through(folder: Path, line: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {"SSH_ORIGINAL_COMMAND": line, "SSH_CONNECTION": "192.0.2.9 50000 192.0.2.1 22", **environment}
    argv = [sys.executable, "-IS", str(SCRIPT), "--bin", str(folder), *arguments]
    return subprocess.run(argv, env=given, capture_output=True, text=True, input="stdin", check=False, timeout=60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A `ceph` that tells how it was started."""
    stub = tmp_path / "ceph"
    stub.write_text(
        '#!/bin/sh\nfor word in "$@"; do echo "[$word]"; done\nenv | grep -v \'^_=\' | sort\ncat; pwd\nexit 16\n'
    )
    stub.chmod(0o755)
    return tmp_path


def test_the_command_gets_its_words_a_clean_environment_and_an_empty_stdin(folder: Path) -> None:
    done = through(folder, LIMIT + ALLOWED[3], LD_PRELOAD="", CEPH_ARGS="--keyring /tmp/x", BASH_ENV="/tmp/x")
    assert done.returncode == 16
    told = done.stdout.splitlines()
    assert told[:8] == [f"[{word}]" for word in ALLOWED[3].split(" ")[1:]]
    names = {line.split("=")[0] for line in told[8:-1]}
    assert {"PATH", "LANG"} <= names <= {"PATH", "LANG", "LC_ALL", "HOME", "PWD", "OLDPWD", "SHLVL"}
    assert told[-1] == "/"


def test_a_refusal_says_so_and_runs_nothing(folder: Path) -> None:
    (folder / "ceph").write_text(f"#!/bin/sh\ntouch {folder}/ran\n")
    done = through(folder, "ceph osd out 3; touch /tmp/x")
    assert (done.returncode, done.stdout) == (126, "")
    assert done.stderr.startswith("noout-shell: refused: ")
    assert not (folder / "ran").exists()
    assert through(folder, ALLOWED[0], "--ceph", "client.noout").returncode == 126
    assert through(folder, "").returncode == 126


def test_what_hangs_is_ended_by_the_node_itself(folder: Path) -> None:
    (folder / "ceph").write_text("#!/bin/sh\nsleep 1000\n")
    assert through(folder, "timeout --kill-after=5 1 " + ALLOWED[0]).returncode == 124


def test_a_program_that_is_not_there_and_options_that_nobody_knows(folder: Path) -> None:
    assert through(folder, ALLOWED[-1]).returncode == 127
    assert through(folder, ALLOWED[0], "--shell", "bash").returncode == 1


def test_refusals_and_effects_are_told_to_syslog_on_one_line(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    told, started = [], []
    monkeypatch.setattr(gate.syslog, "openlog", lambda *words: None)
    monkeypatch.setattr(gate.syslog, "syslog", lambda priority, text: told.append((priority, text)))
    monkeypatch.setattr(gate.os, "execve", lambda *words: started.append(words))
    monkeypatch.setattr(gate.os, "dup2", lambda *words: None)
    monkeypatch.setattr(gate.os, "chdir", lambda folder: None)
    here = {"SSH_CONNECTION": "192.0.2.9 1 192.0.2.1 22"}

    assert gate.main([], here | {"SSH_ORIGINAL_COMMAND": "id\nnoout-shell: all is well" + "x" * 9000}) == 126
    assert told[0][0] == gate.syslog.LOG_WARNING
    assert "192.0.2.9" in told[0][1]
    assert "\n" not in told[0][1]
    assert len(told[0][1]) < 400

    gate.main(["--bin", str(folder)], here | {"SSH_ORIGINAL_COMMAND": ALLOWED[0]})
    assert len(told) == 1  # looking is not worth a line
    gate.main(["--bin", str(folder)], here | {"SSH_ORIGINAL_COMMAND": ALLOWED[4]})
    assert told[1] == (gate.syslog.LOG_NOTICE, f"from '192.0.2.9': {ALLOWED[4]}")
    assert len(started) == 2


def test_the_line_for_authorized_keys() -> None:
    line = forced.authorized_keys_line(
        "ssh-ed25519 AAAA noout\n", ceph_user="client.noout", hosts=("pve1", "pve2"), sources=("192.0.2.0/24",)
    )
    assert line == (
        'from="192.0.2.0/24",restrict,command="/usr/local/sbin/noout-shell --ceph client.noout --hosts pve1,pve2" '
        "ssh-ed25519 AAAA noout"
    )
    with pytest.raises(ValueError, match="authorized_keys"):
        forced.authorized_keys_line("ssh-ed25519 AAAA", hosts=('pve1",no-restrict',))
    assert forced.script() == SCRIPT.read_text()
    assert os.access(SCRIPT, os.X_OK)
