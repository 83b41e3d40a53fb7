"""Items, their pictures, and what the page offers to start with."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import Response

from tastemaker.assistant import examples
from tastemaker.assistant.services import Services

ItemId = Annotated[str, Path(max_length=512)]


def routes(services: Services) -> APIRouter:
    """The routes of the catalogue, which is public to whoever reaches the assistant."""
    api = APIRouter(tags=["items"])
    catalogue = services.catalogue
    questions = examples.suggestions(catalogue)

    @api.get(
        "/items/{item_id:path}/image",
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}}},
    )
    async def image(item_id: ItemId) -> Response:
        """The item's picture."""
        picture = await asyncio.to_thread(catalogue.image, item_id)
        headers = {"Cache-Control": "public, max-age=3600"}
        return Response(picture, media_type="image/jpeg", headers=headers)

    @api.get("/items/{item_id:path}")
    async def item(item_id: ItemId) -> dict[str, Any]:
        """What the catalogue says of an item."""
        found = catalogue.item(item_id)
        return {**asdict(found), "image_url": found.image_url}

    @api.get("/api/suggestions")
    async def suggestions() -> dict[str, list[str]]:
        """Questions that this catalogue can answer."""
        return {"suggestions": questions}

    return api
