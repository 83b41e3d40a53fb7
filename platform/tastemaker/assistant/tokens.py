"""Tokens of an issuer: signature, algorithm, times, issuer, audience; all hold, or none counts."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jwt

from tastemaker.assistant.errors import Unauthorized
from tastemaker.assistant.jwks import Jwks

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
MAX_TOKEN_CHARS = 8192
_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})


class Tokens:
    """Checks tokens.

    Args:
        keys: The issuer's.
        issuer: What `iss` must be, letter for letter.
        audience: What must be among `aud`.
        algorithms: Those that are taken; asymmetric ones.
        required: Claims that must be there besides `exp`, `iat`, `iss` and `aud`.
        leeway_s: For clocks that differ, >= 0.
    """

    def __init__(
        self,
        keys: Jwks,
        *,
        issuer: str,
        audience: str,
        algorithms: Sequence[Algorithm],
        required: Sequence[str],
        leeway_s: float,
    ) -> None:
        self.keys, self.issuer, self.audience = keys, issuer, audience
        self.algorithms, self.leeway_s = tuple(algorithms), leeway_s
        self.required = ["exp", "iat", "iss", "aud", *required]

    async def claims(self, token: str) -> dict[str, Any]:
        """A token's claims, once all that it must be is checked.

        Raises:
            Unauthorized: A token that does not hold, with the reason; never with any part of it.
            ServiceError: The issuer's keys cannot be read.
        """
        if len(token) > MAX_TOKEN_CHARS:
            raise Unauthorized(f"a token of {len(token)} characters; at most {MAX_TOKEN_CHARS}")
        try:
            kid, algorithm = self._read_header(jwt.get_unverified_header(token))
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise Unauthorized("the token cannot be read") from None
        key = await self.keys.key(kid, algorithm)
        if key is None:
            raise Unauthorized("the token is signed with a key that its issuer does not publish")
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self.issuer,
                audience=self.audience,
                leeway=self.leeway_s,
                options={"require": self.required},
            )
        except jwt.PyJWTError as error:
            raise Unauthorized(f"the token does not hold: {_reason(error)}") from None
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise Unauthorized("the token's claims cannot be read") from None

    def _read_header(self, header: Mapping[str, Any]) -> tuple[str | None, Algorithm]:
        kid, algorithm, kind = (header.get(name) for name in ("kid", "alg", "typ"))
        if algorithm not in self.algorithms:
            raise Unauthorized("the token's algorithm is not allowed")
        if "crit" in header or not (kid is None or isinstance(kid, str)):
            raise Unauthorized("the token's header holds what is not understood")
        if kind is not None and str(kind).lower() not in _TYPES:
            raise Unauthorized("the token is no access token")
        return kid, algorithm


def _reason(error: jwt.PyJWTError) -> str:
    """What is wrong, in words of ours: the library's may repeat what the token says."""
    for kind, reason in _REASONS.items():
        if isinstance(error, kind):
            return reason
    return "it cannot be read"


_REASONS: dict[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not valid yet",
    jwt.InvalidAudienceError: "it is for another audience",
    jwt.InvalidIssuerError: "it is of another issuer",
    jwt.MissingRequiredClaimError: "a claim is missing",
    jwt.InvalidSignatureError: "its signature is wrong",
}
