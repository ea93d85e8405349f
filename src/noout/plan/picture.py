"""A plan as one SVG file: self-contained, without script, light or dark as the reader's system is.

It grows down like a page: what it means, what stands in the way, who moves when and what they feel, whose guests they
are, memory before and after. Widths of text are estimated, as nothing here can measure a font; what may be too long
is cut, and is whole in the element's title.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from noout.domain.maintenance import Move, MoveKind, NodeLoad, Plan
from noout.domain.reasons import Blocker, Caution
from noout.plan import outlook
from noout.plan.outlook import Touched

WIDTH, EDGE = 860, 28  # px
LETTER = 0.54  # of the size of type: an average letter's width, on the wide side
ROW = 22
TICKS_S = (10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800)
# (light, dark) of each class that fills; the same figures as on the pages of noout.
_FILLS = {
    "paper": ("#ffffff", "#151d1b"),
    "ink": ("#14201e", "#e9efec"),
    "ink2": ("#41504c", "#b6c3bf"),
    "ink3": ("#586561", "#93a29d"),
    "sunk": ("#eceeea", "#27332f"),
    "grid": ("#dde1dc", "#2a3633"),
    "peer": ("#a9b3ae", "#5d6c67"),
    "ok": ("#1b6b41", "#6fce97"),
    "move": ("#1c57b5", "#8db8ff"),
    "aside": ("#63389a", "#c3a2f2"),
    "caution": ("#7d5000", "#eec15c"),
    "stop": ("#a8201a", "#ff9d92"),
    "brand": ("#0b5f58", "#62c9bc"),
}
_GLYPHS = {  # drawn in a box of 24: a tick in a disc, a cross in an octagon, a mark in a triangle
    "ok": "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20Zm5.2 7.3-6.4 7a1.2 1.2 0 0 1-1.7 0L6.3 13.4a1.2 1.2 0 1 1 1.7-1.7"
    "l1.9 1.95 5.5-6a1.2 1.2 0 1 1 1.8 1.65Z",
    "stop": "M8 2h8l6 6v8l-6 6H8l-6-6V8Zm1.2 5.8L7.8 9.2l2.8 2.8-2.8 2.8 1.4 1.4 2.8-2.8 2.8 2.8 1.4-1.4-2.8-2.8 "
    "2.8-2.8-1.4-1.4-2.8 2.8Z",
    "caution": "M10.3 3.2a2 2 0 0 1 3.4 0l8.4 14.6a2 2 0 0 1-1.7 3H3.6a2 2 0 0 1-1.7-3ZM10.9 8l.3 6.2h1.6l.3-6.2Zm"
    "1.1 7.7a1.3 1.3 0 1 0 0 2.6 1.3 1.3 0 0 0 0-2.6Z",
}
_FILL_OF = {MoveKind.LIVE: "move", MoveKind.OFFLINE: "peer", MoveKind.RELOCATE: "caution", MoveKind.SHUTDOWN: "caution"}


def plan_svg(plan: Plan, touched: Sequence[Touched] = ()) -> str:
    """The whole picture as the text of an SVG file. ``touched``: whose guests the plan moves."""
    page = _Page()
    said = outlook.verdict(plan)
    page.text(f"{plan.node}", "ink3", 12)
    page.glyph("ok" if said.good else "stop", 20)
    page.text(f"{said.main} {said.more}".strip(), "ink b", 17, indent=30)
    page.down(4)
    for line in outlook.figures(plan):
        page.text(line, "ink2", 13, indent=30)
    if plan.blockers:
        page.head("What stands in the way, and what helps")
        _reasons(page, plan.blockers)
    if plan.moves:
        page.head("Who moves, and when" if plan.feasible else "Who could move (nothing moves while something blocks)")
        _moves(page, plan)
    if touched:
        page.head("Customers touched")
        for each in touched:
            page.cells([(EDGE, each.name or "nobody's", "ink b", 30), (300, outlook.in_words(each), "ink2", 64)])
    if plan.loads:
        page.head("Memory before and after")
        _loads(page, plan)
    if plan.cautions:
        page.head("Good to know")
        _reasons(page, plan.cautions)
    page.down(10)
    made = f"{plan.id}, made {plan.made_at:%Y-%m-%d %H:%M:%S} UTC; times and pauses are estimates"
    page.text(made, "ink3", 11)
    told = [*outlook.figures(plan), *(f"{each.message}: {each.remedy}" for each in plan.blockers)]
    return page.whole(f"{said.main} {said.more}".strip(), ". ".join(told))


class _Page:
    """What is drawn so far, and how far down it reaches."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.y = EDGE

    def down(self, px: int) -> None:
        self.y += px

    def add(self, element: str) -> None:
        self.parts.append(element)

    def head(self, title: str) -> None:
        self.down(18)
        self.add(f'<path class="line" d="M{EDGE} {self.y}H{WIDTH - EDGE}"/>')
        self.down(10)
        self.text(title, "ink b", 14)
        self.down(4)

    def text(self, words: str, style: str, size: int, indent: int = 0) -> None:
        """A paragraph, wrapped at the right edge."""
        letters = int((WIDTH - 2 * EDGE - indent) / (LETTER * size))
        for line in textwrap.wrap(_clean(words), letters) or [""]:
            self.down(round(size * 1.4))
            self.add(_text(EDGE + indent, self.y, line, style, size))

    def cells(self, cells: Sequence[tuple[int, str, str, int]], size: int = 13) -> None:
        """One row of (x, words, style, letters at most)."""
        self.down(ROW)
        for x, words, style, letters in cells:
            self.add(_text(x, self.y, words, style, size, letters))

    def glyph(self, name: str, size: int) -> None:
        """Beside the line that follows."""
        self.add(
            f'<path class="{name}" transform="translate({EDGE} {self.y + 7}) scale({size / 24:g})" fill-rule="evenodd" '
            f'd="{_GLYPHS[name]}"/>'
        )

    def whole(self, title: str, about: str) -> str:
        height = self.y + EDGE
        light = "".join(f".{name}{{fill:{pair[0]}}}" for name, pair in _FILLS.items())
        dark = "".join(f".{name}{{fill:{pair[1]}}}" for name, pair in _FILLS.items())
        rest = (
            "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','Liberation Sans',Arial,sans-serif;"
            "font-variant-numeric:tabular-nums}.b{font-weight:600}.e{text-anchor:end}.m{text-anchor:middle}"
            f".soft{{fill-opacity:.35}}.line{{stroke:{_FILLS['grid'][0]};fill:none}}"
            f".est{{stroke:{_FILLS['ink3'][0]};stroke-dasharray:3 3;fill:none}}"
        )
        rest_dark = f".line{{stroke:{_FILLS['grid'][1]}}}.est{{stroke:{_FILLS['ink3'][1]}}}"
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
                f'height="{height}" role="img" aria-labelledby="t d">',
                f'<title id="t">{escape(_clean(title))}</title>',
                f'<desc id="d">{escape(_clean(about))}</desc>',
                f"<style>{rest}{light}@media (prefers-color-scheme:dark){{{dark}{rest_dark}}}</style>",
                f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
                *self.parts,
                "</svg>",
                "",
            ]
        )


