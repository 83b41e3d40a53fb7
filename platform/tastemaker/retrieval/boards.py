"""Board completion: which items belong with those that a board holds already.

A linear model that predicts an item from the others it stands with, learned in closed form from
two kinds of rows at once: training boards (which items stand together), and content (each word
or vector dimension is a row that "holds" the items which have it). Items on no board are
reached by their content. It is collective EASE (Jeunen et al., RecSys 2020), solved in its dual
form: the cost grows with the number of rows squared, and only linearly with the items.

Shape suffixes: N = items, R = rows (boards and content), D = width of a space.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tastemaker.core.errors import DataError

# chosen on the validation boards of ikea-home; a board weighs 1
VECTOR_WEIGHT, TITLE_WEIGHT, COLOR_WEIGHT, RIDGE = 2.0, 2.0, 0.7, 5.0
MAX_WORDS = 4096  # commonest words that count


@dataclass(frozen=True)
class Content:
    """One kind of content.

    Attributes:
        features_ND: One row an item; rows of about unit norm.
        weight: How much it counts beside a board, >= 0.
    """

    features_ND: np.ndarray
    weight: float


@dataclass(frozen=True)
class BoardModel:
    """Scores of all items beside a given set.

    Attributes:
        rows_RN: Boards and weighted content.
        solved_RN: (rows rows' + ridge)^-1 rows.
        free_N: How far an item is not explained by itself, 0..1.
    """

    rows_RN: np.ndarray
    solved_RN: np.ndarray
    free_N: np.ndarray

    @classmethod
    def fit(
        cls, boards: Sequence[Sequence[int]], contents: Sequence[Content], *, ridge: float = RIDGE
    ) -> "BoardModel":
        """Learn from training boards and content.

        Args:
            boards: Item numbers of each board.
            contents: At least one; all of the same number of items.
            ridge: Penalty of the squared weights, > 0.

        Raises:
            DataError: Contents of different lengths, or a ridge that is not positive.
        """
        lengths = {len(content.features_ND) for content in contents}
        if len(lengths) != 1 or ridge <= 0:
            raise DataError(f"contents of {sorted(lengths)} items, ridge {ridge}: one length, > 0")
        on_board = np.zeros((len(boards), lengths.pop()), np.float32)
        for row, items in enumerate(boards):
            on_board[row, list(items)] = 1
        blocks: list[np.ndarray] = [on_board, *(c.weight * c.features_ND.T for c in contents)]
        rows_RN = np.concatenate(blocks).astype(np.float32)
        square_RR = rows_RN @ rows_RN.T + ridge * np.eye(len(rows_RN), dtype=np.float32)
        solved_RN = np.linalg.solve(square_RR, rows_RN)
        free_N = 1 - np.einsum("rn,rn->n", rows_RN, solved_RN)
        return cls(rows_RN, solved_RN, np.maximum(free_N, 1e-6))

    def scores(self, given: Sequence[int]) -> np.ndarray:
        """How well each item fits beside the given ones; the given ones score -inf.

        Args:
            given: Item numbers, at least one.

        Returns:
            (N,) float32.

        Raises:
            DataError: Nothing is given.
        """
        if not len(given):
            raise DataError("no items are given: a board is completed from at least one")
        held = list(given)
        scores_N = self.rows_RN[:, held].sum(1) @ self.solved_RN / self.free_N
        scores_N[held] = -np.inf
        return np.asarray(scores_N, np.float32)


def board_contents(
    item_ND: np.ndarray, titles: Sequence[str], colors: Sequence[str]
) -> list[Content]:
    """The content of catalogue items: encoder vectors, words of the title, the colour's name.

    Args:
        item_ND: Unit vectors of the items: image and text.
        titles: Of the items; names of a series stand there.
        colors: Of the items; "" where unknown.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+", max_features=MAX_WORDS)
    title_NF = vectorizer.fit_transform(titles).toarray().astype(np.float32)
    names, color_N = np.unique(np.array(colors), return_inverse=True)
    color_NF = np.eye(len(names), dtype=np.float32)[color_N] * (names != "")
    return [
        Content(item_ND, VECTOR_WEIGHT),
        Content(title_NF, TITLE_WEIGHT),
        Content(color_NF, COLOR_WEIGHT),
    ]


def complete_board(model: BoardModel, given: Sequence[int], k: int) -> list[tuple[int, float]]:
    """The k items that fit best beside the given ones, best first, with their scores."""
    scores_N = model.scores(given)
    best = np.argsort(-scores_N, kind="stable")[: min(k, len(scores_N) - len(set(given)))]
    return [(int(row), float(scores_N[row])) for row in best]


def co_occurrence(boards: Sequence[Sequence[int]], num_items: int) -> np.ndarray:
    """On how many boards two items stand together, (N, N), zero diagonal: the graph baseline."""
    on_board = np.zeros((len(boards), num_items), np.float32)
    for row, items in enumerate(boards):
        on_board[row, list(items)] = 1
    counts_NN: np.ndarray = on_board.T @ on_board
    np.fill_diagonal(counts_NN, 0)
    return counts_NN
