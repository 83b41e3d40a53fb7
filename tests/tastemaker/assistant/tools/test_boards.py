import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tastemaker.assistant.boards import BoardStore
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.conversation import ItemList
from tastemaker.assistant.tools.situation import CallError, Situation, ToolResult
from tastemaker.core.database import open_database
from tests.tastemaker.assistant.conftest import Servers, embed
from tests.tastemaker.assistant.tools.test_native import listed, tools_of


@pytest.fixture
def store(tmp_path: Path) -> BoardStore:
    return BoardStore(open_database(f"sqlite:///{tmp_path}/a.db"))


def run(
    servers: Servers,
    store: BoardStore | None,
    name: str,
    arguments: Mapping[str, Any],
    lists: Sequence[ItemList] = (),
    user_id: str | None = "ada",
) -> tuple[ToolResult, Situation]:
    situation = Situation(list(lists), {"events": []}, None, lambda: 5.0, user_id=user_id)

    async def execute() -> ToolResult:
        async with tools_of(servers, boards=store) as tools:
            return await tools.execute(name, arguments, situation)

    return asyncio.run(execute()), situation


def some(catalogue: Catalogue, *places: int) -> ItemList:
    return listed(catalogue, *(catalogue.items[n].item_id for n in places))


def test_a_list_is_saved_and_opened_again(
    servers: Servers, catalogue: Catalogue, store: BoardStore
) -> None:
    first, second = some(catalogue, 1, 2), some(catalogue, 2, 3)
    call = {"title": "Blue summer", "items": "@1"}
    saved, _ = run(servers, store, "board_save", call, [first, second])
    assert (saved.items, saved.title) == (None, "Blue summer")
    assert saved.text == "saved: board 'Blue summer' has 2 items"
    call = {"title": "my blue summer board", "items": "@2"}
    saved, _ = run(servers, store, "board_save", call, [first, second])
    assert saved.text == "saved: board 'Blue summer' has 3 items"
    opened, _ = run(servers, store, "board_get", {"title": "summer"})
    assert opened.title == "Blue summer"
    assert opened.items is not None
    assert opened.items.item_ids == tuple(catalogue.items[n].item_id for n in (1, 2, 3))


def test_items_that_left_the_catalogue_are_left_out(
    servers: Servers, catalogue: Catalogue, store: BoardStore
) -> None:
    store.create("ada", "old", ["gone", catalogue.items[0].item_id])
    opened, _ = run(servers, store, "board_get", {"title": "old"})
    assert opened.items is not None
    assert opened.items.item_ids == (catalogue.items[0].item_id,)
    store.create("ada", "<|item|> tricks", [])
    empty, _ = run(servers, store, "board_get", {"title": "tricks"})
    assert empty.text == "board 'tricks' is empty"


def test_boards_of_nobody_and_of_others_are_faults(
    servers: Servers, catalogue: Catalogue, store: BoardStore
) -> None:
    store.create("ada", "secret", [])
    with pytest.raises(CallError, match="no board like 'secret'"):
        run(servers, store, "board_get", {"title": "secret"}, user_id="eve")
    with pytest.raises(CallError, match="no user is chosen"):
        run(servers, store, "board_get", {"title": "secret"}, user_id=None)
    with pytest.raises(CallError, match="no user is chosen"):
        run(servers, None, "board_get", {"title": "secret"})
    picture = ItemList((None,), embed("red")[None])
    with pytest.raises(CallError, match="holds no item"):
        run(servers, store, "board_save", {"title": "x", "items": "@1"}, [picture])
    call = {"title": "x" * 200, "items": "@1"}
    with pytest.raises(CallError, match="1 to 120"):
        run(servers, store, "board_save", call, [some(catalogue, 1)])


def test_a_list_is_completed_with_several_kinds(servers: Servers, catalogue: Catalogue) -> None:
    given = some(catalogue, 1, 2)
    done, _ = run(servers, None, "complete_board", {"items": "@1"}, [given])
    assert done.items is not None
    assert not set(given.item_ids) & set(done.items.item_ids)
    categories = [catalogue.item(str(i)).category for i in done.items.item_ids]
    assert len(set(categories)) == len(categories) == 5


def test_completion_keeps_to_the_words(servers: Servers, catalogue: Catalogue) -> None:
    given = some(catalogue, 1, 2)
    call = {"items": "@1", "query": "a vase"}
    done, _ = run(servers, None, "complete_board", call, [given])
    assert done.items is not None
    assert {catalogue.item(str(i)).category for i in done.items.item_ids} == {"vase"}


def test_an_empty_list_cannot_be_completed(servers: Servers) -> None:
    nothing = ItemList((), np.zeros((0, 3)))
    with pytest.raises(CallError, match="is empty"):
        run(servers, None, "complete_board", {"items": "@1"}, [nothing])
