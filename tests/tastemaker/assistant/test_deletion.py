import asyncio
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import create_engine

from tastemaker.assistant.deletion import forget_user


@dataclass
class Store:
    """What is held of users; `fails` once, after or before the deletion."""

    held: dict[str, int]
    fails: str = ""

    def take(self, user_id: str) -> int:
        if self.fails == "before":
            self.fails = ""
            raise ConnectionError
        gone = self.held.pop(user_id, 0)
        if self.fails == "after":
            self.fails = ""
            raise ConnectionError
        return gone


def services(**fails: str) -> Any:
    stores = {
        name: Store({"ada": 2, "bob": 5}, fails.get(name, ""))
        for name in ("conversations", "boards", "ledger", "features")
    }

    async def features(user_id: str) -> dict[str, int]:
        return {"events": (num := stores["features"].take(user_id)), "features": num}

    def conversations(user_id: str) -> dict[str, int]:
        return {"conversations": (num := stores["conversations"].take(user_id)), "turns": num}

    return stores, SimpleNamespace(
        engine=create_engine("sqlite://"),  # whose threads it is done in
        conversations=SimpleNamespace(forget=conversations),
        boards=SimpleNamespace(forget=stores["boards"].take),
        ledger=SimpleNamespace(forget_user=stores["ledger"].take),
        features=SimpleNamespace(forget=features),
    )


@pytest.mark.parametrize("store", ["conversations", "boards", "ledger", "features"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_anywhere_is_mended_by_asking_again(store: str, moment: str) -> None:
    stores, parts = services(**{store: moment})

    async def crash() -> None:
        with pytest.raises(ConnectionError):
            await forget_user(parts, "ada")

    asyncio.run(crash())
    counts = asyncio.run(forget_user(parts, "ada"))
    assert set(counts) == {"events", "features", "conversations", "turns", "boards"}
    assert all(held.held == {"bob": 5} for held in stores.values())
    assert set(asyncio.run(forget_user(parts, "ada")).values()) == {0}
