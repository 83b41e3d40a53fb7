import json
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest

from tastemaker.core.errors import DataError
from tastemaker.data.curation import CurateConfig, curate
from tastemaker.data.demo_catalogue import DemoConfig, open_demo
from tastemaker.data.item_traits import item_traits
from tastemaker.data.records import EVENTS
from tastemaker.data.simulated_users import UsersConfig, simulate

CONFIG = UsersConfig(users=60, events_mean=30, seed=3)


@pytest.fixture(scope="module")
def demo() -> tuple[pa.Table, pa.Table]:
    config = CurateConfig(image_px=32, demo=DemoConfig(items=400, boards=60, image_px=32))
    curated = curate(open_demo(config.demo), config)
    return curated.items, curated.boards


@pytest.fixture(scope="module")
def events(demo: tuple[pa.Table, pa.Table]) -> pa.Table:
    return simulate(*demo, CONFIG)


def bare(num_items: int, **columns: list[object]) -> pa.Table:
    empty: dict[str, list[object]] = {
        "item_id": [f"i{n}" for n in range(num_items)],
        "category": [""] * num_items,
        "attributes": ["{}"] * num_items,
    }
    table = pa.table({**empty, **columns})
    return table.append_column("price", pa.nulls(num_items, pa.float32()))


NO_BOARDS = pa.table({"items": pa.array([], pa.list_(pa.string())), "split": pa.array([], "str")})


def histories(events: pa.Table) -> dict[str, list[str]]:
    by_user = defaultdict(list)
    for row in events.select(["user_id", "item_id", "action"]).to_pylist():
        if row["action"] in ("closeup", "click", "save"):
            by_user[row["user_id"]].append(row["item_id"])
    return by_user


def test_the_seed_alone_decides(demo: tuple[pa.Table, pa.Table], events: pa.Table) -> None:
    assert events.schema.equals(EVENTS)
    assert simulate(*demo, CONFIG).equals(events)
    assert not simulate(*demo, CONFIG.model_copy(update={"seed": 4})).equals(events)


def test_more_users_leave_the_first_ones_as_they_are(
    demo: tuple[pa.Table, pa.Table], events: pa.Table
) -> None:
    few = simulate(*demo, CONFIG.model_copy(update={"users": 5}))
    assert few.equals(events.slice(0, len(few)))


def test_time_moves_on_and_no_item_is_acted_on_twice(events: pa.Table) -> None:
    last: dict[str, object] = {}
    for user, time in zip(events["user_id"].to_pylist(), events["time"].to_pylist(), strict=True):
        assert user not in last or time > last[user]
        last[user] = time
    acted: list[tuple[str, str]] = [
        (row["user_id"], row["item_id"])
        for row in events.to_pylist()
        if row["action"] != "impression"
    ]
    assert len(acted) == len(set(acted))


def test_activity_has_the_asked_mean_and_a_long_tail(events: pa.Table) -> None:
    lengths = sorted(len(items) for items in histories(events).values())
    assert len(lengths) == CONFIG.users
    assert lengths[0] >= CONFIG.events_min
    assert np.mean(lengths) == pytest.approx(CONFIG.events_mean, rel=0.25)
    assert lengths[-1] > 2 * np.median(lengths)


def test_actions_happen_at_different_rates(events: pa.Table) -> None:
    actions = events["action"].to_pylist()
    rate = {action: actions.count(action) for action in set(actions)}
    assert rate["impression"] > rate["closeup"] > rate["click"] > rate["hide"] > 0
    assert rate["save"] > 0


def test_history_tells_more_of_the_next_item_than_popularity(
    demo: tuple[pa.Table, pa.Table], events: pa.Table
) -> None:
    traits = item_traits(*demo)
    place = {name: n for n, name in enumerate(traits.item_ids)}
    codes = [*traits.values_N.values(), traits.category_N]
    same_NN = np.sum([np.equal.outer(c, c) for c in codes], axis=0)
    popular_N = np.zeros(len(place))
    by_history = by_popularity = 0
    users = [[place[item] for item in items] for items in histories(events).values()]
    for items in users:
        np.add.at(popular_N, items[:-1], 1)
    for items in users:
        liked_N = sum(0.8**age * same_NN[item] for age, item in enumerate(items[-2::-1]))
        for score_N, counted in ((np.array(liked_N, float), "h"), (popular_N.copy(), "p")):
            score_N[items[:-1]] = -1
            hit = int((score_N > score_N[items[-1]]).sum() < 20)
            by_history += hit * (counted == "h")
            by_popularity += hit * (counted == "p")
    assert by_history >= 2 * max(by_popularity, 3)


def test_a_catalogue_with_titles_alone_has_users_too() -> None:
    found = simulate(bare(40), NO_BOARDS, CONFIG)
    assert len(histories(found)) == CONFIG.users


def test_liked_items_are_chosen_over_others() -> None:
    colors = [json.dumps({"color": color}) for color in "rgb" for _ in range(60)]
    found = simulate(
        bare(180, attributes=colors),
        NO_BOARDS,
        CONFIG.model_copy(update={"drift_frac": 0.0, "popularity": 0.0}),
    )
    color = {f"i{n}": json.loads(text)["color"] for n, text in enumerate(colors)}
    for items in histories(found).values():
        shown = [color[item] for item in items]
        assert max(shown.count(c) for c in "rgb") >= 0.6 * len(shown)


def test_test_boards_leave_no_trace(demo: tuple[pa.Table, pa.Table], events: pa.Table) -> None:
    items, boards = demo
    kept = boards.filter(pa.array([split != "test" for split in boards["split"].to_pylist()]))
    assert len(kept) < len(boards)
    assert simulate(items, kept, CONFIG).equals(events)


def test_too_few_items_are_refused() -> None:
    with pytest.raises(DataError, match="8 items or more, this dataset has 7"):
        simulate(bare(7), NO_BOARDS, CONFIG)
