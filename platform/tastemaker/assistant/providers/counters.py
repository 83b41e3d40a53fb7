"""Prometheus counters of the router family."""

from collections.abc import Iterable

from prometheus_client import Counter, Histogram

from tastemaker.assistant.ledger import Attempt

ATTEMPTS = Counter(
    "tastemaker_router_attempts", "Requests to router members.", ["member", "outcome"]
)
CENTS = Counter("tastemaker_router_cents", "Cents spent on router members.", ["member"])
LATENCY = Histogram(
    "tastemaker_router_latency_seconds",
    "Of good replies of router members.",
    ["member"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
SHADOWS = Counter(
    "tastemaker_router_shadows", "Shadow copies of router requests.", ["member", "outcome"]
)


def count(attempts: Iterable[Attempt]) -> None:
    """Count the attempts of one step."""
    for attempt in attempts:
        ATTEMPTS.labels(attempt.member, attempt.outcome).inc()
        CENTS.labels(attempt.member).inc(attempt.cents)
        if attempt.outcome == "ok":
            LATENCY.labels(attempt.member).observe(attempt.ms / 1000)
