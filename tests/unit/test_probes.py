"""What is asked of a service, as written in the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from noout.domain.errors import UsageError
from noout.domain.probes import Ask, Question, parse, usable
from noout.settings_probes import ProbeSettings, check_probes


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("tcp:192.0.2.1:443", Question(Ask.TCP, "192.0.2.1", 443)),
        ("tcp:shop.example.net:80", Question(Ask.TCP, "shop.example.net", 80)),
        ("tcp:[2001:db8::1]:443", Question(Ask.TCP, "2001:db8::1", 443)),
        ("tcp:443", Question(Ask.TCP, "", 443)),
        ("held:22 renew=5", Question(Ask.HELD, "", 22, renew_s=5.0)),
        ("icmp:", Question(Ask.ICMP, "", 0)),
        ("icmp:2001:db8::1", Question(Ask.ICMP, "2001:db8::1", 0)),
        ("dns:example.net", Question(Ask.DNS, "", 53, name="example.net")),
        ("dns:example.net/soa@192.0.2.53", Question(Ask.DNS, "192.0.2.53", 53, name="example.net", record="SOA")),
        ("dns:example.net@[::1]:5353", Question(Ask.DNS, "::1", 5353, name="example.net")),
        ("http:8080/up", Question(Ask.HTTP, "", 8080, "/up")),
        ("https:/", Question(Ask.HTTPS, "", 443, "/")),
        ("https://shop.example.net", Question(Ask.HTTPS, "shop.example.net", 443, "/", name="shop.example.net")),
        (
            "https://192.0.2.1:8443/a?b=c status=200,204 'text=all is well' host=shop.example.net insecure",
            Question(
                Ask.HTTPS, "192.0.2.1", 8443, "/a?b=c", (200, 204), "all is well", "shop.example.net", insecure=True
            ),
        ),
    ],
)
def test_questions(text: str, question: Question) -> None:
    assert parse(text) == question


@pytest.mark.parametrize(
    "text",
    [
        "", "443", "udp:53", "tcp:", "tcp:host", "tcp:192.0.2.1:0", "tcp:192.0.2.1:65536", "tcp:a b:1", "tcp:[x]:1",
        "http://", "http://user@192.0.2.1/", "http:80/ status=99", "http:80/ insecure", "tcp:443 text=x", "dns:",
        "dns:a..b", "dns:example.net/NOPE", "held:22 renew=0", "icmp:no one", "http:80/ 'text=", "http:80/a\r\nX: y",
    ],
)  # fmt: skip
def test_what_is_no_question_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|names|asks|means|holds"):
        parse(text)


def test_which_of_a_guests_addresses_are_asked() -> None:
    addresses = ["2001:db8::5", "127.0.0.1", "169.254.1.1", "10.0.0.5", "192.0.2.5", "dhcp"]
    assert usable(addresses) == ("10.0.0.5", "192.0.2.5", "2001:db8::5")
    assert usable(addresses, ["192.0.2.0/24"]) == ("192.0.2.5",)
    assert parse("tcp:443").at(usable(addresses)) == Question(Ask.TCP, "10.0.0.5", 443)
    assert parse("tcp:443").at(()) is None
    assert parse("tcp:192.0.2.9:443").at(usable(addresses)) == Question(Ask.TCP, "192.0.2.9", 443)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"services": {"ams1/1": "udp:53"}}, "probes.services.ams1/1: must begin with tcp:"),
        ({"pools": {"shop": ["tcp:1", "http:80/"]}}, "probes.pools.shop: asks two questions of one kind"),
        ({"tags": {"web": []}}, "probes.tags.web: is empty"),
        ({"vantage": {"office": {"url": "https://p.example.net"}}}, "probes.vantage.office: token_file is missing"),
        ({"vantage": {"o": {"url": "http://p.example.net", "token_file": "t"}}}, "probes.vantage.o.url must begin"),
        ({"vantage": {"o": {"url": "https://p.example.net", "token": "t"}}}, "probes.vantage.o.token holds a secret"),
    ],
)
def test_a_wrong_table_is_named(tables: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as raised:
        check_probes(ProbeSettings(**tables), Path("noout.toml"), literal=False)
    assert words in str(raised.value)


def test_another_prober_has_ways_of_its_own_to_name_what_it_asks() -> None:
    lab = ProbeSettings(via="http://127.0.0.1:8306/lab/v1", services={"ams1/200": "udp:53"})
    check_probes(lab, Path("noout.toml"), literal=False)
