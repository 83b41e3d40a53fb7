import math

import pytest
import torch

from tastemaker.encoder.losses import contrastive, naming, neighbouring

ONE = torch.tensor(1.0)
NONE = torch.zeros(2, 2, dtype=torch.bool)


def test_two_pairs_match_the_hand_calculation() -> None:
    eye = torch.eye(2)
    assert contrastive(eye, eye, NONE, ONE).item() == pytest.approx(math.log1p(1 / math.e))


def test_rows_that_mean_the_same_are_no_negatives() -> None:
    eye = torch.eye(2)
    assert contrastive(eye, eye, ~NONE, ONE).item() == pytest.approx(0)


def test_uninformative_vectors_score_the_log_of_the_batch() -> None:
    same = torch.ones(5, 3) / math.sqrt(3)
    loss = contrastive(same, same, torch.zeros(5, 5, dtype=torch.bool), ONE * 7)
    assert loss.item() == pytest.approx(math.log(5), rel=1e-5)


def test_order_of_pairs_does_not_matter() -> None:
    torch.manual_seed(0)
    left, right = torch.nn.functional.normalize(torch.randn(2, 6, 4), dim=2)
    none = torch.zeros(6, 6, dtype=torch.bool)
    torch.testing.assert_close(
        contrastive(left, right, none, ONE), contrastive(left.flip(0), right.flip(0), none, ONE)
    )


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="differ"):
        contrastive(torch.eye(2), torch.eye(3), NONE, ONE)


def test_a_neighbour_is_picked_out_of_the_batch() -> None:
    items = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    neighbours = torch.zeros(3, 3, dtype=torch.bool)
    neighbours[0, 1] = neighbours[1, 0] = True
    same = torch.eye(3, dtype=torch.bool)
    # rows 0 and 1 pick each other (cosine 1) over row 2 (cosine 0); row 2 has no neighbour
    assert neighbouring(items, neighbours, same, ONE).item() == pytest.approx(
        math.log1p(1 / math.e)
    )
    assert neighbouring(items, neighbours & False, same, ONE).item() == 0


def test_naming_leaves_out_rows_without_a_value() -> None:
    logits = torch.tensor([[0.0, 0.0], [5.0, -5.0]])
    assert naming(logits, torch.tensor([1, -1])).item() == pytest.approx(math.log(2))
    assert naming(logits, torch.tensor([-1, -1])).item() == 0
