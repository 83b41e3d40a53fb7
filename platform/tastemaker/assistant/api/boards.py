"""/api/boards: a user's boards, made, filled, ordered and deleted."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from tastemaker.assistant.api.auth import Asking
from tastemaker.assistant.api.fields import BoardId, UserId
from tastemaker.assistant.boards import MAX_ITEMS, Board, BoardStore
from tastemaker.assistant.catalogue import Catalogue, shown
from tastemaker.assistant.errors import BadRequest
from tastemaker.assistant.identity import Caller
from tastemaker.core.database import in_thread
from tastemaker.core.errors import DataError

Title = Annotated[str, Field(min_length=1, max_length=500)]  # the store says what of it is kept
ItemIds = Annotated[list[Annotated[str, Field(max_length=512)]], Field(max_length=MAX_ITEMS)]


class BoardIn(BaseModel):
    """A new board."""

    model_config = ConfigDict(extra="forbid")

    user: UserId | None = None
    title: Title
    items: ItemIds = []


class BoardChange(BaseModel):
    """A change: a new title, or all items in their new order; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    title: Title | None = None
    items: ItemIds | None = None


class BoardItem(BaseModel):
    """An item of a board, as it is shown."""

    item_id: str
    title: str
    price: float | None
    category: str
    image_url: str
    score: float | None


class BoardOut(BaseModel):
    """A board; items that left the catalogue are not shown."""

    board_id: str
    title: str
    items: list[BoardItem]
    updated_ms: int


class Boards(BaseModel):
    """A user's boards, the latest changed first."""

    boards: list[BoardOut]


def routes(services: Any) -> APIRouter:
    """The routes of boards.

    Args:
        services: The gateway's parts.
    """
    api = APIRouter(tags=["boards"])
    store, catalogue = services.boards, services.catalogue

    @api.get("/api/boards")
    async def boards(caller: Asking, user: UserId | None = None) -> Boards:
        """The boards of a user."""
        found = await in_thread(store.engine, store.list, _owner(caller, user))
        return Boards(boards=[_out(board, catalogue) for board in found])

    @api.post("/api/boards", status_code=201)
    async def create(body: BoardIn, caller: Asking) -> BoardOut:
        """Make a board."""
        owner = _owner(caller, body.user)
        _check_items(body.items, catalogue)
        return _out(await _stored(store, store.create, owner, body.title, body.items), catalogue)

    @api.get("/api/boards/{board_id}")
    async def board(board_id: BoardId, caller: Asking, user: UserId | None = None) -> BoardOut:
        """One board."""
        found = await in_thread(store.engine, store.get, board_id, _owner(caller, user))
        return _out(found, catalogue)

    @api.put("/api/boards/{board_id}")
    async def update(
        board_id: BoardId, body: BoardChange, caller: Asking, user: UserId | None = None
    ) -> BoardOut:
        """Rename a board, or replace its items."""
        _check_items(body.items or (), catalogue)
        owner = _owner(caller, user)
        changed = await _stored(store, store.update, board_id, owner, body.title, body.items)
        return _out(changed, catalogue)

    @api.delete("/api/boards/{board_id}", status_code=204)
    async def delete(board_id: BoardId, caller: Asking, user: UserId | None = None) -> Response:
        """Delete a board."""
        await in_thread(store.engine, store.delete, board_id, _owner(caller, user))
        return Response(status_code=204)

    return api


async def _stored(store: BoardStore, act: Callable[..., Board], *arguments: Any) -> Board:
    try:
        board = await in_thread(store.engine, act, *arguments)
    except DataError as error:
        raise BadRequest(str(error)) from None
    return board


def _owner(caller: Caller, user: str | None) -> str:
    owner = caller.act_for(user)
    if owner is None:
        raise BadRequest("user: name one; boards belong to a user", "user")
    return owner


def _check_items(items: Sequence[str], catalogue: Catalogue) -> None:
    missing = next((item_id for item_id in items if item_id not in catalogue.place), None)
    if missing is not None:
        raise BadRequest(f"items: no item {missing!r}", "items")


def _out(board: Board, catalogue: Catalogue) -> BoardOut:
    known = [catalogue.item(item_id) for item_id in board.items if item_id in catalogue.place]
    return BoardOut(
        board_id=board.board_id,
        title=board.title,
        items=[BoardItem(**shown(item)) for item in known],
        updated_ms=board.updated_ms,
    )
