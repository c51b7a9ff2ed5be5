"""Charts: horizontal bars with their spread, as small SVG files."""

from __future__ import annotations

from html import escape
from typing import Any

WIDTH, LABELS, NUMBERS, BAR, GAP, TOP = 720, 240, 70, 18, 8, 40
OURS, OTHERS, SPREAD = "#2563eb", "#9ca3af", "#111827"


def svg(chart: dict[str, Any]) -> str:
    """The chart as an SVG document. It stands on white, so that dark pages show it too."""
    bars = chart["bars"]
    height = TOP + len(bars) * (BAR + GAP) + GAP
    longest = max(figure["high"] for _, figure in bars)
    scale = (WIDTH - LABELS - NUMBERS) / longest
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="13" role="img">',
        f"<title>{escape(chart['title'])}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{GAP}" y="24" font-size="15" font-weight="bold">{_text(chart["title"])}</text>',
    ]
    for index, (label, figure) in enumerate(bars):
        y = TOP + index * (BAR + GAP)
        middle, base = y + BAR / 2, y + BAR - 4.5
        low, median, high = (figure[name] * scale for name in ("low", "median", "high"))
        colour = OURS if label in chart["ours"] else OTHERS
        parts += [
            f'<text x="{LABELS - GAP}" y="{base}" text-anchor="end">{_text(label)}</text>',
            f'<rect x="{LABELS}" y="{y}" width="{median:.1f}" height="{BAR}" fill="{colour}"/>',
            f'<path d="M{LABELS + low:.1f} {middle}H{LABELS + high:.1f}" stroke="{SPREAD}"/>',
            f'<text x="{LABELS + max(median, high) + GAP:.1f}" y="{base}">'
            f"{_number(figure['median'])}</text>",
        ]
    return "\n".join([*parts, "</svg>", ""])


def _text(text: str) -> str:
    return escape(text.replace("`", ""))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
