"""What a turn is made of: the question, the router's calls, the steps, the answer."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tastemaker.assistant.called import Called
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
        backend: Which router decided on it, empty for a step of the page's.
        prompt_tokens, completion_tokens: What that decision took. Calls that one decision made
            at once carry them on the first.
        cents: Of the decision and of the tool.
        charged_cents: Of these, what a tool asks for itself (one that an operator added).
        bundles: By model, those that answered for it, the router's decision included.
    """

    tool: str
    arguments: Mapping[str, Any]
    ms: float
    router_ms: float
    num_items: int = 0
    list: str = ""
    error: str = ""
    backend: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cents: float = 0.0
    charged_cents: float = 0.0
    bundles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """The end of a turn.

    Attributes:
        text: What to say.
        shown: The list to show, None for none.
        handle: That list's handle.
        turn: What to remember of the turn.
        steps: All steps, the answer's own included.
        notices: What the user should be told besides.
        ms: Milliseconds of the whole turn.
        board: Title of the board that was saved or opened, empty for none.
        degraded: Whether a part was down and something less was done instead.
    """

    text: str
    shown: ItemList | None
    handle: str
    turn: Turn
    steps: tuple[Step, ...]
    notices: tuple[str, ...]
    ms: float
    board: str = ""
    degraded: bool = False


@dataclass
class Question:
    """What a turn starts from.

    Attributes:
        text: The user's words, as the client sent them.
        said: What the router reads instead, where a click says more than the words.
        history: Turns that the router is shown, oldest first.
        user_id: Who asks, None for a guest.
        caller: With whose rights tools are called; None for nobody's but the assistant's own.
        events: What the user did, oldest first, as `{"item_id", "action"}`: the recommender's
            input.
        signals: What else is known of the user (`features.signals.Signals`), None for nothing.
        brought: Lists that come with the question (the user's pictures, a board, items carried
            over from a longer history); they get the next handles.
        first_call: A call that the page asks for, carried out before the router is asked.
        liked: Id of the item that was clicked to ask it, empty for none.
        notices: What the user should be told whatever the answer is.
        max_cents: What the caller may still spend today.
        began_s: When the turn began, on the monotonic clock: its time counts from there.
        calls: Gets the turn's requests to model servers as they end.
    """

    text: str
    history: tuple[Turn, ...] = ()
    user_id: str | None = None
    caller: Any = None
    events: tuple[Mapping[str, str], ...] = ()
    signals: Any = None
    brought: tuple[ItemList, ...] = ()
    first_call: Call | None = None
    liked: str = ""
    said: str = ""
    notices: tuple[str, ...] = ()
    max_cents: float = math.inf
    began_s: float = field(default_factory=time.monotonic)
    calls: list[Called] = field(default_factory=list)
