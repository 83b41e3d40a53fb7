"""What a router took to decide on the calls at hand."""

from collections.abc import Sequence
from typing import Any

from tastemaker.assistant.called import Called, bundles
from tastemaker.assistant.providers.member import Routed


class Decision:
    """A decision of the router's, or the page's.

    Args:
        routed: Its reply, None for a step of the page's.
        ms: Milliseconds that it took.
        calls: Requests to our own router among its attempts.
    """

    def __init__(
        self, routed: Routed | None = None, ms: float = 0.0, calls: Sequence[Called] = ()
    ) -> None:
        self.routed, self.ms, self.calls = routed, ms, calls

    def fields(self, *, first: bool) -> dict[str, Any]:
        """What a step says of it; the calls made at once count it once."""
        by = {"bundles": bundles(self.calls)}
        if self.routed is None:
            return {"router_ms": 0.0, **by}
        if not first:
            return {"router_ms": 0.0, "backend": self.routed.member, **by}
        attempts = self.routed.attempts
        return {
            **by,
            "router_ms": self.ms,
            "backend": self.routed.member,
            "prompt_tokens": sum(attempt.prompt_tokens for attempt in attempts),
            "completion_tokens": sum(attempt.completion_tokens for attempt in attempts),
            "cents": self.routed.cents,
        }
