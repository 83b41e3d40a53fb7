from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tastemaker.core.errors import DataError, NotFound
from tastemaker.data.dataset import load_dataset
from tastemaker.features import training_set
from tastemaker.jobs import make_training_set
from tests.tastemaker.features.shop import Shop, new_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    made = new_shop(Path(tmp_path_factory.mktemp("shop")))
    with pytest.raises(NotFound, match="no features"):
        make_training_set.run(made.home, "ranker", made.engine, made.config)
    made.materialise()
    return made


def events(shop: Shop) -> list[dict]:
    return load_dataset(shop.home, shop.dataset).read("events").to_pylist()


def made(shop: Shop, kind: make_training_set.Kind) -> list[dict]:
    digest = make_training_set.run(shop.home, kind, shop.engine, shop.config)
    assert digest == make_training_set.run(shop.home, kind, shop.engine, shop.config)
    return pq.read_table(shop.home.path("training_sets", f"{digest}.parquet")).to_pylist()


def test_next_item_rows_hold_the_history_before_the_event_and_nothing_later(shop: Shop) -> None:
    rows = made(shop, "next_item")
    positive = [e for e in events(shop) if e["action"] in ("save", "click", "closeup")]
    assert len(rows) == len(positive)
    first = {e["user_id"]: e["time"] for e in reversed(events(shop))}
    for row in rows:
        mine = [
            (round(e["time"].timestamp() * 1000), e["item_id"], e["action"])
            for e in events(shop)
            if e["user_id"] == row["user_id"] and e["action"] != "impression"
        ]
        before = sorted({e for e in mine if e[0] <= row["now_ms"]})[-64:]
        assert (row["user_items"] or []) == [item for _, item, _ in before]
        assert (row["user_times"] or []) == [time_ms for time_ms, _, _ in before]
    assert sum(not row["user_items"] for row in rows) >= len(first) / 2, "cold users stay"


@pytest.mark.slow
def test_ranker_rows_are_impressions_with_signals_and_a_label(shop: Shop) -> None:
    rows = made(shop, "ranker")
    shown = {
        (e["user_id"], e["session_id"], e["item_id"], e["time"])
        for e in events(shop)
        if e["action"] == "impression"
    }
    assert len(rows) == len(shown)
    assert {row["label"] for row in rows} == {0, 1}
    by_hand = sum(
        any(
            (e["session_id"], e["item_id"]) == (session, item)
            and e["action"] in ("save", "click", "closeup")
            and e["time"] >= time
            for e in events(shop)
        )
        for _, session, item, time in shown
    )
    assert sum(row["label"] for row in rows) == by_hand
    assert all(
        name in rows[0]
        for name in ("save_7d", "category_shares", "session_intent", "quality", "item_age_days")
    )
    assert any(row["quality"] is not None for row in rows)
    assert all(row["item_age_days"] is None or row["item_age_days"] >= 0 for row in rows)


def test_a_join_that_loses_a_row_is_refused() -> None:
    found = pa.table({"question": [0, 1, 1]})
    with pytest.raises(DataError, match=r"3 rows \(2 distinct\) for 3 questions"):
        training_set._check(found, 3, "ranker")
    with pytest.raises(DataError, match="2 rows"):
        training_set._check(found.slice(0, 2), 3, "ranker")
