"""Job: is what happens now still what the live models were trained on?

Compares the last days' events with those that the live user model was trained on: vectors of
the items (embedding drift), one feature at a time (feature drift), and what became of answers.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from sqlalchemy import Engine, select

from tastemaker.core.home import Home
from tastemaker.data import event_log
from tastemaker.data.all_events import ANONYMOUS
from tastemaker.data.dataset import Dataset, load_dataset
from tastemaker.data.records import EVENTS
from tastemaker.evaluation.drift import (
    Finding,
    direction_shift,
    histograms,
    mmd2,
    psi,
    psi_interval,
    shares,
)
from tastemaker.jobs import answer_quality, drift_record, drift_report, new_data
from tastemaker.jobs.drift_config import DriftConfig
from tastemaker.promotion.environment import get_live

_DAY_MS = 86_400_000
_MAX_LOGGED = 1_000_000  # rows that fit in memory with room to spare


@dataclass(frozen=True)
class Window:
    """Events of a window as columns, drawn at random, few of any one user.

    Attributes:
        named: Features that are names: by feature, one value an event.
        numbers: Features that are numbers.
        vectors_ND: Of the items.
    """

    named: Mapping[str, Sequence[str]]
    numbers: Mapping[str, np.ndarray]
    vectors_ND: np.ndarray

    def __len__(self) -> int:
        return len(self.vectors_ND)


def run(
    home: Home,
    engine: Engine,
    environment: str,
    rules: DriftConfig,
    key: str,
    *,
    now_ms: int | None = None,
) -> list[str]:
    """Compare, report, remember.

    Args:
        home: Where everything lives.
        engine: The operational database.
        environment: Whose live models.
        rules: What counts as drift.
        key: Names the report.
        now_ms: The present; default: now.

    Returns:
        Names of what drifted.

    Raises:
        NotFound: Nothing is live, or what it was trained on is gone.
    """
    now_ms = int(time.time() * 1000) if now_ms is None else now_ms
    live = get_live(home, environment, "recommender")
    data = load_dataset(home, new_data.trained_on(home, environment))
    begin_ms = now_ms - int(rules.recent_days * _DAY_MS)
    findings = compare_events(data, live.space, engine, begin_ms, rules)
    recent = answer_quality.count(engine, begin_ms, now_ms)
    before = answer_quality.count(engine, 0, begin_ms)
    findings += answer_quality.compare(recent, before, rules)
    html = drift_report.html(findings, environment=environment, bundle=live.bundle)
    drift_record.keep(home, environment, key, findings, html)
    return [one.name for one in findings if one.drifted]


def compare_events(
    data: Dataset, space: str, engine: Engine, begin_ms: int, rules: DriftConfig
) -> list[Finding]:
    """Embedding and feature drift of the log since a time against a dataset version's events."""
    facts = _item_facts(data, space)
    recent = window(_logged(engine, begin_ms), facts, rules)
    reference = window(data.read("events"), facts, rules)
    sizes = {"num_reference": len(reference), "num_recent": len(recent)}
    found = [_embedding(reference, recent, rules, sizes)]
    for name in reference.named:
        counts = shares(reference.named[name], recent.named[name])
        found.append(_feature(name, counts, rules, sizes))
    for name in reference.numbers:
        counts = histograms(reference.numbers[name], recent.numbers[name], rules.bins)
        found.append(_feature(name, counts, rules, sizes))
    return found


