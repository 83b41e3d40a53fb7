"""What /metrics tells Prometheus of the assistant."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tastemaker.assistant.called import Called

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
        self.answered = AnsweredBy(registry)


class AnsweredBy:
    """Requests to model servers by model and bundle.

    A process sees the stable bundle and a canary, and a few more as they are promoted; past
    `MAX_BUNDLES` of a model, further ones share the label `other`, so the number of series is
    bounded.

    Args:
        registry: Where the series are registered.
    """

    MAX_BUNDLES = 16

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seen: dict[str, set[str]] = {}
        self.calls = Counter(
            "tastemaker_model_calls",
            "Requests to a model server.",
            ["model", "bundle", "ok"],
            registry=registry,
        )
        self.call_s = Histogram(
            "tastemaker_model_call_seconds",
            "Of a request to a model server that was answered.",
            ["model", "bundle"],
            buckets=_SECONDS,
            registry=registry,
        )

    def count(self, calls: Iterable[Called]) -> None:
        """Count the requests of a turn."""
        for call in calls:
            bundle = self._label(call)
            self.calls.labels(call.model, bundle, str(call.ok)).inc()
            if call.ok:
                self.call_s.labels(call.model, bundle).observe(call.ms / 1000)

    def _label(self, call: Called) -> str:
        seen = self.seen.setdefault(call.model, set())
        if call.bundle and call.bundle not in seen and len(seen) < self.MAX_BUNDLES:
            seen.add(call.bundle)
        return call.bundle if call.bundle in seen else ("other" if call.bundle else "unknown")
