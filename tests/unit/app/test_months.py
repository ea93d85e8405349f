"""The month: every figure is a report's own, nothing is averaged away, and only counts are added up."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from pathlib import Path

import pypdf
import pytest

from noout.adapters.render import month as rendered
from noout.app.drafting import Drafting
from noout.app.months import Months, as_csv, month_before, month_of
from noout.app.outbox import Outbox
from noout.domain.errors import UsageError
from noout.domain.notices import Class
from noout.tell.say import CATALOGUES, NBSP
from tests.support.telling import House
from tests.unit.tell.cast import at

ANNA = "operator:anna"


async def busy(**tables: object) -> House:
    """Two maintenances in November, the second with an interruption; all of it released."""
    house = House.make(**tables)
    outbox = Outbox(house.found)
    for number, silent_s in ((1, 0.0), (2, 20.0)):
        await house.open(f"ams1-pve3-{number}", days=number)
        await house.carry_through(f"ams1-pve3-{number}", days=number, silent_s=silent_s)
        for each in await Drafting(house.found).look():
            await outbox.release(each.id, ANNA)
    return house


async def test_each_line_is_what_its_own_report_says() -> None:
    house = await busy()
    months, outbox = Months(house.found), Outbox(house.found)
    for customer in house.found.customers:
        made = await months.one(customer, "2026-11", "en")
        assert len(made.works) == 2
        for work in made.works:
            report = (await outbox.get(work.notice)).reports["en"]
            assert work.longest == report["headline"]["figure"]
            for row in report["services"]:
                if row["moved"] != "no":
                    assert row["service"] in work.services
    shop = {each.service: each for each in (await months.one(house.found.customers[0], "2026-11", "en")).services}
    assert shop["shop-web-1"].told and shop["shop-web-1"].interruptions == "1 interruption"
    assert shop["shop-web-1"].longest.replace(NBSP, " ") == "24 s" and not shop["shop-db"].told


@pytest.mark.parametrize("language", sorted(CATALOGUES))
async def test_it_is_a_page_a_tagged_print_and_data_in_each_language(language: str, tmp_path: Path) -> None:
    house = await busy()
    written = await Months(house.found).write("2026-11", tmp_path, only="libreria", language=language)
    assert [path.name for path in written] == [f"month-libreria-2026-11.{kind}" for kind in ("html", "pdf", "json")]
    read = pypdf.PdfReader(io.BytesIO(written[1].read_bytes()))
    assert read.trailer["/Root"]["/Lang"] == language and read.trailer["/Root"]["/MarkInfo"]["/Marked"]
    for path in written:
        assert b"shop" not in path.read_bytes() and b"pve" not in path.read_bytes()
    assert "wiki" in written[0].read_text()


async def test_the_month_is_mailed_once_as_a_draft_and_only_where_something_was_done() -> None:
    house = await busy()
    months = Months(house.found)
    assert await months.digests() == []  # October: nothing
    house.clock.at = at(10, 0) + timedelta(days=20)
    made = await months.digests()
    assert {each.kind for each in made} == {Class.DIGEST} and len(made) == 3
    assert await months.digests() == []
    assert "shop-web-1" in str(next(each for each in made if each.customer == "boekhuis").texts)
    quiet = await busy(tell={"channels": ["portal"]})
    quiet.clock.at = at(10, 0) + timedelta(days=20)
    assert await Months(quiet.found).digests() == []


async def test_the_providers_overview_adds_up_counts_and_never_estimates() -> None:
    house = await busy(policy={"show_estimates": True})
    lines = await Months(house.found).overview("2026-11")
    rows = {row["customer"]: row for row in csv.DictReader(io.StringIO(as_csv(lines)))}
    assert rows["boekhuis"]["maintenances"] == "2" and rows["boekhuis"]["interruptions"] == "1"
    assert rows["libreria"]["agreed_restarts"] == "2" and rows["libreria"]["interruptions"] == "0"
    assert rows["kade"]["longest_pause_s"] == "" and rows["kade"]["measured_h"] == "0.0"
    assert {row["spared_s_min"] for row in rows.values()} == {"0"}
    assert {row["spared_s_max"] for row in rows.values()} == {"18000.0"}  # one failure's, not two
    assert await Months(house.found).overview("2026-10") == []


def test_months_are_written_one_way() -> None:
    assert month_of("2026-11") == "2026-11" and month_before(at(0, 0)) == "2026-10"
    with pytest.raises(UsageError):
        month_of("November")
    assert rendered.FORMAT == "noout.month"
