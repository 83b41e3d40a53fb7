"""The data report of curation: one HTML file without outside references."""

import base64
import html
import io
from collections import Counter
from collections.abc import Iterable, Sequence

from tastemaker.data.curation import Curated
from tastemaker.data.dataset import Dataset

_SAMPLES = 40  # pictures shown
_BARS = 30  # categories shown
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.2rem .8rem;text-align:left;
border-bottom:1px solid #ddd}
.grid{display:grid;grid-template-columns:repeat(auto-fill,96px);gap:8px}
figure{margin:0;font-size:11px;line-height:1.2;overflow:hidden}figure img{width:96px;height:96px;
object-fit:contain;background:#f4f4f4}
"""


def report_html(dataset: Dataset, curated: Curated) -> str:
    """The report as one page; the same dataset gives the same bytes.

    Args:
        dataset: The version that was written.
        curated: What curation gave.
    """
    notes = curated.notes
    counts = [
        ("rows read", notes["source_items"]),
        ("items kept", notes["items"]),
        ("boards", notes["boards"]),
        ("events", notes["events"]),
        ("categories", notes["categories"]),
        ("duplicates found", notes["duplicates_found"]),
        *((f"split {name}", count) for name, count in notes["splits"].items()),
    ]
    reasons = list(notes["quarantine"].items()) or [("nothing", 0)]
    examples = [
        (row["kind"], row["id"], row["reason"], row["detail"])
        for row in curated.quarantine.slice(0, 25).to_pylist()
    ]
    name = html.escape(dataset.name)
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Data report: {name}</title>",
        f"<style>{_STYLE}</style><h1>Data report: {name}</h1>",
        f"<p>Dataset version <code>{dataset.digest}</code></p>",
        "<h2>Counts</h2>",
        _table(("what", "count"), counts),
        "<h2>Set aside</h2>",
        _table(("reason", "rows"), reasons),
        _table(("kind", "id", "reason", "detail"), examples) if examples else "",
        "<h2>Items by category</h2>",
        _bars(curated.items["category"].to_pylist()),
        "<h2>Samples</h2>",
        _grid(curated),
        "</html>",
    ]
    return "\n".join(parts)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    def line(cells: Iterable[object], tag: str) -> str:
        inner = "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in cells)
        return f"<tr>{inner}</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


def _bars(categories: list[str]) -> str:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ranked = sorted(Counter(categories).items(), key=lambda pair: (-pair[1], pair[0]))[:_BARS]
    names = [(name or "(none)").replace("$", r"\$")[:40] for name, _ in reversed(ranked)]
    counts = [count for _, count in reversed(ranked)]
    figure = Figure(figsize=(7, 0.6 + 0.24 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.barh(range(len(names)), counts, color="#4a7a8c")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("items")
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=90, metadata={"Software": None})
    return f'<img alt="items by category" src="data:image/png;base64,{_base64(out.getvalue())}">'


def _grid(curated: Curated) -> str:
    step = max(1, len(curated.items) // _SAMPLES)
    shown = curated.items.select(["title", "image"]).take(list(range(0, len(curated.items), step)))
    figures = (
        f'<figure><img alt="" src="data:image/jpeg;base64,{_base64(row["image"])}">'
        f"<figcaption>{html.escape(row['title'])}</figcaption></figure>"
        for row in shown.slice(0, _SAMPLES).to_pylist()
    )
    return f"<div class=grid>{''.join(figures)}</div>"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
