"""A provider's own words: sentences are theirs, figures are not, and what is wrong is named with its remedy."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from noout.app.drafting import Drafting
from noout.app.public.settings import load_public
from noout.app.wording import as_toml, read_wording
from noout.domain.errors import UsageError
from noout.tell.say import CATALOGUES, SHIPPED, Say, reword
from noout.tell.wording import check, editable
from tests.support.telling import House

OWN = "U hoeft niets te doen. Verandert er iets, dan bellen we u."


def written(folder: Path, text: str) -> Path:
    path = folder / "wording.toml"
    path.write_text(text, encoding="utf-8")
    return path


async def test_a_customer_reads_the_providers_own_sentence_in_that_language_alone(tmp_path: Path) -> None:
    written(tmp_path, f'[nl]\n"notice.do.text" = "{OWN}"\n')
    house = House.make(tmp_path, tell={"wording_file": "wording.toml"})
    await house.open()
    made = {each.customer: each for each in await Drafting(house.found).look()}
    texts = {text.language: str(text) for text in made["boekhuis"].texts}
    assert OWN in texts["nl"] and SHIPPED["en"]["notice.do.text"] in texts["en"]
    House.make()  # one without a file says it as it is shipped
    assert CATALOGUES == SHIPPED


@pytest.mark.parametrize("language", sorted(SHIPPED))
def test_what_is_printed_to_begin_with_is_accepted_as_it_is(language: str, tmp_path: Path) -> None:
    printed = "\n".join(as_toml(language))
    read = read_wording(written(tmp_path, printed), "tell.wording_file")
    assert read == tomllib.loads(printed) and set(read) == {language}
    assert {key for key in SHIPPED[language] if editable(key)} == set(read[language])


@pytest.mark.parametrize(
    ("text", "says", "remedy"),
    [
        ('[nl]\n"notice.do.txt" = "x"', r"key nl\.notice\.do\.txt: there is no such text", "notice.do.text"),
        ("[nl]\nnotice.do.text = 'x'", r"key nl\.notice: is a table", "in quotes"),
        ('[de]\n"notice.do" = "x"', r"\[de\] is no language", "en, nl, es"),
        ("nl = 'x'", "key nl is no table", "[nl]"),
        ('[en]\n"notice.do.text" = ""', "is no sentence", "one line"),
        ('[en]\n"notice.planned" = "Work\\r\\nBcc: x on {date}"', "is no sentence", "one line"),
        ('[en]\n"notice.planned" = "Work is planned"', r"the figure \{date\} is left out", "use {date}"),
        ('[en]\n"notice.planned" = "{date} {node}"', r"there is no placeholder \{node\}", "use {date}"),
        ('[en]\n"notice.planned" = "{date.year}"', r"no placeholder \{date\.year\}", "use {date}"),
        ('[en]\n"notice.planned" = "{date!r}"', "how it is to be written", "as they are"),
        ('[en]\n"notice.planned" = "{date"', "a brace too many or too few", "use {date}"),
        ('[en]\n"notice.done.measured" = "0 s, not {figure}"', r"a figure of its own \(0\)", "placeholders"),
        ('[en]\n"headline.limit" = "{resolution} {gap}"', "is a figure, or says how one was got", "leave it out"),
        ('[en]\n"not-measured" = "no pause"', "is a figure, or says how", "leave it out"),
        ('[nl]\n"notice.done" = "De server is Verholpen"', "says 'verholpen', which is not known yet", "probation"),
        ("[nl", "is not valid TOML", "that line"),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(text: str, says: str, remedy: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        read_wording(written(tmp_path, text), "tell.wording_file")
    assert remedy in refused.value.remedy


def test_a_file_that_is_not_there_is_named_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"key tell\.wording_file: .*cannot be read"):
        House.make(tmp_path, tell={"wording_file": "wording.toml"})


def test_every_figure_keeps_its_place_whatever_else_is_edited() -> None:
    """Of all texts: what may be edited cannot lose a placeholder, and what stands for a figure is not edited."""
    for key, text in SHIPPED["en"].items():
        bare = text.replace("{", "").replace("}", "")
        if bare != text:
            with pytest.raises(UsageError):
                check({"en": {key: bare}}, "wording.toml")
    for key in ("not-measured", "none-seen", "up-to", "unit.h", "headline.limit", "portal.day.u", "verify.not.1"):
        assert key in SHIPPED["en"] and not editable(key)


def test_the_public_process_reads_the_same_file(tmp_path: Path) -> None:
    written(tmp_path, '[nl]\n"portal.hear" = "Op de hoogte blijven"\n')
    (tmp_path / "public.toml").write_text('[serve]\nwording_file = "wording.toml"\n[control]\nkey_file = "key"\n')
    reword(load_public(tmp_path / "public.toml").wording)
    try:
        assert Say("nl")("portal.hear") == "Op de hoogte blijven"
    finally:
        reword({})
    assert json.dumps(CATALOGUES) == json.dumps(SHIPPED)
