"""The ledger's lines of a turn: every request to a router, every tool, with its price."""

from collections.abc import Sequence
from typing import Any

from tastemaker.assistant.ledger import Attempt, Entry, Ledger
from tastemaker.assistant.prices import Prices
from tastemaker.assistant.turn import Step

USER_PRICE = "own-recommender"  # ids in the price list: the model servers behind a turn
TOOL_PRICES = ("own-encoder", "own-retrieval")  # and behind a native tool
_FREE = ("answer", "malformed")  # steps that call nothing


def entries(
    ledger: Ledger, attempts: Sequence[Attempt], steps: Sequence[Step], turn_id: str, **who: Any
) -> list[Entry]:
    """Lines of a turn.

    Args:
        ledger: Prices them.
        attempts: Requests to routers.
        steps: What was done.
        turn_id: Of the turn.
        who: `conversation_id`, `caller`, `user_id`.
    """
    encoder, retrieval = TOOL_PRICES
    lines = [ledger.entry(turn_id, "embedding", "user", price=USER_PRICE, **who)]
    for step in steps:
        if step.tool in _FREE:
            continue
        name, outcome = step.tool[:128], "failed" if step.error else "ok"
        lines.append(ledger.entry(turn_id, "embedding", name, price=encoder, **who))
        lines.append(
            ledger.entry(
                turn_id,
                "tool",
                name,
                price=retrieval,
                ms=step.ms,
                extra_cents=step.charged_cents,
                outcome=outcome,
                **who,
            )
        )
    return [*ledger.attempts(turn_id, attempts, **who), *lines]


def tool_cents(prices: Prices) -> float:
    """What our own servers behind one native tool call cost."""
    return sum(prices.charge(price).cents for price in TOOL_PRICES)
