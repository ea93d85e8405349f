"""Roles permit what the smaller ones do and more; a grant covers the clusters that it names."""

from __future__ import annotations

import pytest

from noout.domain.access import Grant, Person, Right, Role, permits


@pytest.mark.parametrize(
    ("role", "rights"),
    [
        (Role.VIEWER, {Right.SEE}),
        (Role.OPERATOR, {Right.SEE, Right.OPERATE}),
        (Role.APPROVER, {Right.SEE, Right.OPERATE, Right.APPROVE}),
        (Role.ADMIN, set(Right)),
    ],
)
def test_what_a_role_permits(role: Role, rights: set[Right]) -> None:
    assert {right for right in Right if permits(role, right)} == rights


def test_a_grant_for_one_cluster_says_nothing_of_another_nor_of_the_installation() -> None:
    anna = Person("anna", (Grant(Role.ADMIN, frozenset({"ams1"})), Grant(Role.VIEWER, frozenset({"ams2"}))))
    assert anna.may(Right.ADMINISTER, "ams1") and anna.may(Right.SEE, "ams2")
    assert not anna.may(Right.OPERATE, "ams2") and not anna.may(Right.SEE, "rtm1")
    assert not anna.may(Right.SEE, None)
    assert anna.some(Right.SEE, ["rtm1", "ams2", "ams1"]) == ["ams2", "ams1"]


def test_a_grant_for_every_cluster_covers_those_to_come() -> None:
    assert Person("piet", (Grant(Role.OPERATOR),)).may(Right.OPERATE, "new1")
    assert Person("piet", (Grant(Role.OPERATOR),)).may(Right.OPERATE, None)


def test_nobody_may_anything() -> None:
    assert not any(Person("nobody").may(right, cluster) for right in Right for cluster in ("ams1", None))
