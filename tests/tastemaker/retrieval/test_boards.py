import numpy as np
import pytest

from tastemaker.core.errors import DataError
from tastemaker.retrieval.boards import (
    BoardModel,
    Content,
    board_contents,
    co_occurrence,
    complete_board,
)


def slow_scores(rows: np.ndarray, given: list[int], ridge: float) -> np.ndarray:
    """The primal closed form: the inverse of the N x N Gram matrix, diagonal forced to zero."""
    inverse = np.linalg.inv(rows.T @ rows + ridge * np.eye(rows.shape[1]))
    weights = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(weights, 0)
    return weights[given].sum(0)


def test_the_dual_form_agrees_with_the_primal_one() -> None:
    rng = np.random.default_rng(1)
    boards = [sorted(rng.choice(30, 6, replace=False).tolist()) for _ in range(12)]
    features = rng.normal(size=(30, 5)).astype(np.float32)
    model = BoardModel.fit(boards, [Content(features, 0.7)], ridge=3.0)
    rows = np.zeros((12, 30))
    for row, items in enumerate(boards):
        rows[row, items] = 1
    rows = np.concatenate([rows, 0.7 * features.T])
    given = [2, 9]
    expected = slow_scores(rows, given, 3.0)
    found = model.scores(given)
    others = [i for i in range(30) if i not in given]
    np.testing.assert_allclose(found[others], expected[others], rtol=1e-3, atol=1e-4)
    assert np.isneginf(found[given]).all()


def test_items_of_one_board_complete_each_other_and_cold_ones_come_by_content() -> None:
    boards = [[0, 1, 2], [0, 1], [3, 4], [3, 4]]
    features = np.eye(6, dtype=np.float32)
    features[5] = features[4]  # on no board, but like item 4
    model = BoardModel.fit(boards, [Content(features, 1.0)], ridge=1.0)
    assert complete_board(model, [0], 1)[0][0] == 1
    assert complete_board(model, [3], 1)[0][0] == 4
    assert [row for row, _ in complete_board(model, [4], 2)] == [3, 5]


def test_never_more_than_there_are_and_never_the_given() -> None:
    model = BoardModel.fit([[0, 1]], [Content(np.eye(3, dtype=np.float32), 1.0)])
    assert sorted(row for row, _ in complete_board(model, [0], 10)) == [1, 2]


def test_co_occurrence_by_hand() -> None:
    counts = co_occurrence([[0, 1], [0, 1, 2]], 3)
    assert counts.tolist() == [[0, 2, 1], [2, 0, 1], [1, 1, 0]]


def test_what_cannot_be_is_refused() -> None:
    content = Content(np.eye(3, dtype=np.float32), 1.0)
    with pytest.raises(DataError, match="no items are given"):
        BoardModel.fit([], [content]).scores([])
    with pytest.raises(DataError, match="one length"):
        BoardModel.fit([], [content, Content(np.eye(2, dtype=np.float32), 1.0)])


def test_content_of_items_without_a_colour_is_no_colour() -> None:
    vectors, title, color = board_contents(
        np.eye(3, dtype=np.float32), ["Red lamp", "lamp", "sofa"], ["red", "", "red"]
    )
    assert vectors.features_ND.shape == (3, 3)
    assert title.features_ND.shape == (3, 3)
    assert color.features_ND.tolist() == [[0, 1], [0, 0], [0, 1]]
