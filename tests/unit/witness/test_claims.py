"""Whose word about its own address counts, and for which."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noout.domain.cluster import ClusterState, Guest, GuestId, GuestKind, GuestStatus, Node, NodeId
from noout.witness.claims import believed, known_addresses

SHOP, BANK = GuestId("ams1", 101), GuestId("ams1", 102)
CUSTOMERS = ("192.0.2.0/24", "2001:db8::/64")


def test_within_the_named_networks_a_guest_is_believed_ipv4_first() -> None:
    told = believed({SHOP: ["2001:db8::5", "fe80::1", "172.17.0.1", "192.0.2.5"]}, CUSTOMERS, {})
    assert (told.addresses, told.refused) == ({SHOP: ("192.0.2.5", "2001:db8::5")}, {})


def test_without_networks_nobody_is_believed() -> None:
    told = believed({SHOP: ["192.0.2.5"]}, (), {})
    assert told.addresses == {}
    assert told.refused == {SHOP: "it tells 192.0.2.5: not within [probes] networks"}


@pytest.mark.parametrize("claim", ["198.51.100.1", "::ffff:192.0.2.5", "2001:db8::5%eth0", "192.0.2.5/24", "127.0.0.1"])
def test_what_is_outside_or_only_looks_like_an_address_within_is_not_asked(claim: str) -> None:
    told = believed({SHOP: [claim]}, (*CUSTOMERS, "::ffff:0:0/96"), {})
    assert told.addresses == {} and SHOP in told.refused


def test_an_address_that_is_somebody_elses_is_not_asked() -> None:
    known = {"192.0.2.9": frozenset({str(BANK)}), "2001:db8::9": frozenset({"node ams1/pve1"})}
    told = believed({SHOP: ["192.0.2.9", "2001:0db8::9"]}, CUSTOMERS, known)
    assert told.addresses == {}
    assert told.refused[SHOP] == "it tells 192.0.2.9, so does ams1/102; it tells 2001:db8::9, so does node ams1/pve1"
    assert believed({SHOP: ["192.0.2.9", "192.0.2.5"]}, CUSTOMERS, known).addresses == {SHOP: ("192.0.2.5",)}
    mine = {"192.0.2.5": frozenset({str(SHOP)})}
    assert believed({SHOP: ["192.0.2.5"]}, CUSTOMERS, mine).addresses == {SHOP: ("192.0.2.5",)}


def test_of_two_that_tell_the_same_address_neither_is_believed() -> None:
    told = believed({SHOP: ["192.0.2.5"], BANK: ["192.0.2.5", "192.0.2.6"]}, CUSTOMERS, {})
    assert told.addresses == {BANK: ("192.0.2.6",)}
    assert told.refused == {SHOP: "it tells 192.0.2.5, so does ams1/102"}


def test_an_address_in_another_customers_network_is_not_asked() -> None:
    foreign = {SHOP: ("192.0.2.64/26",), BANK: ()}
    told = believed({SHOP: ["192.0.2.70"], BANK: ["192.0.2.71"]}, CUSTOMERS, {}, foreign)
    assert told.addresses == {BANK: ("192.0.2.71",)}
    assert told.refused == {SHOP: "it tells 192.0.2.70: in a network of another customer"}
    both = believed({SHOP: ["192.0.2.70", "192.0.2.5"]}, CUSTOMERS, {}, foreign)
    assert (both.addresses, both.refused) == ({SHOP: ("192.0.2.5",)}, {})


def test_who_has_what_is_known_by_configuration() -> None:
    guest = Guest(
        SHOP, "shop", GuestKind.QEMU, NodeId("ams1", "pve1"), GuestStatus.RUNNING, 1, 1,
        addresses=("192.0.2.5", "2001:0DB8::5", "dhcp"),
    )  # fmt: skip
    twin = replace(guest, id=BANK)
    node = Node(NodeId("ams1", "pve1"), True, 1, 0, 1, ip="10.0.0.1")
    state = ClusterState("ams1", datetime(2026, 1, 1, tzinfo=UTC), True, "9.2", (node,), (guest, twin))
    both = frozenset({str(SHOP), str(BANK)})
    assert known_addresses(replace(state, corosync_addresses=frozenset({"10.1.0.1"}))) == {
        "192.0.2.5": both,
        "2001:db8::5": both,
        "10.0.0.1": frozenset({"node ams1/pve1"}),
        "10.1.0.1": frozenset({"corosync"}),
    }
    recorded = replace(guest, addresses=("192.0.2.7",))
    assert known_addresses(state, [recorded])["192.0.2.7"] == {str(SHOP)}, "believed when it was recorded"


GUESTS = st.integers(100, 104).map(lambda vmid: GuestId("ams1", vmid))
ADDRESSES = st.sampled_from(["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "198.51.100.1", "::ffff:192.0.2.1"])


@settings(max_examples=60)
@given(
    st.dictionaries(GUESTS, st.lists(ADDRESSES, max_size=4)),
    st.dictionaries(st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1"]), st.frozensets(GUESTS.map(str))),
)
def test_whatever_is_told_nobody_elses_address_is_asked(
    told: dict[GuestId, list[str]], known: dict[str, frozenset[str]]
) -> None:
    answer = believed(told, CUSTOMERS, known)
    assert answer.addresses.keys() | answer.refused.keys() == told.keys()
    assert not answer.addresses.keys() & answer.refused.keys()
    asked = [address for addresses in answer.addresses.values() for address in addresses]
    assert len(asked) == len(set(asked)), "no address is asked in two guests' names"
    for guest, addresses in answer.addresses.items():
        assert set(addresses) <= set(told[guest]) - {"198.51.100.1", "::ffff:192.0.2.1"}
        assert all(known.get(address, frozenset()) <= {str(guest)} for address in addresses)
