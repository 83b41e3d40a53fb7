import pytest
from pydantic import BaseModel, ValidationError

from tastemaker.assistant.api.fields import ConversationId, UserId


class Body(BaseModel):
    user: UserId = "ada"
    conversation: ConversationId = "c"


def test_ids_are_short_and_printable() -> None:
    Body(user="ünï cødé/@ada", conversation="0" * 64)
    for user in ("", "a" * 201, "a\x00b", "a\nb", "\ud800", "\u202e"):
        with pytest.raises(ValidationError):
            Body(user=user)
    for conversation in ("", "0" * 65, "a\tb"):
        with pytest.raises(ValidationError):
            Body(conversation=conversation)
