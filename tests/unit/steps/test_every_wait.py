"""Every wait and every refusal that steps and runs can return, collected from the code itself: none can be forgotten.

Each has a stable code, a subject, a sentence, an end (a limit, or a person's decision, named as such) and something
that a person can do about it.
"""

from __future__ import annotations

import ast
import re
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

import noout
from noout.cli.commands import ENTRIES
from noout.steps import step
from noout.steps.waits import WAITS

SOURCE = Path(noout.__file__).parent
ROOMS = ("steps", "run", "plan")
CODE = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)?$")
# What these names take comes from somebody who called them with a code, and is collected there.
HANDED_ON = {"code"}


def calls(*names: str) -> Iterator[tuple[str, ast.Call]]:
    """(where, call) of every call of these names in the rooms."""
    for room in ROOMS:
        for path in sorted((SOURCE / room).glob("**/*.py")):
            for node in ast.walk(spelled_out(ast.parse(path.read_text(encoding="utf-8")))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                    yield f"{room}/{path.name}:{node.lineno}", node


def spelled_out(module: ast.Module) -> ast.Module:
    """The module with its own constants' texts in the place of their names."""
    known = {
        each.targets[0].id: each.value
        for each in module.body
        if isinstance(each, ast.Assign)
        and isinstance(each.targets[0], ast.Name)
        and isinstance(each.value, ast.Constant)
    }

    class Spell(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return known.get(node.id, node) if isinstance(node.ctx, ast.Load) else node

    return typing.cast(ast.Module, Spell().visit(module))


def argument(call: ast.Call, place: int, name: str) -> ast.expr | None:
    if len(call.args) > place:
        return call.args[place]
    return next((each.value for each in call.keywords if each.arg == name), None)


def texts(found: ast.expr | None) -> list[str]:
    """The texts that an expression may be; [] where the code alone does not tell."""
    match found:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp(body=one, orelse=other):
            return texts(one) + texts(other)
        case ast.JoinedStr(values=parts):
            return ["".join(each.value if isinstance(each, ast.Constant) else "x" for each in parts)]  # type: ignore[misc]
        case _:
            return []


def empty(found: ast.expr | None) -> bool:
    return found is None or any(not text.strip() for text in texts(found))


def test_a_step_can_decide_nothing_that_is_not_looked_at_here() -> None:
    kinds = {each.__name__ for each in typing.get_args(step.Decision)}
    assert kinds == {"Act", "Blocked", "Hold", "Finished", "Note", "Ask", "Back"}


def test_every_hold_is_of_a_known_kind_and_every_kind_is_used() -> None:
    used = set()
    for where, call in calls("Hold"):
        codes = texts(argument(call, 0, "code"))
        assert codes, f"{where}: the kind of this wait is not written in it"
        used |= set(codes)
        assert not empty(argument(call, 1, "why")), f"{where}: nobody is told what is waited for"
    assert used == set(WAITS)


@pytest.mark.parametrize("code", sorted(WAITS))
def test_every_kind_of_wait_ends_and_says_what_to_do(code: str) -> None:
    kind = WAITS[code]
    assert CODE.match(code)
    assert (kind.limit_s is None) == bool(kind.decides), "either it ends by time, or a person ends it"
    assert kind.limit_s is None or kind.limit_s > 0
    assert kind.needs in ("time", "") or kind.decides, "whoever is needed, decides"
    said = kind.then.format(id="ams1-pve3-1", node="ams1/pve3")
    assert said and "{" not in said
    for command in re.findall(r"noout ([a-z-]+)", said):
        assert command in {entry.name for entry in ENTRIES}, f"there is no `noout {command}`"


def test_every_refusal_has_a_code_a_subject_a_sentence_and_a_remedy() -> None:
    seen = 0
    for where, call in calls("Blocker", "blocked"):
        seen += 1
        code = argument(call, 0, "code")
        handed_on = isinstance(code, ast.Attribute) or (isinstance(code, ast.Name) and code.id in HANDED_ON)
        assert handed_on or texts(code), f"{where}: its code is not written in it"
        assert all(CODE.match(text) for text in texts(code)), f"{where}: {texts(code)}"
        for place, name in ((1, "subject"), (2, "message"), (3, "remedy")):
            assert not empty(argument(call, place, name)), f"{where}: no {name}"
    assert seen > 60


def test_every_effect_that_may_be_given_up_says_what_to_do_then() -> None:
    for where, call in calls("attempt"):
        assert not empty(argument(call, 99, "remedy")), f"{where}: no remedy"
        assert all(CODE.match(text) for text in texts(argument(call, 99, "code"))), where


def test_a_run_waits_through_one_door_only() -> None:
    """What is returned beside it is looked at again within a second; or in some, where nothing can be written."""
    beside = []
    for path in sorted((SOURCE / "run").glob("*.py")):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and function.name not in ("wait", "block"):
                beside += [
                    each
                    for each in ast.walk(function)
                    if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == "Wait"
                ]
    assert beside
    for call in beside:
        until = ast.unparse(call.args[1]) if len(call.args) > 1 else ""
        blind = ast.unparse(call.args[0]).startswith("f'the journal to be kept again") and "TROUBLE_S" in until
        assert blind or until in ("", "soon", "ctx.clock.now() + timedelta(seconds=1)"), ast.unparse(call)
