"""Signals: what is known of a user and a session, as pure functions of their latest events.

One definition serves everywhere. Stored is the latest `KEPT` events of a user or a session
(`History`); counts, shares, recency and intent are computed from them at the moment of reading.
`merged` is a union: pushing an event twice, or late, gives what pushing it once in time gives,
so the live path and the path over a whole table end at the same features.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

KEPT = 64  # events of a user or a session
READ = ("closeup", "save", "click", "hide")  # impressions are exposure, not taste
WINDOWS_MS = {"1d": 86_400_000, "7d": 604_800_000, "30d": 2_592_000_000}
WEIGHTS = {"save": 1.0, "click": 0.7, "closeup": 0.4, "hide": -1.0}
_HALF_LIFE_MS = 14 * 86_400_000  # of an event's say in the shares
_HALF_LIFE_EVENTS = 4.0  # of an event's say in a session, in later events

Happened = tuple[int, str, str]  # (time_ms, item_id, action): equal ones are one event


@dataclass(frozen=True)
class History:
    """The latest events of a user or a session, oldest first; parallel columns.

    Attributes:
        items: Item ids.
        actions: Each one of `READ`.
        times: Milliseconds since 1970, UTC.
        categories: Of each item, "" where unknown.
        styles: Of each item, "" where unknown.
    """

    items: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    times: tuple[int, ...] = ()
    categories: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()

    def events(self) -> list[Happened]:
        """The events alone."""
        return list(zip(self.times, self.items, self.actions, strict=True))


@dataclass(frozen=True)
class SessionSignals:
    """What is known of a session.

    Attributes:
        items: (item_id, action, time_ms), oldest first, at most `KEPT`.
        embedding: Decayed mean of its items' vectors, float32, unit norm; None without any.
        intent: The category that it is about, "" where none stands out.
    """

    items: tuple[tuple[str, str, int], ...] = ()
    embedding: np.ndarray | None = None
    intent: str = ""


@dataclass(frozen=True)
class Signals:
    """What one read gives for a turn.

    Attributes:
        user_id: Whose; None for somebody unknown.
        session_id: The conversation.
        history: (item_id, action, time_ms), oldest first, at most `KEPT`; no impressions.
        user_embedding: Of the user model, float32; None without one.
        embedding_model: Digest of the sequence bundle that it came from, "" for none.
        counts: By action and window: {"save_1d": 2, ...}.
        categories: Share of each category in the user's taste; they add up to 1.
        styles: Likewise of each style.
        recency_s: Seconds since the user's latest event; None without one.
        session: Of the conversation.
        missing: Feature groups that had no value.
        late: True where the deadline passed: everything is a default.
        down: True where the store cannot be read or lost its data: everything is a default.
        staleness_s: Seconds between the newest event of the history and the newest that the
            user embedding has seen; 0 when it has seen all, None without an embedding.
    """

    user_id: str | None
    session_id: str
    history: tuple[tuple[str, str, int], ...] = ()
    user_embedding: np.ndarray | None = None
    embedding_model: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    categories: Mapping[str, float] = field(default_factory=dict)
    styles: Mapping[str, float] = field(default_factory=dict)
    recency_s: float | None = None
    session: SessionSignals = SessionSignals()
    missing: tuple[str, ...] = ()
    late: bool = False
    down: bool = False
    staleness_s: float | None = None


def merged(*parts: Iterable[Happened], after_ms: int = -1) -> tuple[Happened, ...]:
    """The latest events of several sources, each once, in the order of time.

    Args:
        parts: Events in any order; impressions are left out.
        after_ms: Events up to this time are left out (their user was forgotten then).
    """
    kept = {e for part in parts for e in part if e[2] in WEIGHTS and e[0] > after_ms}
    return tuple(sorted(kept)[-KEPT:])


def counts(times: Sequence[int], actions: Sequence[str], now_ms: int) -> dict[str, int]:
    """Events by action and window, for example `save_7d`, among the stored ones."""
    found = {f"{action}_{window}": 0 for action in READ for window in WINDOWS_MS}
    for time_ms, action in zip(times, actions, strict=True):
        for window, length_ms in WINDOWS_MS.items():
            if action in READ and now_ms - time_ms < length_ms:
                found[f"{action}_{window}"] += 1
    return found


def weights(times: Sequence[int], actions: Sequence[str]) -> list[float]:
    """How much each event says of what its user likes.

    By its action (a hide speaks against), halved every two weeks of distance from the newest one.

    Args:
        times: Milliseconds, of each event.
        actions: Of each event.
    """
    newest = max(times, default=0)
    return [
        WEIGHTS.get(action, 0.0) * 0.5 ** ((newest - time_ms) / _HALF_LIFE_MS)
        for time_ms, action in zip(times, actions, strict=True)
    ]


def shares(values: Sequence[str], weights: Sequence[float]) -> dict[str, float]:
    """Share of each value in what the user liked, largest first.

    What comes out negative counts as nothing.

    Args:
        values: A category or style of each event; "" is left out.
        weights: Of each event.

    Returns:
        Shares that add up to 1; empty where nothing is liked.
    """
    total: dict[str, float] = {}
    for value, weight in zip(values, weights, strict=True):
        if value:
            total[value] = total.get(value, 0.0) + weight
    liked = {value: weight for value, weight in total.items() if weight > 0}
    whole = sum(liked.values())
    ranked = sorted(liked, key=lambda value: (-liked[value], value))
    return {value: liked[value] / whole for value in ranked}


def recency_s(times: Sequence[int], now_ms: int) -> float | None:
    """Seconds since the newest event; None without events."""
    return max(0.0, (now_ms - max(times)) / 1000) if len(times) else None


def intent(categories: Sequence[str], actions: Sequence[str]) -> str:
    """The category that a session is about: the most liked one lately, "" for none."""
    total: dict[str, float] = {}
    for category, weight in zip(categories, session_weights(actions), strict=True):
        if category:
            total[category] = total.get(category, 0.0) + weight
    best = max(total, key=lambda name: (total[name], name), default="")
    return best if total.get(best, 0.0) > 0 else ""


def session_weights(actions: Sequence[str]) -> list[float]:
    """Say of each event in its session: by action, halved every four later events."""
    last = len(actions) - 1
    return [
        WEIGHTS.get(action, 0.0) * 0.5 ** ((last - place) / _HALF_LIFE_EVENTS)
        for place, action in enumerate(actions)
    ]


def session_embedding(
    vectors: Sequence[np.ndarray | None], actions: Sequence[str]
) -> np.ndarray | None:
    """Decayed mean of item vectors, weighted by action; hidden items push away.

    Args:
        vectors: Of each event's item, unit norm; None where unknown.
        actions: Of each event.

    Returns:
        float32, unit norm; None where no vector is known or they cancel out.
    """
    pairs = zip(session_weights(actions), vectors, strict=True)
    weighted = [
        weight * vector.astype(np.float64) for weight, vector in pairs if vector is not None
    ]
    if not weighted:
        return None
    mean = np.sum(weighted, axis=0)
    norm = math.sqrt(float(mean @ mean))
    return (mean / norm).astype(np.float32) if norm > 1e-9 else None
