"""What is asked of a service, as written in the configuration: one text, one question.

    tcp:HOST:PORT            a connection is made and closed
    held:HOST:PORT           a connection is kept open; counted is when it breaks      renew=SECONDS
    http://HOST:PORT/PATH    GET; https:// likewise                 status=200,204  text=WORDS  host=NAME  insecure
    icmp:HOST                an echo
    dns:NAME/TYPE@HOST:PORT  a query, to be answered with at least one record

HOST may be left out (``tcp:443``, ``held:443``, ``http:8080/path``, ``icmp:``, ``dns:NAME``): the guest's own address
is used, where one is known. What follows the first word narrows what counts as an answer; words with spaces are quoted.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

RENEW_S = 30.0
PORT_MAX = 65535
DNS_TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NAME_MAX = 253


class Ask(StrEnum):
    TCP = "tcp"
    HELD = "held"
    HTTP = "http"
    HTTPS = "https"
    ICMP = "icmp"
    DNS = "dns"


_DEFAULT_PORTS = {Ask.HTTP: 80, Ask.HTTPS: 443, Ask.DNS: 53, Ask.ICMP: 0}


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask. ``host`` "": the guest's own address. ``statuses`` (): any below 400 (redirects are answers and
    are not followed). ``name``: what DNS is asked for, or the host that HTTP speaks to (Host header, certificate).
    """

    ask: Ask
    host: str
    port: int
    path: str = "/"
    statuses: tuple[int, ...] = ()
    text: str = ""
    name: str = ""
    record: str = "A"
    insecure: bool = False  # whatever certificate is shown: said in the configuration, never assumed
    renew_s: float = RENEW_S  # a held connection is made anew so often, before the server ends it for being idle

    @property
    def held(self) -> bool:
        return self.ask is Ask.HELD

    def at(self, addresses: Sequence[str]) -> Question | None:
        """The question with an address to ask; None where none is known."""
        if self.host:
            return self
        return replace(self, host=addresses[0]) if addresses else None


@lru_cache(maxsize=65536)  # the same few thousand texts, every few seconds
def parse(probe: str) -> Question:
    """ValueError says what is wrong with the text."""
    if not probe.isprintable():
        raise ValueError("holds a control character")
    try:
        first, *words = shlex.split(probe)
    except ValueError:
        raise ValueError("must be one of tcp:, held:, http:, https:, icmp:, dns: with what follows") from None
    kind, _, rest = first.partition(":")
    if kind not in set(Ask):
        raise ValueError("must begin with tcp:, held:, http:, https:, icmp: or dns:")
    ask = Ask(kind)
    if ask in (Ask.HTTP, Ask.HTTPS):
        question = _http(ask, rest)
    elif ask is Ask.DNS:
        question = _dns(rest)
    elif ask is Ask.ICMP:
        question = Question(ask, _host(rest), 0)
    else:
        question = Question(ask, *_place(rest, None))
    for word in words:
        question = _narrowed(question, word)
    return question


def _http(ask: Ask, rest: str) -> Question:
    if rest.startswith("//"):
        where, slash, path = rest[2:].partition("/")
        if "@" in where:
            raise ValueError("must not hold a user or password")
        host, port = _place(where, _DEFAULT_PORTS[ask])
        if not host:
            raise ValueError("names no host after //")
        return Question(ask, host, port, slash + path or "/", name=host)
    where, slash, path = rest.partition("/")
    port = _port(where) if where else _DEFAULT_PORTS[ask]
    return Question(ask, "", port, slash + path or "/")


def _dns(rest: str) -> Question:
    asked, _, where = rest.partition("@")
    name, _, record = asked.partition("/")
    record = (record or "A").upper()
    labels = name.rstrip(".").split(".")
    if not name or len(name) > _NAME_MAX or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"asks for {name!r}, which is no name in DNS")
    if record not in DNS_TYPES:
        raise ValueError(f"asks for a record of type {record}; known: {', '.join(DNS_TYPES)}")
    host, port = _place(where, _DEFAULT_PORTS[Ask.DNS]) if where else ("", _DEFAULT_PORTS[Ask.DNS])
    return Question(Ask.DNS, host, port, name=name.rstrip("."), record=record)


def _place(where: str, default: int | None) -> tuple[str, int]:
    """``HOST:PORT``, ``PORT`` alone, or, where the port has a default, ``HOST`` alone."""
    host, colon, port = where.rpartition(":")
    bracketed = where.endswith("]")
    if colon and not bracketed:
        return _host(host), _port(port)
    if not bracketed and where.isdigit():
        return "", _port(where)
    if default is None:
        raise ValueError("must end with a port, such as tcp:192.0.2.10:443")
    return _host(where), default


def _host(text: str) -> str:
    """An address, or a name; an IPv6 address in brackets (they may be left out where nothing follows it)."""
    host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in host or text.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError:
            raise ValueError(f"names {text!r}, which is no address (IPv6 goes into brackets)") from None
    if host and not all(_LABEL.fullmatch(label) for label in host.rstrip(".").split(".")):
        raise ValueError(f"names {host!r}, which is neither an address nor a name")
    return host


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= PORT_MAX:
        raise ValueError(f"names {text!r}, which is no port")
    return int(text)


def _narrowed(question: Question, word: str) -> Question:
    key, _, value = word.partition("=")
    web = question.ask in (Ask.HTTP, Ask.HTTPS)
    if web and key == "status" and re.fullmatch(r"[1-5]\d\d(,[1-5]\d\d)*", value):
        return replace(question, statuses=tuple(int(each) for each in value.split(",")))
    if web and key == "text" and value:
        return replace(question, text=value)
    if web and key == "host" and value:
        return replace(question, name=_host(value))
    if question.ask is Ask.HTTPS and word == "insecure":
        return replace(question, insecure=True)
    if question.held and key == "renew" and re.fullmatch(r"\d+(\.\d+)?", value) and float(value) > 0:
        return replace(question, renew_s=float(value))
    known = {Ask.HTTP: "status=, text=, host=", Ask.HTTPS: "status=, text=, host=, insecure", Ask.HELD: "renew="}
    raise ValueError(f"{word!r} means nothing here; known: {known.get(question.ask, 'nothing')}")


def usable(addresses: Sequence[str], networks: Sequence[str] = (), *, everywhere: bool = False) -> tuple[str, ...]:
    """Of a guest's addresses those that can be asked, best first: within ``networks`` (all, where none are named), IPv4
    before IPv6; never what is no address, nor its own loopback or a link's (``everywhere``: these too)."""
    found: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = []
    wanted = [ipaddress.ip_network(each) for each in networks]
    for text in addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        unusable = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
        if (everywhere or not unusable) and (not wanted or any(address in network for network in wanted)):
            found.append(address)
    return tuple(str(each) for each in sorted(found, key=lambda each: each.version))
