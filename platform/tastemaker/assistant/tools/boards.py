"""complete_board, board_get and board_save."""

import asyncio
from collections.abc import Mapping
from typing import Any

from tastemaker.assistant.boards import MAX_ITEMS, Board, BoardStore
from tastemaker.assistant.conversation import ItemList
from tastemaker.assistant.tools.completion import BoardCompleter
from tastemaker.assistant.tools.ranking import rank_by_text_and_taste
from tastemaker.assistant.tools.search import Search
from tastemaker.assistant.tools.situation import (
    CallError,
    Situation,
    ToolResult,
    find_list,
    text_argument,
)
from tastemaker.core.database import in_thread
from tastemaker.core.errors import DataError
from tastemaker.router.messages import clean_text

_FITTING = 50  # items that fit the words, before the board orders them
_SCORED = 1000  # items that the board orders


class BoardTools:
    """The tools.

    Args:
        search: For words, and for items and vectors.
        store: The users' boards; None where there is no database.
        completer: What belongs with some items.
    """

    def __init__(self, search: Search, store: BoardStore | None, completer: BoardCompleter) -> None:
        self.search, self.store, self.completer = search, store, completer

    async def complete(self, arguments: Mapping[str, Any], situation: Situation) -> ItemList:
        """Carry out complete_board.

        Raises:
            CallError: No such list, or an empty one.
        """
        given = find_list(arguments["items"], situation.lists)
        if not len(given):
            raise CallError(f"{arguments['items']!r} is empty: nothing to complete")
        k = _SCORED if arguments.get("query") else self.search.num_items + len(situation.hidden)
        beside = await asyncio.to_thread(self.completer.beside, given.item_ids, given.vectors_ND, k)
        if not arguments.get("query"):
            return self.search.listed(beside, situation)
        words = text_argument("query", arguments["query"])
        found = await self.search.fitting(words, situation, k=_FITTING + len(given))
        fitting = [row for row in found if row[0] not in given.item_ids][:_FITTING]
        return self.search.listed(rank_by_text_and_taste(fitting, dict(beside)), situation)

    async def get(self, arguments: Mapping[str, Any], situation: Situation) -> ToolResult:
        """Carry out board_get: the user's board whose title is most like the words.

        Raises:
            CallError: Nobody is logged in, or no board is called so.
        """
        store, user = self._owner("board_get", situation)
        title = text_argument("title", arguments["title"])
        board = await in_thread(store.engine, store.like_title, user, title)
        if board is None:
            raise CallError(f"board_get: the user has no board like {title!r}")
        items = self._items(board)
        said = "" if len(items) else f"board {clean_text(board.title)!r} is empty"
        return ToolResult(items, said, board.title)

    async def save(self, arguments: Mapping[str, Any], situation: Situation) -> ToolResult:
        """Carry out board_save: a new board, or the one of that title made longer.

        Raises:
            CallError: Nobody is logged in, nothing to save, or a board that is full.
        """
        store, user = self._owner("board_save", situation)
        title = text_argument("title", arguments["title"])
        listed = find_list(arguments["items"], situation.lists)
        ids = [item_id for item_id in listed.item_ids if item_id is not None]
        if not ids:
            raise CallError(f"{arguments['items']!r} holds no item of the catalogue")
        try:
            board = await in_thread(store.engine, _extend, store, user, title, ids)
        except DataError as error:
            raise CallError(f"board_save: {error}") from None
        said = f"saved: board {clean_text(board.title)!r} has {len(board.items)} items"
        return ToolResult(None, said, board.title)

    def _owner(self, tool: str, situation: Situation) -> tuple[BoardStore, str]:
        if self.store is None or situation.user_id is None:
            situation.notices.append("Boards belong to a user: choose one first.")
            raise CallError(f"{tool}: no user is chosen, and boards belong to a user")
        return self.store, situation.user_id

    def _items(self, board: Board) -> ItemList:
        known = tuple(i for i in board.items if i in self.search.catalogue.place)[:MAX_ITEMS]
        return ItemList(known, self.search.catalogue.vectors(known))


def _extend(store: BoardStore, user: str, title: str, ids: list[str]) -> Board:
    board = store.same_title(user, title)
    if board is None:
        return store.create(user, title, ids)
    return store.update(board.board_id, user, items=[*board.items, *ids])
