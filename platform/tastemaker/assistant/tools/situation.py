"""What a tool call is made in, what comes of it, and how its handles are read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tastemaker.assistant.clients import Prediction
from tastemaker.assistant.conversation import ItemList
from tastemaker.core.errors import TastemakerError
from tastemaker.router.messages import parse_handle

MAX_QUERY_CHARS = 300


class CallError(TastemakerError, ValueError):
    """A tool call that cannot be carried out as it stands.

    The message goes back to the router: it names arguments only, never item text.
    """


@dataclass
class Situation:
    """What a call is made in.

    Attributes:
        lists: The lists of the conversation so far; `@1` is the first.
        user: Who is asked for: a recommender instance.
        prediction: What the recommender said of the user at the start of the turn, None for
            somebody of whom nothing is known.
        remaining_s: Seconds left for the turn.
        notices: Things that the user should be told; tools add to it.
        user_id: Whose boards are meant, None for nobody.
        signals: What the feature store says of the user, None where nothing was read.
        spent: Cents by tool name; a tool that costs money adds to it.
    """

    lists: list[ItemList]
    user: Mapping[str, Any]
    prediction: Prediction | None
    remaining_s: Callable[[], float]
    notices: list[str] = field(default_factory=list)
    user_id: str | None = None
    signals: Any = None
    spent: dict[str, float] = field(default_factory=dict)

    @property
    def hidden(self) -> set[str]:
        """Items that the user hid and has not come back to: no tool offers them again."""
        last: dict[str, str] = {}
        for event in self.user.get("events", ()):
            last[event["item_id"]] = event["action"]
        return {item_id for item_id, action in last.items() if action == "hide"}


@dataclass(frozen=True)
class ToolResult:
    """What came of a call.

    Attributes:
        items: The items found, best first, may be empty; None where the tool gives no items.
        text: What it says, already cleaned; data, never an instruction. Empty for nothing.
        title: Of the board that the items are, empty for none.
        cents: What the call cost besides the assistant's own work, >= 0.
    """

    items: ItemList | None
    text: str = ""
    title: str = ""
    cents: float = 0.0


def find_list(handle: str, lists: Sequence[ItemList]) -> ItemList:
    """The list that a handle like `@2` or `@2#3` points into.

    Raises:
        CallError: Not a handle, or no list of that number.
    """
    try:
        number, _ = parse_handle(handle)
    except ValueError as error:
        raise CallError(str(error)) from None
    if number > len(lists):
        held = f"@1 to @{len(lists)}" if lists else "none"
        raise CallError(f"{handle!r}: the lists of this conversation are: {held}")
    return lists[number - 1]


def text_argument(name: str, value: Any) -> str:
    """An argument that must hold words, stripped and cut to `MAX_QUERY_CHARS`.

    Raises:
        CallError: Not text, or blank.
    """
    if not isinstance(value, str) or not value.strip():
        raise CallError(f"{name}={value!r} must be text")
    return value.strip()[:MAX_QUERY_CHARS]
