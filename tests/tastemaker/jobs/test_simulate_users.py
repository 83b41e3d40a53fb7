from pathlib import Path

from tastemaker.core.config import load_preset
from tastemaker.core.home import Home
from tastemaker.data.curation import CurateConfig
from tastemaker.data.dataset import load_dataset
from tastemaker.data.simulated_users import UsersConfig
from tastemaker.jobs import curate, simulate_users

TINY = load_preset(UsersConfig, "users", "tiny")


def test_events_are_added_once_and_the_other_tables_are_shared(tmp_path: Path) -> None:
    home = Home(tmp_path)
    before = curate.run(home, "demo", load_preset(CurateConfig, "curate", "tiny"))
    after = simulate_users.run(home, before, TINY)
    assert after == simulate_users.run(home, before, TINY)
    old, new = load_dataset(home, before), load_dataset(home, after)
    assert new.parents == (before,)
    assert new.tables["items"] == old.tables["items"]
    assert len(set(new.read("events", ["user_id"])["user_id"].to_pylist())) == TINY.users
    known = set(new.read("items", ["item_id"])["item_id"].to_pylist())
    assert set(new.read("events", ["item_id"])["item_id"].to_pylist()) <= known


def test_a_version_with_events_is_returned_as_it_is(tmp_path: Path) -> None:
    home = Home(tmp_path)
    before = curate.run(home, "demo", load_preset(CurateConfig, "curate", "tiny"))
    after = simulate_users.run(home, before, TINY)
    assert simulate_users.run(home, after, TINY) == after
