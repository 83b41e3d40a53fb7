"""Sizes of an installation, from the figures of `results/`: the tables of docs/scale.md.

python -m benchmarks.sizing            (prints them)
python -m benchmarks.sizing --write    (puts them into docs/scale.md)
"""

import json
import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rows import RESULTS

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
MEASURED_ITEMS = 200_000  # of the index whose figures are scaled
GIB, GB, TB = 2**30, 10**9, 10**12
Row = tuple[str, Callable[[float], str]]


@dataclass(frozen=True)
class Measured:
    """What `benchmarks.scale` and `benchmarks.load` measured; bytes and core-seconds."""

    embed_items_s: float
    embed_users_s: float
    picture_bytes: float
    item_row_bytes: float
    event_bytes: float
    index_disk_bytes: float
    index_private_bytes: float
    index_build_ms: float
    index_query_ms: float
    redis_user_bytes: float
    turn_core_s: float

    @classmethod
    def read(cls, folder: Path = RESULTS) -> "Measured":
        """From the result files; KeyError names a figure that is not there."""
        files = [folder / "scale.json", folder / "load.json"]
        rows = [row for file in files for row in json.loads(file.read_text())["rows"]]
        value = {row["metric"]: float(row["value"]) for row in rows}
        graph = f"index of {MEASURED_ITEMS:,}"
        return cls(
            embed_items_s=value["encoder, items a core-second"],
            embed_users_s=value["user model, users a core-second"],
            picture_bytes=value["picture of an item, bytes"],
            item_row_bytes=value["item row in its table, bytes"],
            event_bytes=value["event in its table, bytes"],
            index_disk_bytes=value[f"{graph}, bytes an item on disk"],
            index_private_bytes=value[f"{graph}, private memory an item"],
            index_build_ms=value[f"{graph}, build an item"],
            index_query_ms=value[f"{graph}, a query"],
            redis_user_bytes=value["Redis, bytes a user"],
            turn_core_s=2 / value["turns a second"],  # both cores were full
        )


@dataclass(frozen=True)
class Assumed:
    """What is not measured; each is a line of docs/scale.md."""

    picture_bytes: float = 60_000  # a JPEG of 512 pixels
    shard_items: float = 10_000_000
    shard_replicas: int = 2
    events_a_user: float = 100
    active_frac: float = 0.1  # of users on a day
    turns_a_day: float = 5  # of an active user
    peak: float = 3  # busiest hour over the mean
    busy_frac: float = 0.6  # of a core that serves
    redis_copies: int = 2
    redis_spare: float = 1.5  # memory over data
    core_hour_usd: float = 0.0425  # c6i, on demand, read 2026-11-25
    gib_hour_usd: float = 0.0079  # r6i, on demand, a machine's price by its memory
    gb_month_usd: float = 0.023  # S3 standard
    gpu_hour_usd: float = 3.0  # one H100
    gpu_flops: float = 3e14  # 30 % of its dense bfloat16 peak
    image_flops: float = 3.5e10  # a ViT-B/16 on one picture of 224 pixels


MONTH_H = 730


def growth(items: float) -> float:
    """How much more a graph's search and build cost than at the measured size: logarithms."""
    return max(1.0, math.log(items) / math.log(MEASURED_ITEMS))


