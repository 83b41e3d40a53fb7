"""Who asks, and what they may do.

`open` needs no credentials and is served on loopback only; `keys` takes API keys; `oidc` takes
tokens of one issuer as well.
"""

import asyncio
import hashlib
import ipaddress
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import httpx
import jwt
from pydantic import Field, model_validator
from sqlalchemy import Engine

from tastemaker.assistant import jwks
from tastemaker.assistant.errors import Forbidden, Unauthorized
from tastemaker.assistant.keys import MAX_USER_CHARS, PREFIX, ROLES, KeyStore
from tastemaker.core.config import Config
from tastemaker.core.errors import ConfigError

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
MAX_TOKEN_CHARS = 8192
_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})


class IdentityConfig(Config):
    """How callers prove who they are. Only asymmetric algorithms can be named."""

    auth: Literal["open", "keys", "oidc"] = "open"  # oidc takes API keys too
    issuer: str = ""  # a token's `iss`, letter for letter
    audience: str = ""  # must be among a token's `aud`
    jwks_url: str = ""  # https, or http on loopback
    jwks_file: str = ""  # instead of an address
    role_claim: str = "roles"  # a string, or a list of them; `a.b` looks into objects
    user_claim: str = "sub"  # whose value is the user's id
    leeway_s: float = Field(default=30.0, ge=0, le=300)  # for clocks that differ
    algorithms: tuple[Algorithm, ...] = Field(default=("RS256", "ES256", "EdDSA"), min_length=1)
    require_nbf: bool = True  # false for an issuer that sends no `nbf`; one that is sent counts
    jwks_fresh_s: float = Field(default=300.0, ge=1)  # until keys are fetched again
    jwks_stale_s: float = Field(default=86_400.0, ge=1)  # their longest use without the issuer
    requests_per_minute: int = Field(default=120, ge=1)  # of a token's subject
    cents_per_day: float = Field(default=100.0, ge=0)  # likewise, a UTC day

    @model_validator(mode="after")
    def _oidc_is_whole(self) -> Self:
        if self.auth != "oidc":
            return self
        for name in ("issuer", "audience", "role_claim", "user_claim"):
            if not getattr(self, name):
                raise ValueError(f"auth oidc needs {name}")
        if bool(self.jwks_url) == bool(self.jwks_file):
            raise ValueError("auth oidc needs jwks_url or jwks_file, one of them")
        if self.jwks_url:
            url = urlsplit(self.jwks_url)
            local = url.scheme == "http" and is_loopback(url.hostname or "")
            if not url.hostname or not (url.scheme == "https" or local):
                raise ValueError(f"jwks_url {self.jwks_url!r}: https, or http on loopback")
        return self


@dataclass(frozen=True)
class Caller:
    """Whoever sent a request.

    Attributes:
        name: Of the key, or `oidc:` and a digest of the token's user: limits and the ledger count
            by it, and outlive the deletion of that user's data.
        user: The user that the caller is; None for a service or an operator.
        roles: `user` acts for `user` alone, `service` for the users that it names, `operator`
            besides sees tools, keys and every user's data.
        requests_per_minute: Rate limit, >= 1.
        cents_per_day: Spend limit of a UTC day; infinite for none.
    """

    name: str
    user: str | None
    roles: frozenset[str]
    requests_per_minute: int
    cents_per_day: float

    def act_for(self, user_id: str | None) -> str | None:
        """The user that a request is for.

        Args:
            user_id: The user that the request names, None for none.

        Returns:
            That user, or else the caller's own; None for nobody.

        Raises:
            Forbidden: Another user than the caller, who acts for that one only.
        """
        if user_id is None or user_id == self.user:
            return self.user
        if self.roles & {"service", "operator"}:
            return user_id
        raise Forbidden("these credentials act for one user only, and the request names another")

    def require(self, role: str) -> None:
        """Refuse a caller without a role.

        Raises:
            Forbidden: The caller has it not.
        """
        if role not in self.roles:
            raise Forbidden(f"this needs the role {role}")


OPEN = Caller("open", None, frozenset({"operator"}), 1_000_000, math.inf)


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def check_bind(config: IdentityConfig, host: str) -> None:
    """Refuse to serve everybody as an operator on a network.

    Args:
        config: How callers prove who they are.
        host: Address that the server is to listen on; empty means all.

    Raises:
        ConfigError: No credentials are asked, and the address is not loopback.
    """
    if config.auth == "open" and not is_loopback(host):
        raise ConfigError(
            f"host {host!r} can be reached from the network and auth is 'open': "
            "set identity.auth to keys or oidc, or listen on 127.0.0.1"
        )


