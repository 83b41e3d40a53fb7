"""What is counted of the features."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)


class FeatureMetrics:
    """Counters of one client.

    Args:
        registry: Where they are shown.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.read_seconds = Histogram(
            "tastemaker_feature_read_seconds",
            "One read of a turn's features, the deadline's machinery included.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self.reads = Counter(
            "tastemaker_feature_reads",
            "Reads by outcome: ok, late (the deadline passed), down (no store).",
            ["outcome"],
            registry=registry,
        )
        self.missing = Counter(
            "tastemaker_feature_missing",
            "Reads in which a group of features had no value.",
            ["group"],
            registry=registry,
        )
        self.push_seconds = Histogram(
            "tastemaker_feature_push_seconds", "One coalesced write.", registry=registry
        )
        self.pushed = Counter("tastemaker_feature_pushed_events", "Events.", registry=registry)
        self.refills = Counter(
            "tastemaker_feature_refills", "Times that a lost store was filled.", registry=registry
        )
        self.up = Gauge(
            "tastemaker_feature_store_up", "1 while it takes events.", registry=registry
        )
        self.embedding_lag_seconds = Histogram(
            "tastemaker_feature_embedding_lag_seconds",
            "How far user embeddings are behind their user's latest event, as they were read.",
            buckets=(1, 60, 3600, 21_600, 86_400, 604_800, 2_592_000),
            registry=registry,
        )
        self.staleness_seconds = Gauge(
            "tastemaker_feature_staleness_seconds",
            "Age of the oldest event that the store has not taken; 0 when it has all, NaN while"
            " the database does not say.",
            registry=registry,
        )
