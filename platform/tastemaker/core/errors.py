"""Errors that a user can mend. Each message names the value and the rule.

The CLI prints the message of a `TastemakerError` alone, without a traceback, and exits with 2.
"""


class TastemakerError(Exception):
    """Something that the caller can get wrong or mend."""


class ConfigError(TastemakerError, ValueError):
    """An unknown preset, a misspelt key or a value out of range."""


class DataError(TastemakerError, ValueError):
    """Input data that cannot be used: a missing column, no readable image, an empty folder."""


class SpaceMismatch(TastemakerError, ValueError):
    """Vectors of one embedding space offered where another is read."""

    def __init__(self, what: str, *, expected: str, found: str) -> None:
        super().__init__(
            f"{what} reads embedding space {expected}, but was given vectors of space {found}: "
            "two spaces never mix; precompute the embeddings with the expected encoder, "
            "or train the model again on the new space"
        )


class NotFound(TastemakerError, LookupError):
    """A dataset version, bundle, item or user that the home does not hold."""


class ServiceError(TastemakerError, RuntimeError):
    """A server that did not start, stopped or answered with an error."""


class EvidenceError(TastemakerError, ValueError):
    """Evidence that cannot be believed: edited, signed by nobody known, too old, malformed."""


class PromotionError(TastemakerError, ValueError):
    """A promotion or a rollback that a rule refuses."""


class GitError(TastemakerError, RuntimeError):
    """Git, or the repository that it talks to, refused or did not answer."""
