"""Where Ceph's daemons say they can be reached, as `ceph osd metadata` writes it."""

from __future__ import annotations

import pytest

from noout.adapters.ceph.parse import addresses


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[v2:127.0.1.1:6810/23531,v1:127.0.1.1:6811/23531]", {"127.0.1.1"}),
        ("v2:10.9.9.3:6800/7", {"10.9.9.3"}),
        ("[v2:[fd00:77::3]:6802/9,v1:[fd00:77::3]:6803/9]", {"fd00:77::3"}),
        ("[v2:0.0.0.0:0/0,v1:0.0.0.0:0/0]", set()),
        (":/0", set()),
        ("", set()),
        (None, set()),
    ],
)
def test_addresses_are_found_in_either_form(text: str | None, found: set[str]) -> None:
    assert addresses(text) == found
