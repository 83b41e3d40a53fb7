"""What a router took to decide on the calls at hand."""

from typing import Any

from tastemaker.assistant.providers.member import Routed


class Decision:
    """A decision of the router's, or the page's.

    Args:
        routed: Its reply, None for a step of the page's.
        ms: Milliseconds that it took.
    """

    def __init__(self, routed: Routed | None = None, ms: float = 0.0) -> None:
        self.routed, self.ms = routed, ms

    def fields(self, *, first: bool) -> dict[str, Any]:
        """What a step says of it; the calls made at once count it once."""
        if self.routed is None:
            return {"router_ms": 0.0}
        if not first:
            return {"router_ms": 0.0, "backend": self.routed.member}
        attempts = self.routed.attempts
        return {
            "router_ms": self.ms,
            "backend": self.routed.member,
            "prompt_tokens": sum(attempt.prompt_tokens for attempt in attempts),
            "completion_tokens": sum(attempt.completion_tokens for attempt in attempts),
            "cents": self.routed.cents,
        }
