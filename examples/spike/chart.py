"""Answers a second over time, stacked by kind, a panel for each series, as SVG."""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape

KINDS = {"own cell": "#2a7f62", "other cell": "#c1292e", "refused": "#e8a33d"}
WIDTH, HEIGHT, LEFT, TOP, GAP = 820, 190, 62, 54, 58


@dataclass(frozen=True)
class Series:
    name: str
    rates: list[dict[str, float]]
    """Of each bucket of time, by kind."""


def chart(series: list[Series], seconds: float, marks: list[tuple[float, str]]) -> str:
    highest = rounded_up(max(sum(rate.values()) for one in series for rate in one.rates))
    height = TOP + len(series) * (HEIGHT + GAP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 20} {height}" font-family="sans-serif" '
             f'font-size="12" fill="#222"><rect width="100%" height="100%" fill="#fff"/>']
    parts += legend()
    for place, one in enumerate(series):
        parts += panel(one, TOP + place * (HEIGHT + GAP), highest, seconds, marks)
    return "\n".join([*parts, "</svg>"]) + "\n"


def legend() -> list[str]:
    parts, x = [f'<text x="{LEFT}" y="20" font-size="13">answers a second:</text>'], LEFT + 140
    for kind, colour in KINDS.items():
        parts.append(f'<rect x="{x}" y="10" width="12" height="12" fill="{colour}"/><text x="{x + 18}" y="20">{kind}</text>')
        x += 110
    return parts


def panel(one: Series, top: int, highest: float, seconds: float, marks: list[tuple[float, str]]) -> list[str]:
    bottom = top + HEIGHT
    parts = [f'<text x="{LEFT}" y="{top - 8}" font-weight="bold">{escape(one.name)}</text>']
    for step in range(5):
        y = bottom - HEIGHT * step / 4
        parts.append(f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y}" y2="{y}" stroke="#ddd"/>'
                     f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{highest * step / 4:,.0f}</text>')
    base = [0.0] * len(one.rates)
    for kind, colour in KINDS.items():
        upper = [below + rate[kind] for below, rate in zip(base, one.rates)]
        points = outline(base, upper, bottom, highest)
        parts.append(f'<polygon points="{points}" fill="{colour}"/>')
        base = upper
    for at, what in marks:
        x = LEFT + WIDTH * at / seconds
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" stroke="#555" stroke-dasharray="3 3"/>'
                     f'<text x="{x:.1f}" y="{bottom + 30}" text-anchor="middle" fill="#555">{escape(what)}</text>')
    for second in range(0, int(seconds) + 1, max(1, int(seconds / 6))):
        x = LEFT + WIDTH * second / seconds
        parts.append(f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{second} s</text>')
    return parts


def outline(lower: list[float], upper: list[float], bottom: int, highest: float) -> str:
    """Steps: a bucket's rate holds for its whole width."""
    step = WIDTH / len(upper)
    there = [(LEFT + (place + side) * step, rate) for place, rate in enumerate(upper) for side in (0, 1)]
    back = [(LEFT + (place + side) * step, rate) for place, rate in enumerate(lower) for side in (0, 1)][::-1]
    return " ".join(f"{x:.1f},{bottom - HEIGHT * rate / highest:.1f}" for x, rate in there + back)


def rounded_up(value: float) -> float:
    """To four equal steps of a number that is easily read."""
    steps = [step * scale for scale in (1, 10, 100, 1000, 10_000, 100_000) for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7.5)]
    return next(4.0 * step for step in steps if 4 * step >= value)
