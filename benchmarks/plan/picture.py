"""The tables' two main figures as bars, in an SVG that reads in a light page and in a dark one."""

from __future__ import annotations

from html import escape

from benchmarks.plan.measure import BANDS, NETWORKS, NOOUT
from benchmarks.plan.run import Results
from benchmarks.plan.stats import mean, wilson
from benchmarks.plan.tables import planners

WIDTH, LEFT, BAR, GAP = 860, 170, 14, 6
OWN, OTHER, FAINT = "#2f7d4f", "#8a94a6", "#8884"
STYLE = "text{font:13px sans-serif;fill:#667}.head{font-weight:600;fill:#778}.value{font-size:11px}"


def svg(results: Results) -> str:
    drawing = _Drawing()
    drawing.head("Plans that fit: RAM at every instant, rules, everybody left (line: 95 % interval)")
    for band in BANDS:
        drawing.label(f"{band} full")
        for planner in planners(results.rows):
            some = [row for row in results.rows if row.planner == planner and row.band == band]
            hits = sum(row.sound for row in some)
            if some:
                share = 100 * hits / len(some)
                low, high = wilson(hits, len(some))
                drawing.bar(planner, share / 100, f"{share:.1f} %", (low, high))
    for network in NETWORKS:
        drawing.head(f"Time of an evacuation over its lower bound, {network.name} (shorter is better)")
        played = [each for each in results.played if each.network == network.name and each.dirty == "as drawn"]
        ratios = {name: mean([e.seconds / e.best_s for e in played if e.planner == name]) for name in planners(played)}
        for planner, ratio in ratios.items():
            drawing.bar(planner, ratio / max(ratios.values()), f"{ratio:.2f}")
    return drawing.finished()


class _Drawing:
    def __init__(self) -> None:
        self.y = 10
        self.parts: list[str] = []

    def text(self, x: float, words: str, kind: str = "", anchor: str = "start") -> None:
        self.parts.append(
            f'<text x="{x:.0f}" y="{self.y}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'
        )

    def head(self, words: str) -> None:
        self.y += 30
        self.text(10, words, "head")
        self.y += 8

    def label(self, words: str) -> None:
        self.y += 16
        self.text(10, words)
        self.y += 4

    def bar(self, name: str, share: float, value: str, sure: tuple[float, float] | None = None) -> None:
        room = WIDTH - LEFT - 90
        self.y += BAR + GAP
        self.text(LEFT - 8, name, "", "end")
        top = self.y - BAR + 3
        colour = OWN if name == NOOUT else OTHER
        self.parts.append(f'<rect x="{LEFT}" y="{top}" width="{room}" height="{BAR}" fill="{FAINT}"/>')
        self.parts.append(f'<rect x="{LEFT}" y="{top}" width="{room * share:.1f}" height="{BAR}" fill="{colour}"/>')
        if sure is not None:
            low, high = (LEFT + room * each for each in sure)
            middle = top + BAR / 2
            line = f'<line x1="{low:.1f}" y1="{middle}" x2="{high:.1f}" y2="{middle}" stroke="#d08" stroke-width="2"/>'
            self.parts.append(line)
        self.text(LEFT + room + 8, value, "value")

    def finished(self) -> str:
        height = self.y + 20
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
        )
        return "\n".join([head, f"<style>{STYLE}</style>", *self.parts, "</svg>", ""])
