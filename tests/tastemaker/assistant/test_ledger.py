import threading

import pytest
from sqlalchemy import Engine

from tastemaker.assistant.ledger import DAY_MS, Attempt, Ledger
from tastemaker.assistant.prices import Prices
from tastemaker.core.errors import ConfigError


@pytest.fixture
def ledger(each_database: Engine) -> Ledger:
    return Ledger(each_database, Prices.read())


def a_turn(ledger: Ledger, turn: str, **who: str) -> None:
    attempts = [
        Attempt("ours", "own-router", "timeout", 900.0),
        Attempt("theirs", "gpt-6-luna", "ok", 300.0, 1000, 50, 200, 0.0, 0.012),
    ]
    entries = ledger.attempts(turn, attempts, **who)
    entries.append(ledger.entry(turn, "tool", "search_items", ms=20.0, extra_cents=0.5, **who))
    entries.append(
        ledger.entry(turn, "embedding", "words", price="own-router", compute_s=0.02, **who)
    )
    ledger.record_turn(entries)


def test_a_turns_lines_add_up(ledger: Ledger) -> None:
    a_turn(ledger, "t1", conversation_id="c1", caller="key", user_id="ada")
    a_turn(ledger, "t2", conversation_id="c1", caller="key", user_id="bob")
    lines = ledger.of_turn("t1")
    assert [(line["kind"], line["outcome"]) for line in lines] == [
        ("router", "timeout"),
        ("router", "ok"),
        ("tool", "ok"),
        ("embedding", "ok"),
    ]
    total = sum(line["cents"] for line in lines)
    for by in ("kind", "name", "member", "caller", "user_id", "conversation_id", "price", "day"):
        rows = ledger.summary(by=by)
        assert sum(row["cents"] for row in rows) == pytest.approx(2 * total), by
        assert sum(row["entries"] for row in rows) == 8, by
    assert ledger.spent_cents("key", 0) == pytest.approx(2 * total)
    assert ledger.spent_cents("other", 0) == 0


def test_summary_counts_turns_and_sorts_by_cost(ledger: Ledger) -> None:
    a_turn(ledger, "t1")
    a_turn(ledger, "t2")
    rows = ledger.summary(by="kind")
    assert rows[0]["kind"] == "tool"
    assert all(row["turns"] == 2 for row in rows)
    tokens = {row["kind"]: row["prompt_tokens"] for row in rows}
    assert tokens == {"tool": 0, "router": 2000, "embedding": 0}
    assert [row["day"] % DAY_MS for row in ledger.summary(by="day")] == [0]
    assert ledger.summary(since_ms=2**53) == []


def test_no_such_grouping(ledger: Ledger) -> None:
    with pytest.raises(ConfigError, match="entry_id"):
        ledger.summary(by="entry_id")


def test_a_turn_is_stored_whole_or_not_at_all(ledger: Ledger) -> None:
    good = ledger.entry("t1", "tool", "search_items")
    bad = ledger.entry("t1", "tool", None)  # type: ignore[arg-type]
    with pytest.raises(Exception, match="name"):
        ledger.record_turn([good, bad])
    assert ledger.of_turn("t1") == []
    ledger.record_turn([])


def test_forgetting_a_user_keeps_the_money(ledger: Ledger) -> None:
    a_turn(ledger, "t1", user_id="ada", conversation_id="c1")
    a_turn(ledger, "t2", user_id="bob", conversation_id="c2")
    before = sum(row["cents"] for row in ledger.summary())
    assert ledger.forget_user("ada") == 4
    assert ledger.forget_user("ada") == 0
    assert {line["user_id"] for line in ledger.of_turn("t1")} == {None}
    assert {line["conversation_id"] for line in ledger.of_turn("t1")} == {""}
    assert {line["user_id"] for line in ledger.of_turn("t2")} == {"bob"}
    assert sum(row["cents"] for row in ledger.summary()) == before


def test_many_threads_lose_no_line(ledger: Ledger) -> None:
    threads = [threading.Thread(target=a_turn, args=(ledger, f"t{n}")) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(row["entries"] for row in ledger.summary()) == 48
