from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from tastemaker.core.errors import DataError
from tastemaker.data.records import ACTIONS
from tastemaker.sequence.batches import batch, training_part
from tastemaker.sequence.config import SequenceConfig
from tastemaker.sequence.histories import History, from_events, histories
from tastemaker.sequence.model import PADDING, SequenceModel
from tastemaker.sequence.recommender import Recommender, load_sequence, save_sequence

SAVE, HIDE = ACTIONS.index("save"), ACTIONS.index("hide")
CONFIG = SequenceConfig(width=32, layers=1, heads=2, max_events=8, user_dim=16, dropout_frac=0)


def unit_rows(rows: int, width: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, width, generator=generator), dim=-1)


def model(num_items: int = 20) -> SequenceModel:
    torch.manual_seed(0)
    return SequenceModel(CONFIG, item_dim=12, num_items=num_items)


def history(*items: int) -> History:
    return History("u", np.array(items, np.int64), np.full(len(items), SAVE, np.int64))


def test_a_later_event_does_not_change_an_earlier_embedding() -> None:
    items = unit_rows(20, 12, 1)[None, :6].requires_grad_()
    users = model().eval()(items, torch.full((1, 6), SAVE))
    users[0, 2].sum().backward()
    assert items.grad is not None
    assert items.grad[0, :3].abs().sum() > 0
    assert items.grad[0, 3:].abs().sum() == 0


def test_at_the_start_items_weigh_more_than_places() -> None:
    fresh = model().eval()
    one, other = unit_rows(2, 12, 1)
    save = fresh.read_action(torch.tensor(SAVE))
    first, second = fresh.read_place(torch.arange(2))
    by_item = (fresh.read_item(one) - fresh.read_item(other)).norm()
    assert by_item > 5 * (first - second).norm()
    assert by_item > 5 * save.norm()


def test_one_by_one_equals_batched_and_padding_does_not_count() -> None:
    recommender = Recommender(
        model(), [str(i) for i in range(20)], unit_rows(20, 12, 1), torch.ones(20)
    )
    users = [history(1, 2, 3, 4, 5), history(6), history(7, 8)]
    together = recommender.user_embeddings(users)
    for row, user in enumerate(users):
        np.testing.assert_allclose(together[row], recommender.user_embedding(user), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_recommendations_leave_out_what_was_met_and_what_is_excluded(tmp_path: Path) -> None:
    recommender = Recommender(
        model(), [f"i{i}" for i in range(20)], unit_rows(20, 12, 1), torch.ones(20)
    )
    found = recommender.recommend(history(1, 2, 3), 30, exclude=["i4", "unknown"])
    assert {item for item, _ in found} == {f"i{i}" for i in range(20)} - {"i1", "i2", "i3", "i4"}
    assert [s for _, s in found] == sorted((s for _, s in found), reverse=True)
    save_sequence(recommender, tmp_path)
    assert load_sequence(tmp_path).recommend(history(1, 2, 3), 30, exclude=["i4"]) == found


def test_a_user_without_events_gets_popular_items() -> None:
    popularity = torch.arange(20).float()
    recommender = Recommender(
        model(), [str(i) for i in range(20)], unit_rows(20, 12, 1), popularity
    )
    assert [item for item, _ in recommender.recommend(history(), 3)] == ["19", "18", "17"]


def test_the_same_step_gives_the_same_batch_and_targets_are_next_positives() -> None:
    mixed = History("u", np.arange(5), np.array([SAVE, HIDE, SAVE, SAVE, HIDE]))
    one, two = (batch([mixed], users=2, max_events=8, seed=1, step=3) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert one[2][0].tolist() == [-100, 2, 3, -100]
    assert not (one[1] == PADDING).any()


def test_training_never_sees_the_held_out_events() -> None:
    user = history(*range(10))
    test, val = user.held_out(1), user.held_out(2)
    assert test is not None
    assert val is not None
    assert (test[1], val[1]) == (9, 8)
    assert training_part(user).items.tolist() == list(range(8))


def test_events_become_histories_in_time_order_without_impressions() -> None:
    table = pa.table(
        {
            "user_id": ["b", "a", "a", "a"],
            "item_id": ["x", "y", "x", "x"],
            "action": ["save", "click", "save", "impression"],
            "time": [1, 9, 3, 1],
        }
    )
    made = histories(table, ["x", "y"])
    assert [(h.user_id, h.items.tolist()) for h in made] == [("a", [0, 1]), ("b", [0])]


def test_unknown_items_and_actions_are_named() -> None:
    with pytest.raises(DataError, match="unknown item 'q'"):
        from_events("u", [{"item_id": "q", "action": "save"}], {"x": 0})
    with pytest.raises(DataError, match="unknown action 'lick'"):
        from_events("u", [{"item_id": "x", "action": "lick"}], {"x": 0})
