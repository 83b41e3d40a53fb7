"""What a router back end is asked and what it says, whoever answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tastemaker.assistant.conversation import ItemList


@dataclass(frozen=True)
class RouterRequest:
    """One router step.

    Attributes:
        messages: OpenAI messages; content parts may hold item and user vectors.
        tools: OpenAI tool schemas.
        lists: What the handles in the messages stand for; the first is `@1`.
        describe: A few words about an item of the catalogue, for back ends that read no vectors.
        user_text: What is known of the user's taste in words, for the same; empty for nothing.
        max_tokens: Longest reply, in tokens.
    """

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]]
    lists: Sequence[ItemList] = ()
    describe: Callable[[str], str] = str
    user_text: str = ""
    max_tokens: int = 96

    def tool_names(self) -> set[str]:
        """Names that a reply may call."""
        return {tool["function"]["name"] for tool in self.tools}


@dataclass(frozen=True)
class RouterReply:
    """What a back end said in one step.

    Attributes:
        message: The assistant message, as the OpenAI API gives it.
        prompt_tokens: Tokens read, cached ones included.
        completion_tokens: Tokens written.
        cached_tokens: Of the tokens read, those that the back end had from an earlier request.
    """

    message: Mapping[str, Any]
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
