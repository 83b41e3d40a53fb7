"""From a request to a question: history, the user's pictures, a board, a click."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tastemaker.assistant.asked import Asked
from tastemaker.assistant.boards import BoardStore
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.clients import RequestRefused, ServiceDown, Upstreams
from tastemaker.assistant.conversation import ItemList, Turn, carried_over, known_turns
from tastemaker.assistant.errors import BadRequest
from tastemaker.assistant.settings import AssistantConfig
from tastemaker.assistant.turn import Call, Question
from tastemaker.core.database import work
from tastemaker.core.errors import NotFound, SpaceMismatch
from tastemaker.features.signals import Signals
from tastemaker.router import messages as codec

_FOLLOWS = ("save", "click", "closeup", "hide")  # actions that the recommender reads


@dataclass
class Questions:
    """Makes questions.

    Args:
        catalogue: Items and vectors.
        upstreams: Embeds the user's pictures.
        boards: The users' boards.
        config: Limits.
    """

    catalogue: Catalogue
    upstreams: Upstreams
    boards: BoardStore
    config: AssistantConfig

    async def make(
        self, asked: Asked, turns: Sequence[Turn], signals: Signals, **who: Any
    ) -> Question:
        """The question that a request asks.

        Args:
            asked: The request.
            turns: Those of the conversation that the server remembers.
            signals: What is known of the user and the session.
            who: `caller`, `max_cents`, `began_s`.

        Raises:
            BadRequest: A picture that cannot be read, or an unknown item clicked.
            NotFound: No such board of this user.
        """
        history, brought = carried_over(
            with_the_clients(turns, asked.earlier),
            max_turns=self.config.max_turns,
            max_lists=self.config.max_lists,
        )
        made = _Making(history, list(brought), list(asked.notices))
        if asked.images:
            await self._pictures(asked, made)
        if asked.board or asked.complete_board:
            await self._board(asked, made)
        if asked.similar_to is not None:
            self._click(asked.similar_to, made)
        if asked.outcome and made.call is None:
            made.call = Call("recommend", {"outcome": asked.outcome})
        return Question(
            text=asked.question,
            history=history,
            user_id=asked.user,
            events=self._events(signals, asked.similar_to),
            signals=signals,
            brought=tuple(made.brought),
            first_call=made.call,
            liked=asked.similar_to or "",
            said=made.said,
            notices=tuple(made.notices),
            **who,
        )

    def _events(self, signals: Signals, clicked: str | None) -> tuple[dict[str, str], ...]:
        """What the user did lately; a guest's is what the session holds."""
        followed = signals.history or signals.session.items
        events = [
            {"item_id": item_id, "action": action}
            for item_id, action, _ in followed
            if item_id in self.catalogue.place and action in _FOLLOWS
        ]
        if clicked is not None:
            events.append({"item_id": clicked, "action": "closeup"})
        return tuple(events)

    async def _pictures(self, asked: Asked, made: "_Making") -> None:
        pictures = [{"image": image} for image in asked.images]
        longest_s = self.config.budget_s / 2  # the rest is for the turn itself
        try:
            vectors_ND = await self.upstreams.embed_all(pictures, timeout_s=longest_s)
        except RequestRefused as refused:
            raise BadRequest(f"image_url: {refused.reason}", "messages") from None
        except (ServiceDown, SpaceMismatch):
            made.notices.append("Your picture cannot be looked at right now.")
            return
        none = (None,) * len(vectors_ND)
        number = made.bring(ItemList(none, vectors_ND, (), asked.images))
        if asked.shop_room:
            made.call = Call("shop_room", {"item": f"@{number}#1"})

    async def _board(self, asked: Asked, made: "_Making") -> None:
        wanted = asked.complete_board or asked.board or ""
        if asked.user is None:
            raise NotFound(f"no board {wanted!r}: boards belong to a user, and none is named")
        board = await work(self.boards.engine, self.boards.get, wanted, asked.user)
        ids = tuple(i for i in board.items if i in self.catalogue.place)[: codec.MAX_ITEMS]
        if not ids:
            raise BadRequest(f"board {wanted!r} is empty: put an item on it first", "tastemaker")
        number = made.bring(ItemList(ids, self.catalogue.vectors(ids)))
        if asked.complete_board:
            made.call = Call("complete_board", {"items": f"@{number}"})

    def _click(self, item_id: str, made: "_Making") -> None:
        if item_id not in self.catalogue.place:
            raise BadRequest(f"similar_to: no item {item_id!r}", "tastemaker.similar_to")
        place = _place(item_id, made.lists())
        if place is None:
            made.bring(ItemList((item_id,), self.catalogue.vectors([item_id])))
            place = (len(made.lists()), 1)
        made.call = Call("similar_items", {"item": f"@{place[0]}#{place[1]}"})
        made.said = f"more like #{place[1]}"


@dataclass
class _Making:
    """A question under way."""

    history: Sequence[Turn]
    brought: list[ItemList]
    notices: list[str]
    call: Call | None = None
    said: str = ""
    earlier: list[ItemList] = field(init=False)

    def __post_init__(self) -> None:
        self.earlier = [items for turn in self.history for items in turn.lists]

    def lists(self) -> list[ItemList]:
        return [*self.earlier, *self.brought]

    def bring(self, items: ItemList) -> int:
        """Add a list; its number."""
        self.brought.append(items)
        return len(self.lists())


def with_the_clients(turns: Sequence[Turn], earlier: Sequence[tuple[str, str]]) -> tuple[Turn, ...]:
    """The stored turns that still hold, then what only the client remembers, as plain text."""
    known, num_covered = known_turns(turns, [question for question, _ in earlier])
    return (*known, *(_plain(*pair) for pair in earlier[num_covered:]))


def _plain(question: str, answer: str) -> Turn:
    said = {"role": "assistant", "content": codec.clean_text(answer)}
    return Turn(question, (codec.user_message(question), said))


def _place(item_id: str, lists: Sequence[ItemList]) -> tuple[int, int] | None:
    """Number of the latest list that holds an item, and its place there, both from 1."""
    for number in range(len(lists), 0, -1):
        if item_id in lists[number - 1].item_ids:
            return number, lists[number - 1].item_ids.index(item_id) + 1
    return None
