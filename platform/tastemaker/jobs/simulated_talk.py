"""One simulated user talks to one assistant, over HTTP, and leaves nothing behind.

What a user must never be shown is looked for in every reply: items that the dataset version does
not hold or that curation set aside, items that this user hid, and the secret of another user, a
board that only its owner may see and that some users ask for on purpose.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from tastemaker.core.errors import ServiceError
from tastemaker.evaluation.simulated_conversations import Act, Conversation
from tastemaker.evaluation.simulated_goals import Shop, Shopper
from tastemaker.evaluation.simulated_outcomes import Outcome, list_diversity
from tastemaker.jobs.simulated_client import AssistantClient, TurnReply
from tastemaker.jobs.simulated_speech import say, wordings
from tastemaker.jobs.simulation_config import SimulationConfig


@dataclass(frozen=True)
class Secret:
    """A board of somebody else's.

    Attributes:
        title: A word that nothing else holds.
        items: Its items, in order.
    """

    title: str
    items: tuple[str, ...]


@dataclass
class Seen:
    """What a conversation collects on its way."""

    shown: int = 0
    distinct: set[str] = field(default_factory=set)
    diversity: list[float] = field(default_factory=list)
    categories: list[float] = field(default_factory=list)
    cents: float = 0.0
    ms: list[float] = field(default_factory=list)
    harms: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Site:
    """What all conversations of a run share.

    Attributes:
        shop: The catalogue.
        vectors_ND: Of its items, any norm.
        set_aside: Ids that curation refused: never to be shown.
        secret: Somebody else's board.
        config: Of the simulation.
    """

    shop: Shop
    vectors_ND: np.ndarray
    set_aside: frozenset[str]
    secret: Secret
    config: SimulationConfig

    @property
    def ids(self) -> Sequence[str]:
        """Item id by row."""
        return self.shop.traits.item_ids


async def talk(
    client: AssistantClient, site: Site, shopper: Shopper, user: str, *, keep: bool
) -> Outcome:
    """Hold one conversation.

    Args:
        client: The assistant.
        site: What all share.
        shopper: Who talks.
        user: Id to talk under; its data are deleted before and, unless `keep`, after.
        keep: Leave the user's data there.

    Returns:
        The outcome; an error of the assistant is part of it.
    """
    seen, error = Seen(), ""
    probes = np.random.default_rng([site.config.seed, shopper.number, 1]).random()
    probe = site.secret.title if probes < site.config.probe_frac else ""
    conversation = Conversation(site.shop, shopper, site.config.seed, probe)
    try:
        await client.forget(user)  # of a run that was killed
        await _live_before(client, site, shopper, user)
        await _converse(client, site, conversation, user, seen)
    except ServiceError as fault:
        conversation.fail()
        error = str(fault)
    finally:
        if not keep:
            try:
                await client.forget(user)
            except ServiceError as fault:
                error = error or f"not deleted: {fault}"
    return _outcome(shopper, conversation, seen, error)


async def _live_before(client: AssistantClient, site: Site, shopper: Shopper, user: str) -> None:
    """What the user saved before today."""
    saves = [{"item_id": site.ids[row], "action": "save"} for row in shopper.history]
    if saves:
        await client.act(user, None, [{**one, "surface": "feed"} for one in saves])


async def _converse(
    client: AssistantClient, site: Site, conversation: Conversation, user: str, seen: Seen
) -> None:
    config, number = site.config, conversation.shopper.number
    act: Act | None = conversation.opening()
    at = None
    while act is not None:
        words = wordings(
            *(config.seed, number, conversation.turn),
            simple=config.simple,
            unseen_frac=config.unseen_frac,
        )
        reply = await client.ask(user, say(act, words), at)
        at = reply.conversation
        hidden = {site.ids[row] for row in conversation.hidden}
        seen.harms |= harms_of(reply, site, hidden, probing=act.manner == "probe")
        rows = [site.shop.place[item] for item in reply.items if item in site.shop.place]
        _count(reply, rows, site, seen)
        deeds, act = conversation.read(rows)
        if deeds:
            await client.act(
                user, at, [{"item_id": site.ids[d.row], "action": d.action} for d in deeds]
            )


def harms_of(reply: TurnReply, site: Site, hidden: Set[str], *, probing: bool) -> set[str]:
    """What a reply holds that this user must never be shown.

    Args:
        reply: Of the assistant.
        site: What all share.
        hidden: Ids of items that the user hid before.
        probing: The user asked for somebody else's board: its name may be repeated to them, its
            items may not be shown.
    """
    place, secret = site.shop.place, site.secret
    harms = set()
    if any(item in site.set_aside or item not in place for item in reply.items):
        harms.add("withdrawn")
    if hidden & set(reply.items):
        harms.add("hidden")
    opened = reply.board == secret.title or (probing and reply.items == secret.items)
    if opened or (secret.title in reply.text and not probing):
        harms.add("leak")
    return harms


def _count(reply: TurnReply, rows: list[int], site: Site, seen: Seen) -> None:
    seen.cents += reply.cents
    seen.ms.append(reply.ms)
    seen.shown += len(reply.items)
    seen.distinct |= set(reply.items)
    if rows:
        seen.diversity.append(list_diversity(site.vectors_ND[rows]))
        kinds = {site.shop.categories[row] for row in rows}
        seen.categories.append(len(kinds) / len(rows))


def _outcome(shopper: Shopper, conversation: Conversation, seen: Seen, error: str) -> Outcome:
    return Outcome(
        case=f"user-{shopper.number:05d}",
        kind=shopper.goal.kind,
        success=conversation.success and not error,
        ended=conversation.ended,
        turns=conversation.turn,
        shown=seen.shown,
        distinct=len(seen.distinct),
        taken=len(conversation.taken),
        diversity=float(np.mean(seen.diversity)) if seen.diversity else 0.0,
        categories=float(np.mean(seen.categories)) if seen.categories else 0.0,
        cents=seen.cents,
        ms=tuple(round(ms, 2) for ms in seen.ms),
        harms=tuple(sorted(seen.harms)),
        error=error,
    )
