"""Kinds of values that several resources take: what is no such value is refused before any work.

Control characters and lone surrogates pass JSON and break databases, headers and logs.
"""

from typing import Annotated

from pydantic import AfterValidator, Field

from tastemaker.assistant.keys import MAX_USER_CHARS


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds a character that cannot be printed")
    return text


UserId = Annotated[str, Field(min_length=1, max_length=MAX_USER_CHARS), AfterValidator(_printable)]
ConversationId = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_printable)]
