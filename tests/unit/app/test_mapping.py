"""Whose a guest is: by pool, tag, name or list; what is nobody's, or two would have, is listed and never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noout.adapters.store.papers import MemoryPapers
from noout.app.contacts import Contacts
from noout.app.mapping import customers_of
from noout.domain.cluster import GuestId
from noout.domain.customers import Contact, Customer, owner, unmapped
from noout.domain.errors import UsageError
from noout.settings import parse
from tests.unit.tell.cast import CUSTOMERS, GUESTS, guest

CLUSTER = {"ams1": {"entrypoints": ["https://pve1.example:8006"], "token_file": "t"}}


def customers(tmp_path: Path, text: str, **customer: object) -> tuple[Customer, ...]:
    (tmp_path / "guests.csv").write_text(text)
    document = {
        "clusters": CLUSTER,
        "customers": {"boekhuis": {"name": "Boekhuis Van Dam", **customer}, "kade": {"name": "Kade"}},
        "tell": {"guests_file": "guests.csv"},
    }
    return customers_of(parse(document, tmp_path / "noout.toml"))


def test_a_list_and_a_name_pattern_say_whose_a_guest_is(tmp_path: Path) -> None:
    known = customers(tmp_path, "guest,customer\n# moved in October\nams1/7, kade\n", names=["shop-*"])
    assert [getattr(owner(known, each), "key", None) for each in (guest(7, "x", None), guest(8, "shop-db", None))] == [
        "kade",
        "boekhuis",
    ]
    assert owner(known, guest(9, "workshop-1", None)) is None


@pytest.mark.parametrize("line", ["ams1/seven,kade", "ams1/7,nobody", "ams1/7"])
def test_a_line_that_names_nothing_is_an_error_with_its_number(tmp_path: Path, line: str) -> None:
    with pytest.raises(UsageError, match="line 2"):
        customers(tmp_path, f"guest,customer\n{line}\n")


def test_a_pattern_that_would_claim_everything_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="claim every guest"):
        customers(tmp_path, "", names=["*"])


def test_nobodys_guest_and_one_that_two_claim_are_both_listed() -> None:
    shared = guest(500, "shared", "boekhuis", *([guest(1, "x", None).kind]), "sol")
    found = {each.guest.vmid: each.claims for each in unmapped(CUSTOMERS, (*GUESTS, shared))}
    assert found == {999: (), 500: ("boekhuis", "libreria")}


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["a", "b", "c"]), max_size=3, unique=True), st.sampled_from(["a", "b", "c", "z"]))
def test_an_owner_is_the_only_one_who_claims(pools: list[str], pool: str) -> None:
    known = [Customer(f"c{n}", f"C{n}", frozenset({each})) for n, each in enumerate(pools)]
    known.append(Customer("twin", "Twin", frozenset({"b"})))
    one = guest(1, "one", pool)
    whose = owner(known, one)
    assert (whose is None) == (len([each for each in known if each.owns(one)]) != 1)
    assert (whose is None) == bool(unmapped(known, [one]))


async def test_contacts_are_kept_changed_and_forgotten() -> None:
    papers = MemoryPapers()
    contacts = Contacts(papers, CUSTOMERS)
    await contacts.keep(Contact("boekhuis", "marit@vandam.example", "Marit"))
    await contacts.keep(Contact("boekhuis", "Marit@vandam.example", "Marit van Dam", "en"))
    await contacts.keep(Contact("kade", "desk@kade.example"))
    assert [(each.name, each.language) for each in await contacts.of("boekhuis")] == [("Marit van Dam", "en")]
    for wrong in (
        Contact("nobody", "a@b.example"),
        Contact("kade", "no address"),
        Contact("kade", "a@b.example", language="de"),
        Contact("kade", "a@b.example", timezone="Mars/Olympus"),
    ):
        with pytest.raises(UsageError):
            await contacts.keep(wrong)
    assert await papers.forget("boekhuis") == 1
    assert [each.customer for each in await contacts.of()] == ["kade"]


def test_a_guest_of_the_list_is_its_customers_alone() -> None:
    listed = Customer("l", "L", guests=frozenset({GuestId("ams1", 101)}))
    assert owner([*CUSTOMERS, listed], GUESTS[0]) is None


def test_quiet_hours_are_read_by_tag_and_must_leave_some_hour(tmp_path: Path) -> None:
    known = customers(tmp_path, "", quiet_hours={"db": ["Mon-Fri 08:00-18:00"], "*": ["Sun 10:00-12:00"]})
    assert known[0].quiet_hours == (("db", ("Mon-Fri 08:00-18:00",)), ("*", ("Sun 10:00-12:00",)))
    with pytest.raises(UsageError, match=r"key customers\.boekhuis\.quiet_hours leave no hour") as refused:
        customers(tmp_path, "", quiet_hours={"*": ["Mon-Fri 00:00-24:00"], "db": ["Sat,Sun 00:00-24:00"]})
    assert "leave some hours out" in refused.value.remedy
    with pytest.raises(UsageError, match=r"customers\.boekhuis\.quiet_hours\.db.*is not like"):
        customers(tmp_path, "", quiet_hours={"db": ["daytime"]})
