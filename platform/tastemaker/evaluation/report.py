"""Evaluation reports: one self-contained HTML page with tables, plots and pictures."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .35rem .8rem; border-bottom: 1px solid var(--line); text-align: left }
th { background: var(--soft) } .n { text-align: right }
.wide { overflow-x: auto }
.plot { max-width: 100%; background: #fff; border-radius: 8px }
.row { display: flex; gap: .4rem; align-items: center; margin: .4rem 0; overflow-x: auto }
.row span { flex: 0 0 16rem; font-size: .9rem } .row img { height: 84px; border-radius: 6px }
.verdict { border-left: .5rem solid; border-radius: 8px; padding: .8rem 1.2rem; margin: 1.2rem 0 }
.verdict b { font-size: 1.3rem } .verdict ul { margin: .5rem 0 0; padding-left: 1.2rem }
.good { border-color: #1f8a4c; background: #1f8a4c1a } .bad { border-color: #c0362c;
 background: #c0362c1a }
.yes { color: #1f8a4c; white-space: nowrap } .no { color: #c0362c; font-weight: 700;
 white-space: nowrap }
@media (prefers-color-scheme: dark) { .yes { color: #5fce8d } .no { color: #ff8a80 } }
pre { background: var(--soft); padding: .8rem 1rem; border-radius: 8px; overflow-x: auto }
</style></head><body><h1>{{ title }}</h1>
{% for part in parts %}
{% if part.kind == "text" %}<p>{{ part.text }}</p>
{% elif part.kind == "verdict" %}<div class="verdict {{ "good" if part.passed else "bad" }}">
<b>{{ part.text }}</b>{% if part.points %}<ul>{% for point in part.points %}<li>{{ point }}</li>
{% endfor %}</ul>{% endif %}</div>
{% elif part.kind == "command" %}<p>{{ part.caption }}</p><pre><code>{{ part.text }}</code></pre>
{% elif part.kind == "table" %}<h2 id="p{{ loop.index }}">{{ part.caption }}</h2>
<div class="wide" role="region" tabindex="0" aria-labelledby="p{{ loop.index }}">
<table><thead><tr>
{% for key in part.columns %}<th scope="col"{% if key in part.numbers %} class="n"{% endif %}>
{{- key }}</th>{% endfor %}</tr></thead><tbody>
{% for row in part.rows %}<tr>{% for cell in row %}<td{% if cell.kind %} class="{{ cell.kind }}"
{%- endif %}>
{{- cell.text }}</td>{% endfor %}</tr>{% endfor %}</tbody></table></div>
{% elif part.kind == "plot" %}<h2>{{ part.caption }}</h2>
<img class="plot" alt="{{ part.caption }}" src="data:image/png;base64,{{ part.data }}">
{% else %}<h2>{{ part.caption }}</h2>
{% for label, pictures in part.rows %}<div class="row"><span>{{ label }}</span>
{% for data in pictures %}<img alt="{{ label }}, {{ loop.index }}"
 src="data:image/jpeg;base64,{{ data }}">{% endfor %}</div>
{% endfor %}{% endif %}{% endfor %}
</body></html>
"""


class Report:
    """Collects parts, in order, and renders them; everything is escaped and inlined."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.parts: list[dict[str, Any]] = []

    def text(self, paragraph: str) -> None:
        """Add a paragraph."""
        self.parts.append({"kind": "text", "text": paragraph})

    def verdict(self, passed: bool, text: str, points: Sequence[str] = ()) -> None:
        """Add what it all comes to, so that it is seen at once.

        Args:
            passed: Good or bad.
            text: In a few words.
            points: What led to it, each a sentence.
        """
        self.parts.append(
            {"kind": "verdict", "passed": passed, "text": text, "points": list(points)}
        )

    def command(self, caption: str, text: str) -> None:
        """Add a command to copy."""
        self.parts.append({"kind": "command", "caption": caption, "text": text})

    def table(self, caption: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add a table; floats are shown with three decimals, truth values as passed or failed.

        Args:
            caption: Its heading.
            rows: One mapping a row; the first row's keys are the columns.
        """
        keys = list(rows[0]) if rows else []
        cells = [[_cell(row.get(key, "")) for key in keys] for row in rows]
        numbers = (
            {key for key, cell in zip(keys, cells[0], strict=True) if cell["kind"] == "n"}
            if cells
            else set()
        )
        self.parts.append(
            {
                "kind": "table",
                "caption": caption,
                "columns": keys,
                "numbers": numbers,
                "rows": cells,
            }
        )

    def plot(self, caption: str, figure: Any) -> None:
        """Add a matplotlib figure as PNG, and close it."""
        import matplotlib.pyplot as plt

        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
        plt.close(figure)
        self.parts.append({"kind": "plot", "caption": caption, "data": _base64(out.getvalue())})

    def images(self, caption: str, rows: Sequence[tuple[str, Sequence[bytes]]]) -> None:
        """Add rows of JPEG pictures, each with a label on its left."""
        shown = [(label, [_base64(picture) for picture in pictures]) for label, pictures in rows]
        self.parts.append({"kind": "images", "caption": caption, "rows": shown})

    def html(self) -> str:
        """The page."""
        template = Environment(autoescape=True).from_string(_PAGE)
        return template.render(title=self.title, parts=self.parts)


