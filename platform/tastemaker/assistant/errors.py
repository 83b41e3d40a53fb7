"""Errors of a request: what is wrong with it, or why it is refused.

Each names its HTTP status, so that every API answers the same error alike.
"""

import math
from typing import ClassVar

from tastemaker.core.errors import TastemakerError


class BadRequest(TastemakerError, ValueError):
    """A request that cannot be answered; `param` names the field at fault."""

    status: ClassVar[int] = 400

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class Unauthorized(TastemakerError):
    """No credentials, or credentials that do not hold.

    Args:
        message: What is wrong with them; never holds any part of them.
        presented: Whether there were any.
    """

    status: ClassVar[int] = 401

    def __init__(self, message: str, *, presented: bool = True) -> None:
        super().__init__(message)
        self.presented = presented

    @property
    def headers(self) -> dict[str, str]:
        """The challenge that a 401 must carry; fixed text, so nothing can be smuggled into it."""
        fault = ', error="invalid_token"' if self.presented else ""
        return {"WWW-Authenticate": f'Bearer realm="tastemaker"{fault}'}


class Forbidden(TastemakerError):
    """Credentials that hold, but do not reach so far."""

    status: ClassVar[int] = 403


class TooMany(TastemakerError):
    """A rate or a day's money that is used up.

    Args:
        message: Which limit.
        retry_after_s: Seconds until a request can succeed again, >= 0.
    """

    status: ClassVar[int] = 429

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """When to come back, in whole seconds, rounded up."""
        return {"Retry-After": str(max(1, math.ceil(self.retry_after_s)))}
