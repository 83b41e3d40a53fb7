"""What a small statement costs past SQLAlchemy's own execution (core/statements.py).

    python -m benchmarks.statements        (no home needed; half a minute)

Two transactions of every turn on a SQLite file: reading the conversation's row, and writing what a
turn costs (three lines of the ledger). Each through SQLAlchemy's connection, its statement made
once, and through `reading` and `writing`; in turns of 500, median over the turns.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sqlalchemy import Engine, insert
from tqdm import trange

from benchmarks.rows import row, save
from tastemaker.assistant.conversation_tables import THE_CONVERSATION
from tastemaker.assistant.ledger import Entry, ledger
from tastemaker.core.database import open_database
from tastemaker.core.statements import Statement, reading, writing

COMMAND = "python -m benchmarks.statements"
ROUNDS, TIMES = 15, 500
KEY = {"conversation": "none"}
LINES = [vars(Entry("t", "tool", name, "free", 1)) for name in ("search_items", "rank", "answer")]


def main() -> None:
    """Time both and write the rows."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        engine = open_database(f"sqlite:///{Path(folder) / 'a.db'}")
        for what, pair in (("read", _reads(engine)), ("write of three rows", _writes(engine))):
            ours, theirs = _medians(*pair)
            print(f"{what}: {ours:.0f} us; SQLAlchemy {theirs:.0f} us")
            rows.append(
                row(
                    f"one {what}, a transaction each (baseline: SQLAlchemy's execution)",
                    ours,
                    baseline=theirs,
                    goal=None,
                    unit="us",
                    seeds=1,
                    command=COMMAND,
                )
            )
        engine.dispose()
    save("statements", rows)


def _reads(engine: Engine) -> tuple[Callable[[], object], Callable[[], object]]:
    statement = Statement(THE_CONVERSATION)

    def ours() -> None:
        with reading(engine) as direct:
            direct.one(statement, KEY)

    def theirs() -> None:
        with engine.connect() as connection:
            connection.execute(THE_CONVERSATION, KEY).one_or_none()

    return ours, theirs


def _writes(engine: Engine) -> tuple[Callable[[], object], Callable[[], object]]:
    statement, insertion = Statement(insert(ledger).inline(), list(LINES[0])), insert(ledger)

    def ours() -> None:
        with writing(engine) as direct:
            direct.run_many(statement, LINES)

    def theirs() -> None:
        with engine.begin() as connection:
            connection.execute(insertion, LINES)

    return ours, theirs


def _medians(*ways: Callable[[], object]) -> list[float]:
    """Microseconds of each way."""
    taken: list[list[float]] = [[] for _ in ways]
    for _ in trange(ROUNDS, leave=False):
        for times, do in zip(taken, ways, strict=True):
            start = time.perf_counter()
            for _ in range(TIMES):
                do()
            times.append((time.perf_counter() - start) / TIMES * 1e6)
    return [float(np.median(times)) for times in taken]


if __name__ == "__main__":
    main()
