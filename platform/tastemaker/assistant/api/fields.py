"""Kinds of values that several resources take: what is no such value is refused before any work.

Control characters and lone surrogates pass JSON and break databases, headers and logs.
"""

from typing import Annotated

from fastapi import Header
from pydantic import AfterValidator, Field

from tastemaker.assistant.keys import MAX_USER_CHARS


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds a character that cannot be printed")
    return text


def _encodable(text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("holds half a surrogate pair")
    return text


UserId = Annotated[str, Field(min_length=1, max_length=MAX_USER_CHARS), AfterValidator(_printable)]
ConversationId = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_printable)]
ResponseId = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_printable)]
BoardId = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_printable)]
Text = Annotated[str, AfterValidator(_encodable)]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=256)]
