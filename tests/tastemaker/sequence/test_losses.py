import math

import pytest
import torch
import torch.nn.functional as F

from tastemaker.data.records import ACTIONS
from tastemaker.sequence.config import SequenceConfig
from tastemaker.sequence.losses import next_item_loss, sampled_softmax
from tastemaker.sequence.model import SequenceModel

SAVE = ACTIONS.index("save")
CONFIG = SequenceConfig(width=32, layers=1, heads=2, max_events=8, user_dim=16, dropout_frac=0)
ITEMS = F.normalize(torch.randn(20, 12, generator=torch.Generator().manual_seed(1)), dim=-1)
ROWS, NEXT = torch.tensor([[1, 2, 3], [7, 8, 9]]), torch.tensor([[2, 3, 4], [8, 9, -100]])


def model() -> SequenceModel:
    torch.manual_seed(0)
    return SequenceModel(CONFIG, item_dim=12, num_items=20)


def loss(of: SequenceModel, max_candidates: int) -> torch.Tensor:
    saves = torch.full(ROWS.shape, SAVE)
    return next_item_loss(of, ITEMS, ROWS, saves, NEXT, max_candidates=max_candidates)


def test_one_position_matches_the_hand_calculation() -> None:
    target, sampled = torch.tensor([1.0]), torch.tensor([[0.0, 2.0, 1.0]])
    same = torch.tensor([[False, False, True]])
    # two others stand for the nine others of a catalogue of ten
    by_hand = math.log(math.e + 9 / 2 * (1 + math.exp(2))) - 1
    found = sampled_softmax(target, sampled, same, num_items=10)
    assert found.item() == pytest.approx(by_hand)


@pytest.mark.parametrize("num_sampled", [1, 7, 40])
def test_equal_logits_score_the_logarithm_of_the_catalogue(num_sampled: int) -> None:
    same = torch.zeros(3, num_sampled, dtype=torch.bool)
    found = sampled_softmax(torch.zeros(3), torch.zeros(3, num_sampled), same, num_items=500)
    assert found.item() == pytest.approx(math.log(500), rel=1e-6)


def test_a_sample_of_every_item_is_the_full_cross_entropy() -> None:
    logits = torch.randn(4, 20, generator=torch.Generator().manual_seed(2))
    target = torch.tensor([3, 0, 19, 7])
    own = logits[torch.arange(4), target]
    found = sampled_softmax(own, logits, torch.arange(20) == target[:, None], num_items=20)
    torch.testing.assert_close(found, F.cross_entropy(logits, target))


def test_one_item_is_no_choice() -> None:
    with pytest.raises(ValueError, match="num_items must be >= 2, got 1"):
        sampled_softmax(torch.zeros(1), torch.zeros(1, 1), torch.ones(1, 1) > 0, num_items=1)


@pytest.mark.parametrize("max_candidates", [20, 19])
def test_a_model_that_knows_nothing_is_at_chance(max_candidates: int) -> None:
    fresh = model()
    with torch.no_grad():
        fresh.log_scale.fill_(-9)
    assert loss(fresh, max_candidates).item() == pytest.approx(math.log(20), abs=1e-3)


def test_the_sampled_loss_is_the_full_one_on_average() -> None:
    fresh, full = model(), loss(model(), 20).item()
    torch.manual_seed(3)
    sampled = [loss(fresh, 19).item() for _ in range(200)]
    assert sum(sampled) / len(sampled) == pytest.approx(full, rel=0.03)


@pytest.mark.parametrize("max_candidates", [20, 12])
def test_it_overfits_one_batch(max_candidates: int) -> None:
    trained = model()
    optimizer = torch.optim.Adam(trained.parameters(), lr=1e-2)
    for _ in range(150):
        value = loss(trained, max_candidates)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert loss(trained, 20).item() < 0.1
