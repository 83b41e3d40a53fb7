"""/api/me and /api/users: who asks, what the system knows of a user, and how it forgets one."""

from collections.abc import Sequence
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import Engine, func, select

from tastemaker.assistant import deletion, examples
from tastemaker.assistant.api.auth import Asking
from tastemaker.assistant.api.fields import UserId
from tastemaker.assistant.catalogue import Catalogue, shown
from tastemaker.assistant.services import Services
from tastemaker.core.database import in_thread
from tastemaker.data import event_log
from tastemaker.data.event_log import live_events
from tastemaker.features.signals import Signals

_READ_S = 2.0  # a page can wait longer for features than a turn


class Me(BaseModel):
    """The caller."""

    name: str
    user: str | None
    roles: list[str]
    auth: Literal["open", "keys", "oidc"]


class SampleUser(BaseModel):
    """A user of the catalogue's events, with the categories that they save most."""

    user_id: str
    likes: list[str]


class SampleUsers(BaseModel):
    """Some users of the catalogue's events."""

    users: list[SampleUser]


class RecentItem(BaseModel):
    """An item that the user did something with."""

    item_id: str
    title: str
    price: float | None
    category: str
    image_url: str
    score: float | None
    action: str
    time_ms: int


class KnownUser(BaseModel):
    """All that is known of a user; a user of whom nothing is known has zeros.

    Attributes:
        counts: Events by action and window, such as `save_7d`.
        categories, styles: Shares of the user's taste, of 1.
        recency_s: Seconds since the latest event.
        staleness_s: Seconds of events that the user embedding has not seen.
        recent: The latest events on items that the catalogue still has, newest first.
        missing: Kinds of features without a value: there is none, or their store is down.
        num_events: Live events that are kept.
    """

    user_id: str
    counts: dict[str, int]
    categories: dict[str, float]
    styles: dict[str, float]
    recency_s: float | None
    staleness_s: float | None
    recent: list[RecentItem]
    missing: list[str]
    num_events: int
    num_boards: int
    num_conversations: int


class Deleted(BaseModel):
    """How much of each kind was deleted."""

    events: int
    features: int
    conversations: int
    turns: int
    boards: int


class Forgotten(BaseModel):
    """The answer to a deletion."""

    deleted: Deleted


def routes(services: Services) -> APIRouter:
    """The routes of users.

    Args:
        services: The gateway's parts.
    """
    api = APIRouter(tags=["users"])
    samples = [SampleUser(**row) for row in examples.sample_users(services.catalogue)]

    @api.get("/api/me")
    async def me(caller: Asking) -> Me:
        """Who the caller is."""
        auth = services.identity.config.auth
        return Me(name=caller.name, user=caller.user, roles=sorted(caller.roles), auth=auth)

    @api.get("/api/users")
    async def users(caller: Asking) -> SampleUsers:
        """Some users to try the assistant with; operators only."""
        caller.require("operator")
        return SampleUsers(users=samples)

    @api.get("/api/users/{user_id:path}")
    async def known(user_id: UserId, caller: Asking) -> KnownUser:
        """What is known of a user."""
        caller.act_for(user_id)
        engine = services.engine
        signals: Signals = await services.features.read(user_id, "", deadline_s=_READ_S)
        return KnownUser(
            user_id=user_id,
            counts=dict(signals.counts or {}),
            categories=dict(signals.categories or {}),
            styles=dict(signals.styles or {}),
            recency_s=signals.recency_s,
            staleness_s=signals.staleness_s,
            recent=_recent(await _history(services, signals), services.catalogue),
            missing=list(signals.missing),
            num_events=await in_thread(engine, _num_events, engine, user_id),
            num_boards=await in_thread(engine, services.boards.count, user_id),
            num_conversations=await in_thread(engine, services.records.count, user_id),
        )

    @api.delete("/api/users/{user_id:path}")
    async def forget(user_id: UserId, caller: Asking) -> Forgotten:
        """Delete all that is kept of a user; safe to repeat."""
        caller.act_for(user_id)
        return Forgotten(deleted=Deleted(**await deletion.forget_user(services, user_id)))

    return api


async def _history(services: Services, signals: Signals) -> Sequence[tuple[str, str, int]]:
    """The user's events; those of the log while the features have none."""
    if signals.history or signals.user_id is None:
        return signals.history
    logged = await in_thread(services.engine, event_log.of_user, services.engine, signals.user_id)
    return [(event.item_id, event.action, event.time_ms) for event in logged]


def _recent(history: Sequence[tuple[str, str, int]], catalogue: Catalogue) -> list[RecentItem]:
    return [
        RecentItem(**shown(catalogue.item(item_id)), action=action, time_ms=time_ms)
        for item_id, action, time_ms in reversed(history)
        if item_id in catalogue.place
    ]


def _num_events(engine: Engine, user_id: str) -> int:
    own = select(func.count()).select_from(live_events).where(live_events.c.user_id == user_id)
    with engine.connect() as connection:
        return connection.execute(own).scalar_one()