def figure(width: float = 6.5, height: float = 3.4) -> tuple[Any, Any]:
    """A matplotlib figure and its axes, drawn without a screen."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    made, axes = plt.subplots(figsize=(width, height))
    axes.spines[["top", "right"]].set_visible(False)
    return made, axes


def bars(values: Mapping[str, float], ylabel: str) -> Any:
    """A bar chart, one bar a name, with its value above it."""
    made, axes = figure()
    drawn = axes.bar(
        list(values), list(values.values()), color=["#356ae6", *["#9aa4b2"] * 20][: len(values)]
    )
    axes.bar_label(drawn, fmt="%.3f", padding=2)
    axes.set_ylabel(ylabel)
    axes.tick_params(axis="x", labelrotation=15)
    return made


def curve(values: Sequence[float], ylabel: str, *, smooth: int = 20) -> Any:
    """A training curve with its running mean over `smooth` steps."""
    made, axes = figure()
    axes.plot(values, alpha=0.3, color="#356ae6")
    means = [
        sum(values[max(0, i - smooth) : i + 1]) / len(values[max(0, i - smooth) : i + 1])
        for i in range(len(values))
    ]
    axes.plot(means, color="#356ae6")
    axes.set_xlabel("step")
    axes.set_ylabel(ylabel)
    return made


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]],
    xlabel: str,
    ylabel: str,
    *,
    marker: str = "",
) -> Any:
    """Lines of (x, y) points by name; the first is ours and stands out."""
    made, axes = figure()
    greys = ["#5b6675", "#8a94a1", "#b3bac3", "#d0d5db"]
    styles = ["--", "-.", ":", (0, (1, 3))]  # told apart without colour too
    for place, (name, points) in enumerate(series.items()):
        x, y = zip(*points, strict=True)
        if place == 0:
            axes.plot(x, y, color="#356ae6", linewidth=2, marker=marker, label=name)
        else:
            rest = (place - 1) % len(greys)
            axes.plot(x, y, color=greys[rest], linestyle=styles[rest], label=name)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.legend(frameon=False)
    return made


def forest(
    rows: Sequence[tuple[str, float, float, float]],
    xlabel: str,
    *,
    line: float | None = 0.0,
    marks: Mapping[str, float] | None = None,
) -> Any:
    """A forest plot: a point and its interval a row; what lies left of the line stands out.

    Args:
        rows: Label, value, low, high; the first on top.
        xlabel: What the values are.
        line: Where nothing changes; None: there is no such place.
        marks: A bound by label, drawn as a tick.
    """
    made, axes = figure(7.5, 1.0 + 0.32 * len(rows))
    for place, (label, value, low, high) in enumerate(reversed(rows)):
        worse = line is not None and high < line
        better = line is not None and low > line
        color = "#c0362c" if worse else "#1f8a4c" if better else "#356ae6"
        axes.plot([low, high], [place, place], color=color, linewidth=2, solid_capstyle="round")
        axes.plot([value], [place], marker="o", color=color, markersize=6)
        if marks and label in marks:
            axes.plot([marks[label]], [place], marker="|", color="#333", markersize=14)
    if line is not None:
        axes.axvline(line, color="#888", linewidth=1)
    axes.set_yticks(range(len(rows)), [row[0] for row in reversed(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(xlabel)
    axes.grid(axis="x", alpha=0.3)
    return made


def _cell(value: Any) -> dict[str, str]:
    if isinstance(value, bool):
        return {"text": "✓ passed" if value else "✗ failed", "kind": "yes" if value else "no"}
    kind = "n" if isinstance(value, int | float) else ""
    return {"text": f"{value:.3f}" if isinstance(value, float) else str(value), "kind": kind}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