def window(events: pa.Table, facts: "_Facts", rules: DriftConfig) -> Window:
    """Draw events of known items, impressions left out, and look up their features."""
    rng = np.random.default_rng(rules.seed)
    users = np.array(events["user_id"].to_pylist(), dtype=object)
    items, actions = events["item_id"].to_pylist(), events["action"].to_pylist()
    chosen: list[int] = []
    taken: dict[str, int] = {}
    for place in rng.permutation(len(events)):
        if actions[place] == "impression" or items[place] not in facts.place:
            continue
        if taken.setdefault(users[place], 0) < rules.max_rows_a_user:
            taken[users[place]] += 1
            chosen.append(int(place))
        if len(chosen) == rules.max_rows:
            break
    rows = np.array([facts.place[items[place]] for place in chosen], dtype=np.int64)
    times = events["time"].cast(pa.int64()).to_numpy()[chosen]
    lengths: dict[str, int] = {}
    sessions = events["session_id"].to_pylist()
    for session in sessions:
        lengths[session] = lengths.get(session, 0) + 1
    return Window(
        named={
            "action": [actions[place] for place in chosen],
            "surface": [events["surface"][place].as_py() for place in chosen],
            "category": [facts.categories[row] for row in rows],
        },
        numbers={
            "price": facts.prices[rows],
            "hour of the day": (times // 3_600_000) % 24,
            "events of the session": np.array([lengths[sessions[place]] for place in chosen]),
        },
        vectors_ND=facts.vectors_ND[rows],
    )


@dataclass(frozen=True)
class _Facts:
    place: Mapping[str, int]
    categories: Sequence[str]
    prices: np.ndarray
    vectors_ND: np.ndarray


def _item_facts(data: Dataset, space: str) -> _Facts:
    column = data.vector_column(space)
    items = data.read("items", ["item_id", "category", "price", column])
    vectors = items[column].combine_chunks()
    prices = np.array([row or 0.0 for row in items["price"].to_pylist()], dtype=np.float64)
    return _Facts(
        place={name: row for row, name in enumerate(items["item_id"].to_pylist())},
        categories=items["category"].to_pylist(),
        prices=prices,
        vectors_ND=vectors.flatten().to_numpy().reshape(len(items), -1),
    )


def _logged(engine: Engine, begin_ms: int) -> pa.Table:
    """Events of the log since a time; at most the newest `_MAX_LOGGED`."""
    own = event_log.live_events.c
    columns = (own.user_id, own.session_id, own.item_id, own.action, own.surface, own.time_ms)
    rows = select(*columns).where(own.time_ms >= begin_ms).order_by(own.time_ms.desc())
    with engine.connect() as connection:
        found = connection.execute(rows.limit(_MAX_LOGGED)).all()
    names = [(row[0] or ANONYMOUS + row[1], *row[1:]) for row in found]
    values = zip(*names, strict=True) if names else [()] * len(EVENTS)
    arrays = [pa.array(column, f.type) for column, f in zip(values, EVENTS, strict=True)]
    return pa.Table.from_arrays(arrays, schema=EVENTS)


def _embedding(
    reference: Window, recent: Window, rules: DriftConfig, sizes: Mapping[str, int]
) -> Finding:
    name, limits = "items (squared MMD)", (rules.max_mmd2,)
    if min(sizes.values()) < 2 * 10:
        return Finding(name, "embedding", 0.0, 0.0, 2.0, *limits, **sizes, min_rows=rules.min_rows)
    value, low, high = mmd2(reference.vectors_ND, recent.vectors_ND)
    shift = direction_shift(reference.vectors_ND, recent.vectors_ND)
    name = f"{name}; mean direction moved by {shift:.3f}"
    return Finding(name, "embedding", value, low, high, *limits, **sizes, min_rows=rules.min_rows)


def _feature(
    name: str,
    counts: tuple[np.ndarray, np.ndarray],
    rules: DriftConfig,
    sizes: Mapping[str, int],
) -> Finding:
    if not min(sizes.values()):
        return Finding(name, "feature", 0.0, 0.0, 0.0, rules.max_psi, **sizes, min_rows=1)
    low, high = psi_interval(*counts, seed=rules.seed)
    value = psi(*counts)
    return Finding(
        name, "feature", value, low, high, rules.max_psi, **sizes, min_rows=rules.min_rows
    )
