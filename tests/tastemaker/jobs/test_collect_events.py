from pathlib import Path

from tastemaker.data import event_log
from tastemaker.data.dataset import load_dataset
from tastemaker.data.event_log import LiveEvent
from tastemaker.jobs import collect_events
from tests.tastemaker.features.shop import NOW_MS, new_shop


def test_events_are_taken_once_and_forgotten_users_leave(tmp_path: Path) -> None:
    shop = new_shop(tmp_path)
    assert collect_events.run(shop.home, shop.dataset, shop.engine) == shop.dataset
    event_log.append(shop.engine, [LiveEvent("u99", "s", "i01", "save", "assistant", NOW_MS)])
    first = collect_events.run(shop.home, shop.dataset, shop.engine)
    assert collect_events.run(shop.home, first, shop.engine) == first
    assert collect_events.run(shop.home, shop.dataset, shop.engine) == first
    old, new = load_dataset(shop.home, shop.dataset), load_dataset(shop.home, first)
    assert new.parents == (shop.dataset,)
    assert new.spaces == old.spaces
    assert new.tables["items"] == old.tables["items"]
    assert new.tables["events"].rows == old.tables["events"].rows + 1
    assert new.notes["events_added"] == 1
    event_log.forget_user(shop.engine, "u03")
    event_log.forget_user(shop.engine, "u99")
    after = load_dataset(shop.home, collect_events.run(shop.home, first, shop.engine))
    users = set(after.read("events", ["user_id"])["user_id"].to_pylist())
    assert users == set(old.read("events", ["user_id"])["user_id"].to_pylist()) - {"u03"}
