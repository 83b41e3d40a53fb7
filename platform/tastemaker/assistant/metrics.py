"""What /metrics tells Prometheus of the assistant."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The gateway's counters.

    Args:
        registry: Where they are registered; one an app.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.turns = Counter(
            "tastemaker_turns", "Turns by how they ended.", ["status"], registry=registry
        )
        self.turn_s = Histogram(
            "tastemaker_turn_seconds", "Of a turn.", buckets=_SECONDS, registry=registry
        )
        self.overhead_s = Histogram(
            "tastemaker_turn_overhead_seconds",
            "Of a turn, without the steps of its router and tools.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.running = Gauge("tastemaker_turns_running", "Turns at work now.", registry=registry)
        self.tool_s = Histogram(
            "tastemaker_tool_seconds",
            "Of a tool call.",
            ["tool", "ok"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.tokens = Counter(
            "tastemaker_turn_tokens", "Of the router.", ["backend", "kind"], registry=registry
        )
        self.cents = Counter("tastemaker_turn_cents", "Spent on turns.", registry=registry)
        self.degraded = Counter(
            "tastemaker_turns_degraded", "Turns that lacked a part.", registry=registry
        )
