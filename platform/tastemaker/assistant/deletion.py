"""Forgetting a user: everywhere, in an order in which a crash half way is safe to repeat."""

from tastemaker.assistant.services import Services
from tastemaker.core.database import in_thread


async def forget_user(services: Services, user_id: str) -> dict[str, int]:
    """Delete all that is kept of a user.

    Each store deletes its part in one transaction, and deleting what is gone changes nothing, so
    whoever gets an error or no answer asks again. Events and features go first and leave a
    tombstone: a turn that is under way sees it and stores nothing after the rest is deleted. While
    the feature store is down, the tombstone is also what remembers whom it has still to forget.
    The ledger keeps the money, without the user.

    Args:
        services: The gateway's parts.
        user_id: Whose data goes.

    Returns:
        How many events, features, conversations, turns and boards were deleted.
    """
    engine = services.engine
    features = await services.features.forget(user_id)
    conversations = await in_thread(engine, services.conversations.forget, user_id)
    boards = await in_thread(engine, services.boards.forget, user_id)
    await in_thread(engine, services.ledger.forget_user, user_id)
    return {
        "events": features["events"],
        "features": features["features"],
        "conversations": conversations["conversations"],
        "turns": conversations["turns"],
        "boards": boards,
    }
