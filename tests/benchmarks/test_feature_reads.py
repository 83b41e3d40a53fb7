from benchmarks.feature_reads import GOAL_MS, measure


def test_every_store_is_measured_against_the_naive_read() -> None:
    rows = measure(reads=40)
    assert len(rows) % 3 == 0
    assert all(row["value"] > 0 and row["baseline"] > 0 for row in rows)
    assert [row["goal"] for row in rows[:3]] == [None, GOAL_MS, None]
    assert "SQLite" in rows[0]["metric"]