def item_rows(m: Measured, a: Assumed) -> Sequence[Row]:
    """Rows of the table by number of items."""
    row_bytes = m.item_row_bytes - m.picture_bytes + a.picture_bytes

    def shards(items: float) -> int:
        return math.ceil(items / a.shard_items)

    def cost(items: float) -> float:
        return growth(min(items, a.shard_items))

    def ram(items: float) -> float:
        return items * (m.index_disk_bytes + m.index_private_bytes) * a.shard_replicas

    return [
        ("items table, pictures and vectors", lambda n: _bytes(n * row_bytes)),
        ("... a month on S3", lambda n: _usd(n * row_bytes / GB * a.gb_month_usd)),
        ("embed all, core-hours", lambda n: _count(n / m.embed_items_s / 3600)),
        ("... in dollars", lambda n: _usd(n / m.embed_items_s / 3600 * a.core_hour_usd)),
        ("a ViT-B instead, GPU-hours", lambda n: _count(n * a.image_flops / a.gpu_flops / 3600)),
        (
            "... in dollars",
            lambda n: _usd(n * a.image_flops / a.gpu_flops / 3600 * a.gpu_hour_usd),
        ),
        ("index on disk", lambda n: _bytes(n * m.index_disk_bytes)),
        (
            "build it, core-hours",
            lambda n: _count(n * m.index_build_ms / 1000 / 3600 * cost(n)),
        ),
        ("shards", lambda n: _count(shards(n))),
        ("memory of all replicas", lambda n: _bytes(ram(n), GIB)),
        ("... a month", lambda n: _usd(ram(n) / GIB * a.gib_hour_usd * MONTH_H)),
        (
            "a search in every shard, core-ms",
            lambda n: _count(shards(n) * m.index_query_ms * cost(n)),
        ),
    ]


def user_rows(m: Measured, a: Assumed) -> Sequence[Row]:
    """Rows of the table by number of users."""

    def redis(users: float) -> float:
        return users * m.redis_user_bytes * a.redis_spare * a.redis_copies

    def peak_turns(users: float) -> float:
        return users * a.active_frac * a.turns_a_day / 86_400 * a.peak

    def cores(users: float) -> int:
        return math.ceil(peak_turns(users) * m.turn_core_s / a.busy_frac)

    return [
        ("events", lambda n: _count(n * a.events_a_user)),
        ("events table", lambda n: _bytes(n * a.events_a_user * m.event_bytes)),
        ("Redis, all copies", lambda n: _bytes(redis(n), GIB)),
        ("... a month", lambda n: _usd(redis(n) / GIB * a.gib_hour_usd * MONTH_H)),
        ("embed all users once, core-hours", lambda n: _count(n / m.embed_users_s / 3600)),
        ("turns a second, busiest hour", lambda n: _count(peak_turns(n))),
        ("cores for them (gateway, models, tiny router)", lambda n: _count(cores(n))),
        ("... a month", lambda n: _usd(cores(n) * a.core_hour_usd * MONTH_H)),
    ]


def tables(m: Measured, a: Assumed) -> dict[str, str]:
    """The tables of the page by name, in Markdown."""
    return {
        "items": _table("items", (1e6, 1e8, 1e9), item_rows(m, a)),
        "users": _table("users", (1e4, 1e6, 1e8), user_rows(m, a)),
    }


def filled(page: str, made: dict[str, str]) -> str:
    """The page with each table between its two marks replaced."""
    for name, table in made.items():
        marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page, times = marks.subn(lambda found, t=table: f"{found[1]}{t}\n{found[2]}", page)
        if times != 1:
            raise ValueError(f"docs/scale.md has {times} places for the table {name!r}, wants 1")
    return page


def _table(what: str, sizes: Sequence[float], rows: Sequence[Row]) -> str:
    head = " | ".join(f"10^{round(math.log10(size))} {what}" for size in sizes)
    lines = [f"| | {head} |", "|---" * (len(sizes) + 1) + "|"]
    for name, figure in rows:
        lines.append(f"| {name} | {' | '.join(figure(size) for size in sizes)} |")
    return "\n".join(lines)


def _bytes(value: float, unit: float = GB) -> str:
    name = "GiB" if unit == GIB else "GB"
    if unit == GB and value >= TB:
        return f"{_short(value / TB)} TB"
    return f"{_short(value / unit)} {name}"


def _usd(value: float) -> str:
    return "under $1" if value < 1 else f"${_short(value)}"


def _count(value: float) -> str:
    return _short(value)


def _short(value: float) -> str:
    """Two significant digits: the arithmetic bears no more."""
    if value == 0:
        return "0"
    digits = 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    text = f"{rounded:,.{max(0, min(digits, 3))}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def main() -> None:
    """Print the tables, or put them into the page."""
    made = tables(Measured.read(), Assumed())
    if "--write" in sys.argv[1:]:
        PAGE.write_text(filled(PAGE.read_text(), made))
    else:
        print("\n\n".join(made.values()))


if __name__ == "__main__":
    main()