class Identity:
    """Tells from a request's credentials who sent it.

    Args:
        config: How.
        engine: The operational database, where the API keys are.
        http: Reaches the issuer.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        config: IdentityConfig,
        engine: Engine,
        http: httpx.AsyncClient,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.config, self.clock = config, clock
        self.keys = KeyStore(engine, clock)
        if config.jwks_url:
            source = jwks.from_url(config.jwks_url, http)
        else:
            source = jwks.from_file(Path(config.jwks_file))
        self.jwks = jwks.Jwks(
            source,
            config.jwks_url or config.jwks_file,
            fresh_s=config.jwks_fresh_s,
            stale_s=config.jwks_stale_s,
        )

    async def authenticate(self, authorization: str | None) -> Caller:
        """The caller of a request.

        Args:
            authorization: Its Authorization header, None for none. Not read where auth is open.

        Raises:
            Unauthorized: No credentials, or credentials that do not hold.
            Forbidden: A token that holds, but whose user claim is no user id.
            ServiceError: The issuer's keys cannot be read.
        """
        if self.config.auth == "open":
            return OPEN
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized("no credentials: send Authorization: Bearer ...", presented=False)
        if token.startswith(PREFIX):
            return await self._by_key(token)
        if self.config.auth != "oidc":
            raise Unauthorized("no API key of this assistant")
        return self._caller(await self._claims(token))

    async def _by_key(self, token: str) -> Caller:
        key = self.keys.cached(token) or await asyncio.to_thread(self.keys.find, token)
        if key is None:
            raise Unauthorized("unknown API key")
        if fault := key.fault(int(self.clock() * 1000)):
            raise Unauthorized(f"this API key is {fault}")
        limits = (key.requests_per_minute, key.cents_per_day)
        return Caller(key.name, key.user_id, key.roles, *limits)

    async def _claims(self, token: str) -> dict[str, Any]:
        """A token's claims, once all that it must be is checked."""
        if len(token) > MAX_TOKEN_CHARS:
            raise Unauthorized(f"a token of {len(token)} characters; at most {MAX_TOKEN_CHARS}")
        try:
            kid, algorithm = self._header(jwt.get_unverified_header(token))
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise Unauthorized("the token cannot be read") from None
        key = await self.jwks.key(kid, algorithm)
        if key is None:
            raise Unauthorized("the token is signed with a key that its issuer does not publish")
        required = ["exp", "iat", "iss", "aud", self.config.user_claim]
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self.config.issuer,
                audience=self.config.audience,
                leeway=self.config.leeway_s,
                options={"require": required + ["nbf"] * self.config.require_nbf},
            )
        except jwt.PyJWTError as error:
            raise Unauthorized(f"the token does not hold: {_reason(error)}") from None
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise Unauthorized("the token's claims cannot be read") from None

    def _header(self, header: Mapping[str, Any]) -> tuple[str | None, Algorithm]:
        kid, algorithm, kind = (header.get(name) for name in ("kid", "alg", "typ"))
        if algorithm not in self.config.algorithms:
            raise Unauthorized("the token's algorithm is not allowed")
        if "crit" in header or not (kid is None or isinstance(kid, str)):
            raise Unauthorized("the token's header holds what is not understood")
        if kind is not None and str(kind).lower() not in _TYPES:
            raise Unauthorized("the token is no access token")
        return kid, algorithm

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        user = claims[self.config.user_claim]
        if not (isinstance(user, str) and 0 < len(user) <= MAX_USER_CHARS and user.isprintable()):
            raise Forbidden(f"the token's {self.config.user_claim} is no user id")
        roles = _roles(claims, self.config.role_claim) or frozenset({"user"})
        digest = hashlib.sha256(f"{self.config.issuer}\0{user}".encode()).hexdigest()
        return Caller(
            f"oidc:{digest[:32]}",
            user if "user" in roles else None,
            roles,
            self.config.requests_per_minute,
            self.config.cents_per_day,
        )


def _roles(claims: Mapping[str, Any], path: str) -> frozenset[str]:
    """Our roles among those that a token gives."""
    value: Any = claims.get(path)
    if value is None:
        value = claims
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
    given = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    return frozenset(role for role in given if isinstance(role, str)) & ROLES


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
