"""/v1/conversations: what was said in a conversation, and its deletion."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from tastemaker.assistant.api.auth import Asking
from tastemaker.assistant.api.fields import ConversationId, UserId
from tastemaker.assistant.reply import Reply
from tastemaker.assistant.services import Services
from tastemaker.core.database import work
from tastemaker.core.errors import NotFound


class TurnBody(BaseModel):
    """A turn as it was shown."""

    id: str
    question: str
    answer: str
    items: list[dict[str, Any]]
    notices: list[str]
    steps: list[dict[str, Any]]
    tokens: dict[str, int]
    ms: float
    cents: float
    status: str


class ConversationBody(BaseModel):
    """A conversation, oldest turn first."""

    conversation: str
    turns: list[TurnBody]


class Deleted(BaseModel):
    """What was deleted."""

    id: str
    deleted: bool = True


def routes(services: Services) -> APIRouter:
    """The routes of conversations."""
    api = APIRouter(tags=["conversations"])

    @api.get("/v1/conversations/{conversation_id}")
    async def read(
        conversation_id: ConversationId, caller: Asking, user: UserId | None = None
    ) -> ConversationBody:
        """All turns of a conversation."""
        find = services.records.of_conversation
        records = await work(services.engine, find, conversation_id, caller.owner(user))
        if records is None:
            raise NotFound(f"no conversation {conversation_id!r}")
        turns = [_turn(Reply.of_record(record)) for record in records]
        return ConversationBody(conversation=conversation_id, turns=turns)

    @api.delete("/v1/conversations/{conversation_id}")
    async def delete(
        conversation_id: ConversationId, caller: Asking, user: UserId | None = None
    ) -> Deleted:
        """Delete a conversation with all that is kept of it."""
        drop = services.conversations.delete
        if not await work(services.engine, drop, conversation_id, caller.owner(user)):
            raise NotFound(f"no conversation {conversation_id!r}")
        return Deleted(id=conversation_id)

    return api


def _turn(reply: Reply) -> TurnBody:
    return TurnBody(
        id=reply.id,
        question=reply.question,
        answer=reply.text,
        items=[dict(item) for item in reply.items],
        notices=list(reply.notices),
        steps=[dict(step) for step in reply.steps],
        tokens={"prompt": reply.prompt_tokens, "completion": reply.completion_tokens},
        ms=reply.ms,
        cents=reply.cents,
        status=reply.status,
    )
