"""What the feature store knows of a user, as the router takes it: a vector, or a few words."""

from dataclasses import dataclass

import numpy as np

from tastemaker.features.signals import Signals

_MAX_NAMED = 3  # categories and styles
_MIN_SHARE = 0.1


@dataclass(frozen=True)
class Taste:
    """Reads signals for one user model.

    Attributes:
        model: Digest of the live sequence bundle; embeddings of another one are not used.
    """

    model: str

    def embedding(self, signals: Signals | None) -> np.ndarray | None:
        """The stored user embedding (U,), None where there is none of this model."""
        if signals is None or signals.embedding_model != self.model:
            return None
        return signals.user_embedding

    def in_words(self, signals: Signals | None) -> str:
        """A line on what the user likes, empty where nothing is known."""
        if signals is None:
            return ""
        parts = []
        for what, shares in (("categories", signals.categories), ("styles", signals.styles)):
            best = sorted(shares.items(), key=lambda row: -row[1])[:_MAX_NAMED]
            named = [f"{name} {share:.0%}" for name, share in best if share >= _MIN_SHARE]
            if named:
                parts.append(f"{what}: {', '.join(named)}")
        if signals.session.intent:
            parts.append(f"now looking at: {signals.session.intent}")
        return "; ".join(parts)
