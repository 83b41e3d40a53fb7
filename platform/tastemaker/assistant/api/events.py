"""/api/events: what a user did with the items shown; the next answer knows it."""

import time
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from tastemaker.assistant.api.auth import Asking
from tastemaker.assistant.api.fields import ConversationId, UserId
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.errors import BadRequest
from tastemaker.assistant.identity import Owner
from tastemaker.assistant.services import Services
from tastemaker.core.database import in_thread
from tastemaker.core.errors import NotFound
from tastemaker.data.event_log import LiveEvent

MAX_EVENTS = 100  # of a request
_SAME = {"like": "save"}


class EventIn(BaseModel):
    """Something that happened with an item; the time is the server's."""

    model_config = ConfigDict(extra="forbid")

    item_id: str
    action: Literal["closeup", "save", "click", "hide", "like"]
    surface: Literal["feed", "search", "board", "assistant"] = "assistant"


class EventsIn(BaseModel):
    """Events of a user, of a conversation, or of both, oldest first."""

    model_config = ConfigDict(extra="forbid")

    user: UserId | None = None
    conversation: ConversationId | None = None
    events: Annotated[list[EventIn], Field(min_length=1, max_length=MAX_EVENTS)]


class Accepted(BaseModel):
    """Events that are stored for good; `pushed` tells whether the features know them already."""

    accepted: int
    pushed: bool


def routes(services: Services) -> APIRouter:
    """The route of events.

    Args:
        services: The gateway's parts.
    """
    api = APIRouter(tags=["events"])

    @api.post("/api/events")
    async def record(body: EventsIn, caller: Asking) -> Accepted:
        """Record what a user did with items: the next answer knows it."""
        user_id = caller.act_for(body.user)
        _check_items(services.catalogue, body.events)
        session_id = await _session(services, body.conversation, caller.owner(body.user))
        now_ms = int(time.time() * 1000)
        events = [
            LiveEvent(
                user_id=user_id,
                session_id=session_id,
                item_id=event.item_id,
                action=_SAME.get(event.action, event.action),
                surface=event.surface,
                time_ms=now_ms + number,  # equal times would lose the order
            )
            for number, event in enumerate(body.events)
        ]
        pushed = await services.features.record(events)
        return Accepted(accepted=len(events), pushed=pushed)

    return api


def _check_items(catalogue: Catalogue, events: list[EventIn]) -> None:
    for number, event in enumerate(events):
        if event.item_id not in catalogue.place:
            where = f"events.{number}.item_id"
            raise BadRequest(f"{where}: no item {event.item_id[:200]!r}", where)


async def _session(services: Services, conversation: str | None, owner: Owner) -> str:
    """The session that events belong to: the user's own conversation, else the user's day."""
    user_id = owner.user_id
    if conversation is not None:
        owned = await in_thread(services.engine, services.conversations.get, conversation, owner)
        if owned is not None:
            return conversation
        if user_id is None:
            raise NotFound(f"no conversation {conversation!r}")
    if user_id is None:
        raise BadRequest("events need a user or a conversation", "user")
    return f"{user_id[:180]}@{datetime.now(UTC):%Y-%m-%d}"
