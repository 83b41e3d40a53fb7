"""From a request to a question: history, the user's pictures, a click, and back into the store."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.chat import Asked, BadRequest, reply
from tastemaker.assistant.clients import RequestRefused, Upstreams
from tastemaker.assistant.conversation import (
    Conversations,
    ItemList,
    Turn,
    carried_over,
    known_turns,
)
from tastemaker.assistant.loop import Assistant
from tastemaker.assistant.settings import AssistantConfig
from tastemaker.assistant.turn import Answer, Call, Question, Step
from tastemaker.router import messages as codec


class Session:
    """Answers requests and remembers what they were about.

    Args:
        catalogue: Items and vectors.
        assistant: The loop.
        upstreams: The servers.
        conversations: The store.
        config: Limits.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        assistant: Assistant,
        upstreams: Upstreams,
        conversations: Conversations,
        config: AssistantConfig,
    ) -> None:
        self.catalogue, self.assistant, self.upstreams = catalogue, assistant, upstreams
        self.conversations, self.config = conversations, config

    async def answer(self, asked: Asked) -> AsyncIterator[Step | dict[str, Any]]:
        """Answer one request.

        Yields:
            Each step as it is done, then the reply's body.

        Raises:
            BadRequest: A picture that cannot be read, or an unknown item clicked.
            ServiceDown: A server that the turn needs is not available.
        """
        notices = list(asked.notices)
        held = self.conversations.get(asked.conversation)
        if asked.conversation and held is None:
            notices.append("This conversation was forgotten: a new one began.")
        conversation = held or self.conversations.new()
        history = _history(conversation.turns, asked.earlier)
        question = await self._question(asked, history)
        async for event in self.assistant.answer(question):
            if isinstance(event, Answer):
                turns = (*question.history, event.turn)
                self.conversations.put(conversation.conversation_id, turns)
                yield reply(
                    event,
                    self.catalogue,
                    conversation=conversation.conversation_id,
                    notices=tuple(notices),
                )
            else:
                yield event

    async def _question(self, asked: Asked, history: tuple[Turn, ...]) -> Question:
        clicked = [turn.liked for turn in history if turn.liked]
        shown, brought = carried_over(
            history, max_turns=self.config.max_turns, max_lists=self.config.max_lists
        )
        lists = [items for turn in shown for items in turn.lists]
        new = list(brought)
        if asked.images:
            new.append(await self._pictures(asked.images))
        call, said = None, ""
        if asked.similar_to is not None:
            place = _place(asked.similar_to, [*lists, *new])
            if place is None:
                new.append(self._single(asked.similar_to))
                place = (len(lists) + len(new), 1)
            call = Call("similar_items", {"item": f"@{place[0]}#{place[1]}"})
            said = f"more like #{place[1]}"
            clicked.append(asked.similar_to)
        events = [{"item_id": item_id, "action": "closeup"} for item_id in clicked]
        return Question(
            text=asked.question,
            history=shown,
            user={"user_id": asked.user} if asked.user else {"events": events},
            brought=tuple(new),
            first_call=call,
            liked=asked.similar_to or "",
            said=said,
        )

    async def _pictures(self, images: Sequence[str]) -> ItemList:
        vectors = []
        for image in images:
            try:
                vector_D = await self.upstreams.embed(
                    {"image": image}, timeout_s=self.config.budget_s
                )
            except RequestRefused as refused:
                raise BadRequest(f"image_url: {refused.reason}", "messages") from None
            vectors.append(vector_D)
        return ItemList((None,) * len(vectors), np.stack(vectors))

    def _single(self, item_id: str) -> ItemList:
        if item_id not in self.catalogue.place:
            raise BadRequest(f"similar_to: no item {item_id!r}", "tastemaker.similar_to")
        return ItemList((item_id,), self.catalogue.vectors([item_id]))


def _history(turns: Sequence[Turn], earlier: Sequence[tuple[str, str]]) -> tuple[Turn, ...]:
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
