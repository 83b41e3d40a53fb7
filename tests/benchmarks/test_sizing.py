"""The arithmetic of docs/scale.md, and that the page holds what it gives."""

import pytest

from benchmarks.sizing import PAGE, Assumed, Measured, filled, item_rows, tables, user_rows

ROUND = Measured(
    embed_items_s=100,
    embed_users_s=1000,
    picture_bytes=1000,
    item_row_bytes=2000,
    event_bytes=10,
    index_disk_bytes=300,
    index_private_bytes=200,
    index_build_ms=1.0,
    index_query_ms=2.0,
    redis_user_bytes=2**10,
    turn_core_s=0.1,
)


def test_items_by_hand() -> None:
    rows = dict(item_rows(ROUND, Assumed(picture_bytes=9000, shard_items=1e6)))
    assert rows["items table, pictures and vectors"](1e8) == "1 TB"
    assert rows["embed all, core-hours"](3.6e8) == "1,000"
    assert rows["shards"](1e9) == "1,000"
    assert rows["index on disk"](1e9) == "300 GB"
    # 2 replicas * (300 + 200) bytes * 10^9 items
    assert rows["memory of all replicas"](1e9) == "930 GiB"


def test_a_search_costs_more_in_a_larger_shard_and_in_more_of_them() -> None:
    rows = dict(item_rows(ROUND, Assumed(shard_items=1e6)))
    cost = rows["a search in every shard, core-ms"]
    assert cost(2e5) == "2"  # as measured
    assert cost(1e6) == "2.3"  # ln(10^6) / ln(200,000)
    assert cost(1e7) == "23"


def test_users_by_hand() -> None:
    assumed = Assumed(
        active_frac=0.1, turns_a_day=8.64, peak=1, busy_frac=0.5, redis_spare=1, redis_copies=1
    )
    rows = dict(user_rows(ROUND, assumed))
    assert rows["Redis, all copies"](2**20) == "1 GiB"
    assert rows["turns a second, busiest hour"](1e6) == "10"
    # 10 turns a second of 0.1 core-seconds, cores half busy
    assert rows["cores for them (gateway, models, tiny router)"](1e6) == "2"
    assert rows["embed all users once, core-hours"](3.6e6) == "1"


def test_the_page_holds_the_tables_of_the_results() -> None:
    page = PAGE.read_text()
    assert filled(page, tables(Measured.read(), Assumed())) == page


def test_a_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="'items', wants 1"):
        filled("nothing here", {"items": "| a |"})
