"""Simulated users: events of seeded users with tastes, over the items of any catalogue.

A user likes a few values of a few attributes (a style, some colours), a few categories and a
level of price; the likes drift while the user is active. A session has an intent, a category;
what the user does next depends on taste, on the last item (boards that hold both) and on what
the feed exposes, which favours popular items and the top of the page. An item gets at most one
action other than an impression from the same user.

Shape suffixes: N = items, C = categories.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from pydantic import Field

from tastemaker.core.config import Config
from tastemaker.core.errors import DataError
from tastemaker.core.progress import track
from tastemaker.data.item_traits import Traits, item_traits
from tastemaker.data.records import EVENTS

_START_MS = 1_767_225_600_000  # 2026-01-01
_DAY_MS = 86_400_000
_SWITCH = 0.15  # chance that the intent changes after an event

Row = tuple[str, str, str, str, str, int]  # in the order of the EVENTS schema


class UsersConfig(Config):
    """How many users there are and what drives them; weights are utilities, in nats."""

    users: int = Field(default=600, ge=1)
    events_mean: float = Field(default=80, gt=0)  # per user, impressions not counted
    events_min: int = Field(default=8, ge=3)
    session_events_mean: float = Field(default=8, ge=2)
    impressions_per_event: float = Field(default=3, ge=0)
    hide_frac: float = Field(default=0.03, ge=0, le=0.5)  # of impressions that are not liked
    days: int = Field(default=90, ge=1)  # mean time between a user's first and last session
    taste: float = Field(default=12.0, ge=0, le=100)  # of an item liked in everything
    intent: float = Field(default=7.0, ge=0, le=100)  # of the session's category
    together: float = Field(default=4.0, ge=0, le=100)  # of sharing a board with the last item
    popularity: float = Field(
        default=0.8, ge=0, le=100
    )  # of one standard deviation of log exposure
    price: float = Field(
        default=0.7, ge=0, le=100
    )  # lost for one standard deviation from the usual
    drift_frac: float = Field(default=0.4, ge=0, le=1)  # of the taste, replaced by the end
    seed: int = 11


def simulate(items: pa.Table, boards: pa.Table, config: UsersConfig) -> pa.Table:
    """Events of simulated users.

    Args:
        items: item_id, category, attributes and price are read.
        boards: Items on one board are used together. Test boards are left out, so that events
            tell nothing about them.
        config: Numbers and weights.

    Returns:
        A table of the EVENTS schema, by user and time. The same arguments give the same table.

    Raises:
        DataError: Fewer than 8 items.
    """
    if len(items) < 8:
        raise DataError(f"simulated users need 8 items or more, this dataset has {len(items)}")
    known = boards.filter(pa.compute.not_equal(boards["split"], "test"))
    traits = item_traits(items, known)
    normal_N = np.random.default_rng(config.seed).standard_normal(len(items))
    feed = _Feed(traits, config.popularity * normal_N, config.intent)
    columns: dict[str, list[Any]] = {name: [] for name in EVENTS.names}
    for number in track(range(config.users), "simulate users", config.users):
        user = _User(
            f"user-{number:05d}", feed, config, np.random.default_rng([config.seed, number])
        )
        for row in user.live():
            for name, value in zip(EVENTS.names, row, strict=True):
                columns[name].append(value)
    return pa.table(columns, schema=EVENTS)


class _Feed:
    """What all users meet: the items and how often each is shown."""

    def __init__(self, traits: Traits, exposure_N: np.ndarray, intent: float) -> None:
        self.traits = traits
        self.exposure_N = exposure_N
        # row c: utility of being in category c; the last row, of no category, is all zero
        places_C = np.arange(len(traits.categories) + 1)
        self.intent_CN = intent * (places_C[:, None] == traits.category_N[None, :])
        shown_CN = np.exp(exposure_N + 0.6 * self.intent_CN)
        self.shown_CN = np.cumsum(shown_CN, axis=1)

    def show(self, category: int, num: int, rng: np.random.Generator) -> np.ndarray:
        """Items that a page shows, likely those of the category and the popular ones."""
        total_N = self.shown_CN[category]
        drawn: np.ndarray = np.searchsorted(total_N, rng.random(num) * total_N[-1], side="right")
        return drawn


class _User:
    """One user's tastes and what they have met so far."""

    def __init__(
        self, name: str, feed: _Feed, config: UsersConfig, rng: np.random.Generator
    ) -> None:
        traits = feed.traits
        self.name, self.feed, self.config, self.rng = name, feed, config, rng
        self.early_N, self.late_N = traits.liking(rng), traits.liking(rng)
        away_N = np.abs(traits.price_N - rng.standard_normal())
        self.price_N = -config.price * np.minimum(away_N, 3.0)
        num_categories = len(traits.categories)
        # with no category at all the only intent is the row of zeros
        self.category_C = rng.dirichlet(np.full(max(num_categories, 1), 0.25))
        self.open_N = np.ones(len(traits.item_ids), bool)  # not acted on yet
        self.now_ms = _START_MS + int(rng.integers(30 * _DAY_MS))

    def live(self) -> Iterator[Row]:
        """All events of the user, in time order."""
        config, rng = self.config, self.rng
        wanted = rng.lognormal(np.log(config.events_mean) - 0.18, 0.6)  # mean: events_mean
        most = max(3, len(self.open_N) // 2)
        num_events = int(min(max(wanted, config.events_min), most))
        num_sessions = max(1, round(num_events / config.session_events_mean))
        lengths = rng.multinomial(num_events, rng.dirichlet(np.full(num_sessions, 4.0)))
        gap_ms = config.days * _DAY_MS / num_sessions
        done = 0
        for number, length in enumerate(lengths.tolist()):
            drifted = config.drift_frac * done / num_events
            liking_N = (1 - drifted) * self.early_N + drifted * self.late_N
            yield from self._session(f"{self.name}-{number:03d}", length, liking_N)
            done += length
            self.now_ms += 1_800_000 + int(rng.exponential(gap_ms))

    def _session(self, session: str, length: int, liking_N: np.ndarray) -> Iterator[Row]:
        feed, config, rng = self.feed, self.config, self.rng
        utility_N = config.taste * liking_N + self.price_N + feed.exposure_N
        category, last = self._intent(None), None
        searched = rng.random() < 0.3
        for step in range(length):
            if not self.open_N.any():
                return
            weight_N = np.exp(self._utility(utility_N, category, last)) * self.open_N
            total_N = np.cumsum(weight_N)
            item = int(np.searchsorted(total_N, rng.random() * total_N[-1], side="right"))
            beside = last is not None and item in feed.traits.together.get(last, ())
            surface = "board" if beside else "search" if searched and step < 3 else "feed"
            yield from self._look(session, surface, category, item, liking_N)
            saves = rng.random() < 0.1 + 0.5 * liking_N[item]
            action = "save" if saves else "closeup" if rng.random() < 0.7 else "click"
            self.open_N[item] = False
            yield self._row(session, item, action, surface, rng.integers(4_000, 90_000))
            last = item
            if rng.random() < _SWITCH:
                category = self._intent(last)

    def _utility(self, base_N: np.ndarray, category: int, last: int | None) -> np.ndarray:
        utility_N: np.ndarray = base_N + self.feed.intent_CN[category]
        if last is not None and last in self.feed.traits.together:
            utility_N[self.feed.traits.together[last]] += self.config.together
        return utility_N

    def _intent(self, last: int | None) -> int:
        """A category: of something that goes with the last item, else one of the user's own."""
        traits = self.feed.traits
        if not traits.categories:
            return 0
        beside = traits.together.get(-1 if last is None else last)
        if beside is not None and self.rng.random() < 0.5:
            found = int(traits.category_N[self.rng.choice(beside)])
            if found >= 0:
                return found
        return int(self.rng.choice(len(self.category_C), p=self.category_C))

    def _look(
        self, session: str, surface: str, category: int, item: int, liking_N: np.ndarray
    ) -> Iterator[Row]:
        """Impressions of what stands above the item on its page, then of the item itself."""
        above = self.rng.geometric(1 / (1 + self.config.impressions_per_event)) - 1
        for shown in dict.fromkeys(self.feed.show(category, above, self.rng).tolist()):
            if shown == item:
                continue
            yield self._row(session, shown, "impression", surface, self.rng.integers(300, 3_000))
            disliked = liking_N[shown] < 0.2 and self.open_N[shown]
            if disliked and self.rng.random() < self.config.hide_frac:
                self.open_N[shown] = False
                yield self._row(session, shown, "hide", surface, self.rng.integers(500, 4_000))
        yield self._row(session, item, "impression", surface, self.rng.integers(300, 3_000))

    def _row(self, session: str, item: int, action: str, surface: str, after_ms: np.integer) -> Row:
        self.now_ms += int(after_ms)
        name = self.feed.traits.item_ids[item]
        return (self.name, session, name, action, surface, self.now_ms)
