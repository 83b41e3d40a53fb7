"""The outbox: one thread that brings the log of live events into the feature store.

The log is durable first. Everything that waits there is written at once: many waiting events of
a user become one write. While the store is down events stay in the log; the thread tries again
until the store is back. A store that lost its data (a Redis that was restarted) is filled again
from the offline tables and the log. Nothing of this needs a restart.

Rows are read, merged and written by this one thread. Several gateways on one database and one
store may push the same events: a push merges with what is stored and with the user's log, and
leaves out what its user asked to forget.
"""

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from sqlalchemy import Engine

from tastemaker.core.errors import NotFound
from tastemaker.core.home import Home
from tastemaker.data import event_log
from tastemaker.data.event_log import LiveEvent
from tastemaker.features.config import (
    FeatureConfig,
    Generation,
    current,
    open_store,
    tables_folder,
)
from tastemaker.features.fill import clear, fill, happened
from tastemaker.features.item_facts import ItemFacts
from tastemaker.features.metrics import FeatureMetrics
from tastemaker.features.online import OnlineFeatures, history_row, session_row
from tastemaker.features.registry import make_registry
from tastemaker.features.signals import Happened, merged

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opened:
    """A generation, open: one store to write, and one to read from other threads."""

    generation: Generation
    writer: OnlineFeatures
    reader: OnlineFeatures


