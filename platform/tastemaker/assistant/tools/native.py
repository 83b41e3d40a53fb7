"""The native tools: a call's name and arguments in, a result out."""

from collections.abc import Mapping
from typing import Any

from tastemaker.assistant.boards import BoardStore
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.clients import Upstreams
from tastemaker.assistant.tools.boards import BoardTools
from tastemaker.assistant.tools.completion import BoardCompleter
from tastemaker.assistant.tools.recommend import Recommend
from tastemaker.assistant.tools.room import ShopRoom
from tastemaker.assistant.tools.search import Search
from tastemaker.assistant.tools.situation import CallError, Situation, ToolResult


class Tools:
    """The executors.

    Args:
        catalogue: Items and their vectors.
        upstreams: The model servers.
        num_items: Items of a list, >= 1.
        boards: The users' boards; None leaves board_get and board_save without any.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        upstreams: Upstreams,
        num_items: int,
        boards: BoardStore | None = None,
    ) -> None:
        self.catalogue, self.upstreams, self.num_items = catalogue, upstreams, num_items
        self.completer = BoardCompleter(catalogue)
        self.search = Search(catalogue, upstreams, num_items)
        self.recommend = Recommend(self.search)
        self.boards = BoardTools(self.search, boards, self.completer)
        self.shop_room = ShopRoom(self.search)

    def start(self) -> None:
        """Learn from the catalogue's boards, in the background; a list's mean serves till then."""
        self.completer.start()

    async def execute(
        self, name: str, arguments: Mapping[str, Any], situation: Situation
    ) -> ToolResult:
        """Carry out one call that has passed its tool's schema.

        Args:
            name: Of a native tool; `answer` is the loop's own.
            arguments: As the router gave them; handles are checked here.
            situation: The conversation's lists, the user and the time left.

        Returns:
            What came of it.

        Raises:
            CallError: A handle out of range, an empty text, a user of whom nothing is known.
            ServiceDown: A server that the call needs is not available.
        """
        if name == "search_items":
            return ToolResult(await self.search.by_words(arguments, situation))
        if name == "similar_items":
            return ToolResult(await self.search.by_likeness(arguments, situation))
        if name == "recommend":
            return ToolResult(await self.recommend(arguments, situation))
        if name == "complete_board":
            return ToolResult(await self.boards.complete(arguments, situation))
        if name == "shop_room":
            return ToolResult(await self.shop_room(arguments, situation))
        if name == "board_get":
            return await self.boards.get(arguments, situation)
        if name == "board_save":
            return await self.boards.save(arguments, situation)
        raise CallError(f"{name!r} is not a tool that finds items")
