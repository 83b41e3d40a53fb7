"""Limits of the assistant; every field has a working default."""

from pydantic import Field

from tastemaker.core.config import Config


class AssistantConfig(Config):
    """Limits of a turn, of a conversation and of a request."""

    max_steps: int = Field(default=6, ge=1, le=20)  # router steps a turn
    budget_s: float = Field(default=30.0, gt=0)  # of a turn, everything included
    max_tokens: int = Field(default=96, ge=16)  # of one router step
    num_items: int = Field(default=10, ge=1, le=50)  # of a list
    max_turns: int = Field(default=8, ge=1)  # of a conversation that the router is shown
    max_lists: int = Field(default=20, ge=1, le=24)  # likewise; handles end at @32
    max_conversations: int = Field(default=1000, ge=1)  # kept in memory
    idle_s: float = Field(default=3600.0, gt=0)  # until a conversation is forgotten
    max_body_bytes: int = Field(default=12 << 20, ge=1024)  # of a request
    max_question_chars: int = Field(default=2000, ge=1)
    max_messages: int = Field(default=200, ge=1)  # of a request's history
    max_images: int = Field(default=4, ge=0)  # of the user's own, a turn
