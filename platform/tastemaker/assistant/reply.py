"""What a turn is answered with, whatever API asked; its record is what the store keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

from tastemaker.assistant.catalogue import Catalogue, shown
from tastemaker.assistant.turn import Answer, Step


@dataclass(frozen=True)
class Reply:
    """The answer to a request.

    Attributes:
        id: Of the turn: 32 hexadecimal digits.
        created: Seconds since 1970.
        conversation: Its conversation's id.
        question: What was asked.
        text: What is said.
        items: What is shown, as the API gives it.
        steps: What was done, as the API gives it.
        prompt_tokens, completion_tokens: Of all router steps.
        ms: Milliseconds of the whole turn.
        cents: What it cost.
        notices: What the user should be told besides.
        trace: Id of its trace.
        status: done, cancelled (the client left) or failed.
        board: Title of the board that it saved or opened, empty for none.
        bundles: By model, those that answered its requests.
        calls: The requests to model servers: model, bundle, ms, ok.
        versions: Of the dataset, the features, the space and the price list; with the bundles,
            all that the answer came from.
    """

    id: str
    created: int
    conversation: str
    question: str
    text: str
    items: tuple[Mapping[str, Any], ...]
    steps: tuple[Mapping[str, Any], ...]
    prompt_tokens: int
    completion_tokens: int
    ms: float
    cents: float
    notices: tuple[str, ...]
    trace: str
    status: str = "done"
    board: str = ""
    bundles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    calls: tuple[Mapping[str, Any], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """What the store keeps: JSON values only, not copied."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Self:
        """Read `record` back."""
        names = ("items", "steps", "notices", "calls")  # one that is missing: of an older version
        lists = {name: tuple(record.get(name, ())) for name in names}
        return cls(**{**record, **lists})

    def extension(self) -> dict[str, Any]:
        """The `tastemaker` field of a reply."""
        return {
            "conversation": self.conversation,
            "items": list(self.items),
            "steps": list(self.steps),
            "tokens": {"prompt": self.prompt_tokens, "completion": self.completion_tokens},
            "ms": self.ms,
            "cents": self.cents,
            "notices": list(self.notices),
            "trace": self.trace,
            "board": self.board or None,
            "bundles": {model: list(found) for model, found in self.bundles.items()},
        }


def shown_items(answer: Answer, catalogue: Catalogue) -> tuple[dict[str, Any], ...]:
    """The items of the list that an answer shows; pictures of the user's own are left out."""
    if answer.shown is None:
        return ()
    scores = answer.shown.scores or (None,) * len(answer.shown)
    rows = zip(answer.shown.item_ids, scores, strict=True)
    return tuple(
        {**shown(catalogue.item(item_id), score), "ref": f"{answer.handle}#{place}"}
        for place, (item_id, score) in enumerate(rows, 1)
        if item_id is not None
    )


def step_body(step: Step) -> dict[str, Any]:
    """A step as the API gives it; `list` and `error` are there when there is one."""
    body = {
        "tool": step.tool,
        "arguments": dict(step.arguments),
        "ms": step.ms,
        "router_ms": step.router_ms,
        "backend": step.backend,
        "tokens": {"prompt": step.prompt_tokens, "completion": step.completion_tokens},
        "cents": step.cents,
        "num_items": step.num_items,
    }
    more = (("list", step.list), ("error", step.error), ("bundles", dict(step.bundles)))
    return body | {k: v for k, v in more if v}
