"""What a turn is made of: the question, the router's calls, the steps, the answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tastemaker.assistant.conversation import ItemList, Turn


@dataclass(frozen=True)
class Call:
    """One tool call of the router."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """One step of a turn: what was called and what came of it.

    Attributes:
        tool: Its name, or `malformed` where the router's output was no call.
        arguments: As the router gave them.
        ms: Milliseconds that the tool took.
        router_ms: Milliseconds that the router took to decide on it; 0 for a step of the page's.
        num_items: Items found.
        list: Handle of the list, empty for none.
        error: What was wrong with the call, empty for nothing.
    """

    tool: str
    arguments: Mapping[str, Any]
    ms: float
    router_ms: float
    num_items: int = 0
    list: str = ""
    error: str = ""


@dataclass(frozen=True)
class Answer:
    """The end of a turn.

    Attributes:
        text: What to say.
        shown: The list to show, None for none.
        handle: That list's handle.
        turn: What to remember of the turn.
        steps: All steps, the answer's own included.
        prompt_tokens, completion_tokens: Of all router steps.
        notices: What the user should be told besides.
        ms: Milliseconds of the whole turn.
    """

    text: str
    shown: ItemList | None
    handle: str
    turn: Turn
    steps: tuple[Step, ...]
    prompt_tokens: int
    completion_tokens: int
    notices: tuple[str, ...]
    ms: float


@dataclass
class Question:
    """What a turn starts from.

    Attributes:
        text: The user's words, as the client sent them.
        said: What the router reads instead, where a click says more than the words.
        history: Turns that the router is shown, oldest first.
        user: A recommender instance: `{"user_id": ...}` or `{"events": [...]}`.
        brought: Lists that come with the question (the user's pictures, items carried over from
            a longer history); they get the next handles.
        first_call: A call that the page asks for, carried out before the router is asked.
        liked: Id of the item that was clicked to ask it, empty for none.
    """

    text: str
    history: tuple[Turn, ...] = ()
    user: Mapping[str, Any] = field(default_factory=lambda: {"events": []})
    brought: tuple[ItemList, ...] = ()
    first_call: Call | None = None
    liked: str = ""
    said: str = ""
