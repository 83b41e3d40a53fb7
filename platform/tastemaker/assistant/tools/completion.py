"""What belongs with some items: a model of the catalogue's boards, or their mean until then."""

import logging
import threading
from collections.abc import Sequence

import numpy as np

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.tools.ranking import Ranked, spread_over
from tastemaker.retrieval.boards import MAX_WORDS, BoardModel, board_contents

MAX_CELLS = 60_000_000  # of the model's rows times items: 240 MB, some seconds to fit
_POOL = 100  # nearest items that are spread over categories

_log = logging.getLogger(__name__)


class BoardCompleter:
    """Items that belong with given ones.

    Args:
        catalogue: Items, their vectors, and the dataset version whose boards are learned from.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.model: BoardModel | None = None

    def start(self) -> threading.Thread:
        """Fit the model in a thread that ends with the process; a failure is logged."""
        thread = threading.Thread(target=self._fit_or_log, name="board-model", daemon=True)
        thread.start()
        return thread

    def fit(self) -> bool:
        """Learn from the dataset version's training boards.

        Returns:
            Whether there is a model now: not without boards, nor above `MAX_CELLS`.
        """
        boards = self._boards()
        items, width = self.catalogue.vectors_ND.shape
        colors = [item.attributes.get("color", "") for item in self.catalogue.items]
        rows = len(boards) + width + MAX_WORDS + len(set(colors))
        if not boards or rows * items > MAX_CELLS:
            return False
        titles = [item.title for item in self.catalogue.items]
        contents = board_contents(self.catalogue.vectors_ND, titles, colors)
        self.model = BoardModel.fit(boards, contents)
        return True

    def beside(self, item_ids: Sequence[str | None], vectors_ND: np.ndarray, k: int) -> Ranked:
        """The k items that fit best beside given ones, best first.

        Args:
            item_ids: The given ones; None for a picture of the user's own, which counts by its
                vector alone.
            vectors_ND: Their unit vectors; at least one.
            k: How many, >= 1.
        """
        known = [self.catalogue.place[i] for i in item_ids if i in self.catalogue.place]
        if self.model is not None and len(known) == len(item_ids):
            return self._ranked(self.model.scores(known), k)
        score_N = self.catalogue.vectors_ND @ vectors_ND.mean(0)
        score_N[known] = -np.inf
        kinds = {item.item_id: item.category for item in self.catalogue.items}
        nearest = self._ranked(score_N, max(k, _POOL))
        return spread_over(nearest, kinds, k, per_kind=max(1, k // 4))

    def _ranked(self, score_N: np.ndarray, k: int) -> Ranked:
        best = np.argsort(-score_N, kind="stable")[:k]
        rows = ((self.catalogue.items[i].item_id, float(score_N[i])) for i in best)
        return [(item_id, score) for item_id, score in rows if np.isfinite(score)]

    def _boards(self) -> list[list[int]]:
        if "boards" not in self.catalogue.dataset.tables:
            return []
        place = self.catalogue.place
        table = self.catalogue.dataset.read("boards", ["items", "split"])
        found = (
            [place[item] for item in row["items"] if item in place]
            for row in table.to_pylist()
            if row["split"] != "test"
        )
        return [items for items in found if len(items) > 1]

    def _fit_or_log(self) -> None:
        try:
            self.fit()
        except Exception:  # the mean serves instead
            _log.exception("the board model could not be fitted")
