"""The noout.toml that `noout init` writes: complete, commented, without a secret in it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from noout.adapters.ceph.caps import USER
from noout.adapters.tls import shown
from noout.app.connect.found import Connection

CUSTOMER_TAG = "customer-"


def configuration(found: Connection) -> str:
    """Pure: the same text for the same cluster."""
    return "".join(f"{line}\n" for line in _lines(found))


def _lines(found: Connection) -> Iterator[str]:
    name = _key(found.name)
    yield "# Written by `noout init`. Every key: docs/reference/configuration.md. No secret belongs in here: they are"
    yield '# named by file (readable by noout only), or as "credential:NAME", a credential that systemd hands over.'
    yield ""
    yield f"[clusters.{name}]"
    yield "# Asked one after the other: with one only, noout sees nothing while that node is away."
    yield "entrypoints = ["
    for address in found.pins:
        yield f"  {_text(f'https://{address}')},"
    for address in found.untried:
        yield f"  # {_text(f'https://{address}')},  # gave no answer from here"
    yield "]"
    yield f"token_file = {_text(found.token_file or f'{found.name}.token')}"
    yield "# What each of them showed when this was written. A changed certificate is refused, and nothing sent to it."
    yield f"[clusters.{name}.fingerprints]"
    for address, pin in found.pins.items():
        yield f"{_text(address)} = {_text(shown(pin))}"
    for address, pin in found.untried.items():
        yield f"# {_text(address)} = {_text(shown(pin))}"
    yield ""
    yield from _shell(found, name)
    yield from _ceph(found, name)
    yield from _boards(found, name)
    yield from _customers(found)


def _shell(found: Connection, name: str) -> Iterator[str]:
    yield "# SSH with a key that can run noout's few commands and nothing else."
    yield f"[clusters.{name}.shell]"
    yield f"key_file = {_text(f'{found.name}.key')}"
    yield f"known_hosts_file = {_text(f'{found.name}.known_hosts')}"
    yield "# Node = its address as noout reaches it."
    if found.cluster is None:
        yield '# hosts = { pve1 = "192.0.2.11" }'
    else:
        yield f"[clusters.{name}.shell.hosts]"
        for node in found.cluster.nodes:
            yield f"{_key(node.name)} = {_text(node.ip or node.name)}"
    yield ""


def _ceph(found: Connection, name: str) -> Iterator[str]:
    yield f"[clusters.{name}.ceph]"
    yield f"enabled = {json.dumps(found.has_ceph)}"
    if found.has_ceph:
        yield f"user = {_text(USER)}"
        yield "# Node = its CRUSH host, where that has another name."
        unlike = [n for n in found.cluster.nodes if n.crush_host not in ("", n.name)] if found.cluster else []
        named = ", ".join(f"{_key(node.name)} = {_text(node.crush_host)}" for node in unlike)
        yield f"hosts = {{ {named} }}" if named else '# hosts = { pve3 = "store3" }'
    yield ""


def _boards(found: Connection, name: str) -> Iterator[str]:
    yield "# The BMC of each node: only it can prove that the power is off. And where the technician finds the node;"
    yield "# the serial number is what the label says, and is compared with what the BMC says."
    for node in found.nodes or ("pve1",):
        yield f"# [clusters.{name}.bmc.{_key(node)}]"
        yield f'# url = "https://bmc-{node}.example.net"'
        yield '# user = "noout"'
        yield f'# password_file = "bmc-{node}.password"'
        yield '# fingerprint = "AA:BB:..."'
        table = f"[clusters.{name}.nodes.{_key(node)}]"
        yield table if found.cluster else f"# {table}"
        for key in ("room", "rack", "unit", "serial"):
            yield f'# {key} = ""'
        yield ""


def _customers(found: Connection) -> Iterator[str]:
    """Suggestions: who is told what is for a person to say."""
    yield "# Whose the guests are: their reports are written from this. Taken from the pools and tags there are; take"
    yield "# the signs before the lines of those that are customers."
    pools = dict(found.cluster.pools) if found.cluster else {"boekhuis": "Boekhuis B.V."}
    tags = sorted(tag for tag in (found.cluster.tags if found.cluster else ()) if tag.startswith(CUSTOMER_TAG))
    for pool, comment in sorted(pools.items()):
        yield f"# [customers.{_key(pool)}]"
        yield f"# name = {_text(comment or pool)}"
        yield f"# pools = [{_text(pool)}]"
        yield '# language = "en"'
    for tag in tags:
        short = tag.removeprefix(CUSTOMER_TAG)
        if short not in pools:
            yield f"# [customers.{_key(short)}]"
            yield f"# name = {_text(short.capitalize())}"
            yield f"# tags = [{_text(tag)}]"
    yield ""
    yield '# What is asked of their guests, as noout reaches them; without it a report says "not measured".'
    yield "# [probes.services]"
    yield f'# "{found.name}/101" = "tcp:192.0.2.10:443"'


def _text(value: str) -> str:
    """A TOML string; what JSON writes is one."""
    return json.dumps(value, ensure_ascii=False)


def _key(key: str) -> str:
    bare = key and key.isascii() and all(each.isalnum() or each in "-_" for each in key)
    return key if bare else _text(key)
