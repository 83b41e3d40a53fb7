"""recommend: what this user would like, save or click, in one style or in several."""

import asyncio
from collections.abc import Mapping
from typing import Any

from tastemaker.assistant.clients import Prediction, RequestRefused
from tastemaker.assistant.conversation import ItemList
from tastemaker.assistant.tools.ranking import (
    Ranked,
    diversified,
    outcome_rates,
    rank_by_outcome,
    rank_by_text_and_taste,
)
from tastemaker.assistant.tools.search import Search
from tastemaker.assistant.tools.situation import CallError, Situation, text_argument

_CANDIDATES = 1000  # of the recommender, to know how an item that fits the words is liked
_FITTING = 50  # items that fit the words of a recommendation, before taste orders them
_POOL = 100  # items that an outcome or a wish for variety chooses among
_RELEVANCE = {"low": 1.0, "high": 0.5}  # by diversity; 1 keeps the model's own order


class Recommend:
    """The tool.

    Args:
        search: For words, and for items and vectors.
    """

    def __init__(self, search: Search) -> None:
        self.search = search
        self._rates: dict[str, dict[str, float]] | None = None

    async def __call__(self, arguments: Mapping[str, Any], situation: Situation) -> ItemList:
        """Carry out recommend.

        Raises:
            CallError: A user of whom nothing can be said, or an outcome without a figure.
        """
        outcome, diversity = arguments.get("outcome"), arguments.get("diversity")
        ranked = await self._ranked(arguments, situation, widely=bool(outcome or diversity))
        known = self.search.offered(ranked, situation)
        if outcome:
            rates = await self._rates_of(outcome)
            if not rates:
                situation.notices.append(f"No {outcome} was seen yet: ordered by taste alone.")
            known = rank_by_outcome(known, rates)
        if diversity:
            vectors_ND = self.search.catalogue.vectors([item_id for item_id, _ in known])
            wanted = _RELEVANCE[diversity]
            known = diversified(known, vectors_ND, self.search.num_items, relevance=wanted)
        return self.search.listed(known, situation)

    async def _ranked(
        self, arguments: Mapping[str, Any], situation: Situation, *, widely: bool
    ) -> Ranked:
        prediction = situation.prediction
        if arguments.get("query"):
            words = text_argument("query", arguments["query"])
            fitting = await self.search.fitting(words, situation, k=_FITTING)
            taste = dict((await self._predict(_CANDIDATES, situation)).items)
            return rank_by_text_and_taste(fitting, taste)
        if widely:
            prediction = await self._predict(_POOL, situation)
        elif prediction is None:
            prediction = await self._predict(self.search.num_items, situation)
        return list(prediction.items)

    async def _predict(self, k: int, situation: Situation) -> Prediction:
        try:
            return await self.search.upstreams.recommend(
                situation.user, k=k, timeout_s=situation.remaining_s()
            )
        except RequestRefused:
            raise CallError("recommend: nothing is known of this user; use search_items") from None

    async def _rates_of(self, outcome: str) -> Mapping[str, float]:
        if self._rates is None:
            self._rates = await asyncio.to_thread(outcome_rates, self.search.catalogue.dataset)
        return self._rates.get(outcome, {})
