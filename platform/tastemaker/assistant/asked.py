"""What a request asks for, whatever API it came by, and how a request is refused."""

import base64
import binascii
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tastemaker.assistant.errors import BadRequest

Outcome = Literal["save", "click", "closeup"]
MODEL = "tastemaker"
_DATA_URL = "data:image/"


@dataclass(frozen=True)
class Asked:
    """A request, taken apart.

    Attributes:
        question: The newest user message's text.
        images: Its pictures, base64.
        earlier: (question, answer) texts of the history, oldest first.
        user: Id of the user that it is for, None for a guest.
        conversation: Id of the conversation, None for a new one.
        similar_to: Id of an item that was clicked, None for none.
        board: Id of the board that the question is about.
        complete_board: Id of a board that is to be completed.
        shop_room: Whether the picture is a room to shop.
        outcome: What recommendations should lead to.
        stream: Whether the reply is a stream.
        notices: What the client should know of its request.
        traceparent: The client's trace, as its header names it; empty for none.
        turn_id: Of the turn that answers it: a stream names it before there is a reply.
        created: Seconds since 1970 when it came.
    """

    question: str
    images: tuple[str, ...] = ()
    earlier: tuple[tuple[str, str], ...] = ()
    user: str | None = None
    conversation: str | None = None
    similar_to: str | None = None
    board: str | None = None
    complete_board: str | None = None
    shop_room: bool = False
    outcome: Outcome | None = None
    stream: bool = False
    notices: tuple[str, ...] = ()
    traceparent: str = ""
    turn_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))


def read_question(text: str, images: Sequence[str], max_chars: int, param: str) -> str:
    """The question's text; a picture alone asks for items like it.

    Raises:
        BadRequest: Empty, or longer than `max_chars`.
    """
    question = text.strip()
    if not question and not images:
        raise BadRequest(f"{param}: the last one is empty", param)
    if len(question) > max_chars:
        long = f"{len(question)} characters; at most {max_chars}"
        raise BadRequest(f"{param}: the last one has {long}", param)
    return question or "Find items like this picture"


def read_image(url: str, param: str) -> str:
    """Base64 of a picture given as a `data:` URL.

    Raises:
        BadRequest: Another kind of URL (nothing is ever fetched for a client), or no base64.
    """
    head, _, data = url.partition(";base64,")
    if not head.startswith(_DATA_URL):
        raise BadRequest("image_url: only data:image/...;base64 URLs are read", param)
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("image_url: not base64", param) from None
    return data