def _clean(words: str) -> str:
    """Without the control characters that no XML may hold."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]", "\ufffd", words)


def _text(x: float, y: float, words: str, style: str, size: int, letters: int = 0) -> str:
    whole = _clean(words)
    cut = whole if not letters or len(whole) <= letters else whole[: letters - 1] + "…"
    title = f"<title>{escape(whole)}</title>" if cut != whole else ""
    return f'<text x="{x:g}" y="{y:g}" class="{style}" font-size="{size}">{escape(cut)}{title}</text>'


def _reasons(page: _Page, reasons: Sequence[Blocker | Caution]) -> None:
    for reason in reasons:
        blocks = isinstance(reason, Blocker)
        page.down(4)
        page.glyph("stop" if blocks else "caution", 15)
        page.text(reason.message, "ink", 13, indent=24)
        if reason.remedy:
            page.text(f"→ {reason.remedy}", "ok" if blocks else "ink2", 13, indent=24)


# Where the columns begin; those of figures: where they end.
NAME_X, RAM_X, WHERE_X, HOW_X, PAUSE_X, GANTT = 74, 262, 274, 378, 570, 590


def _moves(page: _Page, plan: Plan) -> None:
    times = outlook.times_s(plan)
    end = max((last for _, last in times.values()), default=0.0) or 1.0
    scale = (WIDTH - EDGE - GANTT) / end
    step = next((each for each in TICKS_S if end / each <= 5), round(end / 4))
    page.down(ROW)
    for column, words, end_here in ((EDGE, "guest", ""), (WHERE_X, "from, to", ""), (PAUSE_X, "pause", " e")):
        page.add(_text(column, page.y, words, "ink3" + end_here, 11))
    bottom = page.y + 8 + ROW * len(plan.moves)
    for tick in range(0, int(end) + 1, step):
        x = GANTT + tick * scale
        page.add(f'<path class="line" d="M{x:.1f} {page.y + 4}V{bottom}"/>')
        if x < WIDTH - EDGE - 14 or tick == 0:
            page.add(_text(round(x, 1), page.y, outlook.minutes(tick), "ink3 m" if tick else "ink3", 11))
    for move in plan.moves:
        _move(page, plan, move, times.get(move.guest), scale)
    page.down(6)


def _move(page: _Page, plan: Plan, move: Move, time: tuple[float, float] | None, scale: float) -> None:
    where = f"{move.source.name} → {move.target.name}" if move.target else f"stays on {move.source.name}"
    page.cells(
        [
            (EDGE, str(move.guest.vmid), "ink3", 8),
            (NAME_X, move.name, "ink b", 17),
            (RAM_X, outlook.gib(move.ram_bytes), "ink2 e", 10),
            (WHERE_X, where, "ink2", 14),
            (HOW_X, outlook.way_of(move, plan), "ink2", 20),
            (PAUSE_X, outlook.feels(move), "ink2 e", 8),
        ]
    )
    if time is None:
        page.add(_text(GANTT, page.y, "during the repair", "ink3", 12))
        return
    fill = "aside" if move.source != plan.node else _FILL_OF[move.kind]
    x, wide = GANTT + time[0] * scale, max(2.0, (time[1] - time[0]) * scale)
    waits = f"; after {', '.join(str(each.vmid) for each in move.after)}" if move.after else ""
    span = f"{outlook.minutes(time[0])} to {outlook.minutes(time[1])}{waits}"
    span = f"{move.guest.vmid} {move.name}: {outlook.way_of(move, plan)}, {span}"
    page.add(
        f"<g aria-label={quoteattr(_clean(span))}><title>{escape(_clean(span))}</title>"
        f'<rect class="{fill}" x="{x:.1f}" y="{page.y - 11}" width="{wide:.1f}" height="13" rx="2"/>'
        f'<path class="est" d="M{x:.1f} {page.y - 11.5:g}h{wide:.1f}"/></g>'
    )


def _loads(page: _Page, plan: Plan) -> None:
    found = outlook.nodes(plan)
    most = max((load.capacity_bytes for load in found.shown), default=0) or 1
    for load in found.shown:
        _load(page, load, most, load.node == plan.node)
    if said := outlook.of_the_others(found.others):
        page.down(8)
        page.text(said, "ink2", 13)
    page.down(8)
    page.down(ROW)
    x = EDGE
    for style, words in (("peer", "stays"), ("brand", "arrives"), ("gone", "leaves"), ("sunk", "free")):
        page.add(_box(x, page.y - 10, 14, 11, style))
        page.add(_text(x + 20, page.y, words, "ink3", 12))
        x += 34 + 8 * len(words)
    page.add(_box(x, page.y - 10, 14, 11, "aside soft"))
    page.add(_text(x + 20, page.y, "kept for the system and the OSDs", "ink3", 12))


def _box(x: float, y: float, wide: float, high: float, style: str) -> str:
    if style == "gone":
        return (
            f'<rect class="est" x="{x + 0.5:.1f}" y="{y + 0.5:g}" width="{max(0, wide - 1):.1f}" height="{high - 1}"/>'
        )
    return f'<rect class="{style}" x="{x:.1f}" y="{y:g}" width="{wide:.1f}" height="{high}"/>'


def _load(page: _Page, load: NodeLoad, most: int, leaving: bool) -> None:
    left, wide = 110, 450
    page.down(ROW + 2)
    scale = wide / most
    kept = min(load.before_bytes, load.after_bytes) * scale
    changed = max(load.before_bytes, load.after_bytes) * scale - kept
    whole, reserve, y = load.capacity_bytes * scale, load.reserve_bytes * scale, page.y - 13
    arrives = load.after_bytes > load.before_bytes
    page.add(_box(left, y, whole, 16, "sunk"))
    page.add(_box(left + max(0.0, whole - reserve), y, min(reserve, whole), 16, "aside soft"))
    page.add(_box(left, y, kept, 16, "peer"))
    if changed:
        page.add(_box(left + kept, y, changed, 16, "brand" if arrives else "gone"))
    before, after = (outlook.gib(size) for size in (load.before_bytes, load.after_bytes))
    change = f"{before.removesuffix(' GiB')} → {after}" if before != after else after
    said = ", ".join(each for each in (f"{change} of {outlook.gib(load.capacity_bytes)}", outlook.cpu(load)) if each)
    page.add(_text(EDGE, page.y, load.node.name, "ink b" if leaving else "ink", 13, 11))
    page.add(_text(left + wide + 12, page.y, said, "ink2", 12, 44))
