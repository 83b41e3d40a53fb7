"""Boards that users make: named, ordered sets of items, in the operational database.

A board belongs to one user. Whoever asks for another's is told that there is none, so that ids
cannot be probed.
"""

import difflib
import json
import re
import time
import unicodedata
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import BigInteger, Column, Engine, String, Table, Text, func, select

from tastemaker.core.database import metadata
from tastemaker.core.errors import DataError, NotFound

MAX_ITEMS = 200  # of a board: as many as a handle reaches
MAX_BOARDS = 500  # of a user
MAX_TITLE_CHARS = 120
_LEAST_LIKENESS = 0.6  # of titles, for one to be meant by the other

_boards = Table(
    "boards",
    metadata,
    Column("board_id", String(32), primary_key=True),
    Column("user_id", String(256), nullable=False, index=True),
    Column("title", String(MAX_TITLE_CHARS), nullable=False),
    Column("items", Text, nullable=False),  # JSON list of item ids, in order
    Column("updated_ms", BigInteger, nullable=False),
)


@dataclass(frozen=True)
class Board:
    """A board.

    Attributes:
        board_id: Its id.
        user_id: Whose it is.
        title: Its title, 1 to `MAX_TITLE_CHARS` characters.
        items: Item ids in order, each once, at most `MAX_ITEMS`.
        updated_ms: When it was last changed, ms since 1970 UTC.
    """

    board_id: str
    user_id: str
    title: str
    items: tuple[str, ...]
    updated_ms: int


class BoardStore:
    """All users' boards.

    Args:
        engine: The operational database.
        clock: Seconds since 1970.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self.engine, self.clock = engine, clock

    def list(self, user: str) -> list[Board]:
        """The boards of a user, the latest changed first."""
        query = (
            select(_boards)
            .where(_boards.c.user_id == user)
            .order_by(_boards.c.updated_ms.desc(), _boards.c.board_id)
        )
        with self.engine.connect() as connection:
            return [_board(row) for row in connection.execute(query).mappings()]

    def count(self, user: str) -> int:
        """How many boards a user has."""
        query = select(func.count()).select_from(_boards).where(_boards.c.user_id == user)
        with self.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def get(self, board_id: str, user: str) -> Board:
        """One board.

        Raises:
            NotFound: The user has no such board.
        """
        query = select(_boards).where(_boards.c.board_id == board_id, _boards.c.user_id == user)
        with self.engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound(f"no board {board_id[:64]!r}")
        return _board(row)

    def create(self, user: str, title: str, items: Sequence[str]) -> Board:
        """Make a board.

        Raises:
            DataError: A title or a number of items out of range, or too many boards.
        """
        if self.count(user) >= MAX_BOARDS:
            raise DataError(f"a user has at most {MAX_BOARDS} boards; delete one first")
        now_ms = int(self.clock() * 1000)
        board = Board(uuid.uuid4().hex, user, _title(title), _items(items), now_ms)
        with self.engine.begin() as connection:
            connection.execute(_boards.insert().values(_row(board)))
        return board

    def update(
        self,
        board_id: str,
        user: str,
        title: str | None = None,
        items: Sequence[str] | None = None,
    ) -> Board:
        """Rename a board, or replace its items and their order; None leaves as it is.

        Raises:
            NotFound: The user has no such board.
            DataError: A title or a number of items out of range.
        """
        board = replace(self.get(board_id, user), updated_ms=int(self.clock() * 1000))
        if title is not None:
            board = replace(board, title=_title(title))
        if items is not None:
            board = replace(board, items=_items(items))
        changed = _boards.update().where(_boards.c.board_id == board_id, _boards.c.user_id == user)
        with self.engine.begin() as connection:
            connection.execute(changed.values(_row(board)))
        return board

    def delete(self, board_id: str, user: str) -> None:
        """Delete a board.

        Raises:
            NotFound: The user has no such board.
        """
        gone = _boards.delete().where(_boards.c.board_id == board_id, _boards.c.user_id == user)
        with self.engine.begin() as connection:
            if connection.execute(gone).rowcount == 0:
                raise NotFound(f"no board {board_id[:64]!r}")

    def forget(self, user: str) -> int:
        """Delete all boards of a user; returns how many there were."""
        with self.engine.begin() as connection:
            return connection.execute(_boards.delete().where(_boards.c.user_id == user)).rowcount

    def same_title(self, user: str, title: str) -> Board | None:
        """The user's board of that title, whatever its case and punctuation; None for none."""
        wanted = folded(title)
        return next((board for board in self.list(user) if folded(board.title) == wanted), None)

    def like_title(self, user: str, title: str) -> Board | None:
        """The user's board whose title is most like some words; None where none is like them."""
        boards = self.list(user)
        likeness = [_likeness(folded(title), folded(board.title)) for board in boards]
        best = max(range(len(boards)), key=likeness.__getitem__, default=None)
        return None if best is None or likeness[best] < _LEAST_LIKENESS else boards[best]


def folded(title: str) -> str:
    """A title for comparing: no case, punctuation, articles, nor the word "board"."""
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", title).casefold())
    kept = [word for word in words if word not in ("the", "a", "my", "board")]
    return " ".join(kept or words)


def _likeness(asked: str, title: str) -> float:
    """1 for equal ones; else as words that are contained, or as letters that agree."""
    if asked == title:
        return 1.0
    words, held = set(asked.split()), set(title.split())
    shared = len(words & held) / max(1, min(len(words), len(held)))
    letters = difflib.SequenceMatcher(None, asked, title).ratio()
    return max(0.95 * shared if shared == 1 else 0.0, letters * 0.9)


def _title(title: str) -> str:
    """One line of printable text.

    Raises:
        DataError: Blank, or too long.
    """
    clean = " ".join("".join(c if c.isprintable() else " " for c in title).split())
    if not 1 <= len(clean) <= MAX_TITLE_CHARS:
        raise DataError(f"a title of {len(clean)} characters: 1 to {MAX_TITLE_CHARS}")
    return clean


def _items(items: Sequence[str]) -> tuple[str, ...]:
    once = tuple(dict.fromkeys(items))
    if len(once) > MAX_ITEMS:
        raise DataError(f"{len(once)} items: a board holds at most {MAX_ITEMS}")
    return once


def _row(board: Board) -> dict[str, object]:
    return {**vars(board), "items": json.dumps(board.items)}


def _board(row: object) -> Board:
    values = dict(row)  # type: ignore[call-overload]
    return Board(**{**values, "items": tuple(json.loads(values["items"]))})