class Outbox:
    """Pushes what is pending; mends the store.

    Args:
        home: Where the features live.
        config: Which online store, and how often it is looked after.
        engine: Database with the log.
        facts: Of the catalogue.
        metrics: Counts what happens.
    """

    def __init__(
        self,
        home: Home,
        config: FeatureConfig,
        engine: Engine,
        facts: ItemFacts,
        metrics: FeatureMetrics,
    ) -> None:
        self.home, self.config, self.engine = home, config, engine
        self.facts, self.metrics = facts, metrics
        self.opened: Opened | None = None
        self._checked_s = -float("inf")
        self._wake, self._stop = threading.Event(), threading.Event()
        self._writing = threading.Lock()  # of the store; the thread and `forget`
        self._waiting: dict[Future[bool], set[int]] = {}
        self._waiting_lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True, name="feature-outbox")

    def start(self) -> None:
        """Start the thread; it opens the store, which takes seconds, and pushes what waits."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread; what is pending stays in the log."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=self.config.push_wait_s)
        self._answer(None, pushed=False)

    def look_now(self) -> None:
        """Look after the store at once: it was found without its data."""
        self._checked_s = -float("inf")
        self._wake.set()

    def awaited(self) -> bool:
        """Whether there are features that should be open, and are not."""
        try:
            return self.opened is None and bool(current(self.home))
        except NotFound:
            return False

    def pushed(self, ids: Sequence[int]) -> "Future[bool]":
        """Ask for a push; the future is True once these events are in the store."""
        future: Future[bool] = Future()
        with self._waiting_lock:
            self._waiting[future] = set(ids)
        self._wake.set()
        return future

    def forget(self, user_id: str) -> dict[str, int]:
        """Delete a user's events and features; while the store is down, as soon as it is back.

        Returns:
            How many events and how many rows of features went now.
        """
        with self._writing:
            events = event_log.forget_user(self.engine, user_id)
            features = 0
            try:
                if self.opened is not None:
                    sessions = event_log.uncleared(self.engine)[user_id]
                    features = clear(self.opened.writer, self.engine, user_id, sessions)
            except Exception as error:
                _log.warning("a forgotten user's features are not deleted yet: %s", error)
        return {"events": events, "features": features}

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                self._look_after()
                self._push_all()
                self.metrics.up.set(1)
            except NotFound as error:
                self._down(error, level=logging.INFO)
            except Exception as error:
                self._down(error, level=logging.WARNING)
            self._wake.wait(self.config.check_s)

    def _down(self, error: Exception, *, level: int) -> None:
        _log.log(level, "the feature store takes nothing now: %s: %s", type(error).__name__, error)
        self.metrics.up.set(0)
        self._checked_s = -float("inf")
        self._answer(None, pushed=False)

    def _look_after(self) -> None:
        """Open what is live, take forgotten users out, fill a store that lost its data."""
        if time.monotonic() - self._checked_s < self.config.check_s:
            return
        self._checked_s = time.monotonic()  # before: `look_now` asks for another look meanwhile
        generation = current(self.home)
        if self.opened is None or self.opened.generation != generation:
            if self.config.registry == "file":
                make_registry(self.home, self.config, generation.tables)
            stores = [open_store(self.home, self.config, generation.tables) for _ in range(2)]
            writer, reader = (OnlineFeatures(store) for store in stores)
            writer.prepare()
            writer.warm_up()  # a turn does not wait for its features for so long
            self.opened = Opened(generation, writer, reader)
        writer = self.opened.writer
        with self._writing:
            writer.prepare()
            for user, sessions in event_log.uncleared(self.engine).items():
                clear(writer, self.engine, user, sessions)
            self._mend()

    def _mend(self) -> None:
        """Fill a store that lost its data; whoever calls this is the one who writes."""
        assert self.opened is not None
        writer, generation = self.opened.writer, self.opened.generation
        if writer.tables():
            return
        _log.warning("the online store lost its data; filling it again")
        fill(
            writer,
            tables_folder(self.home, generation.tables),
            self.engine,
            self.facts,
            tables_digest=generation.tables,
            session_hours=self.config.session_hours,
        )
        self.metrics.refills.inc()

    def _push_all(self) -> None:
        while not self._stop.is_set():
            with self._waiting_lock:
                asked = list(self._waiting)  # before looking: what they wait for is in the log
            with self._writing:
                batch = event_log.pending(self.engine, self.config.push_batch)
                if batch:
                    self._mend()  # rows of what is pushed alone would look like all there is
                    with self.metrics.push_seconds.time():
                        self._push(batch)
                    ids = [event.event_id for event in batch]
                    event_log.mark_pushed(self.engine, ids)
            if not batch:
                return self._answer(asked, pushed=True)
            self.metrics.pushed.inc(len(batch))
            self._take_off(set(ids))

    def _push(self, batch: list[LiveEvent]) -> None:
        """Merge the batch into its users' and sessions' rows."""
        read = [event for event in batch if event.action != "impression"]
        users = sorted({event.user_id for event in read if event.user_id})
        users_of: dict[str, set[str]] = {event.session_id: set() for event in read}
        for event in read:
            users_of[event.session_id] |= {event.user_id} if event.user_id else set()
        while True:
            gone = event_log.forgotten_at(self.engine, users)
            self._merge_users(users, gone)
            self._merge_sessions(users_of, gone)
            if event_log.forgotten_at(self.engine, users) == gone:
                return

    def _merge_users(self, users: list[str], gone: dict[str, int]) -> None:
        assert self.opened is not None
        writer, rows = self.opened.writer, {}
        stored = writer.events("user_history", users) if users else []
        for user, events in zip(users, stored, strict=True):
            live = happened(event_log.of_user(self.engine, user), self.facts)
            state = merged(self._known(events), live, after_ms=gone.get(user, -1))
            if state:
                rows[user] = history_row(self.facts, state)
            elif events:
                writer.delete("user_id", user)
        writer.write("user_history", rows)

    def _merge_sessions(self, users_of: dict[str, set[str]], gone: dict[str, int]) -> None:
        assert self.opened is not None
        writer, rows = self.opened.writer, {}
        sessions = sorted(users_of)
        stored = writer.events("session_history", sessions) if sessions else []
        for session, events in zip(sessions, stored, strict=True):
            live = happened(event_log.of_session(self.engine, session), self.facts)
            after_ms = max((gone.get(user, -1) for user in users_of[session]), default=-1)
            state = merged(self._known(events), live, after_ms=after_ms)
            if state:
                rows[session] = session_row(self.facts, state)
            elif events:
                writer.delete("session_id", session)
        writer.write("session_history", rows)

    def _known(self, events: Iterable[Happened]) -> list[Happened]:
        return [event for event in events if event[1] in self.facts.place]

    def _take_off(self, ids: set[int]) -> None:
        """These events are in the store: answer those who wait for nothing else."""
        with self._waiting_lock:
            for left in self._waiting.values():
                left -= ids
            done = [future for future, left in self._waiting.items() if not left]
        self._answer(done, pushed=True)

    def _answer(self, futures: list["Future[bool]"] | None, *, pushed: bool) -> None:
        """Tell these who wait, or all (None)."""
        with self._waiting_lock:
            for future in list(self._waiting) if futures is None else futures:
                if self._waiting.pop(future, None) is not None and not future.cancelled():
                    future.set_result(pushed)
