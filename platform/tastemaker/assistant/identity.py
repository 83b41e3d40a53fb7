"""Who asks, and what they may do.

`open` needs no credentials and is served on loopback only; `keys` takes API keys; `oidc` takes
tokens of one issuer as well.
"""

import hashlib
import ipaddress
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from sqlalchemy import Engine

from tastemaker.assistant import jwks
from tastemaker.assistant.errors import Forbidden, Unauthorized
from tastemaker.assistant.http_client import HttpClient
from tastemaker.assistant.keys import MAX_USER_CHARS, PREFIX, ROLES, KeyStore
from tastemaker.assistant.tokens import Algorithm, Tokens
from tastemaker.core.config import Config
from tastemaker.core.database import in_thread
from tastemaker.core.errors import ConfigError


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
class Owner:
    """Whose a conversation is: a user's, or of a guest of the caller that began it.

    Attributes:
        user_id: The user; None for a guest.
        guest_of: Name of the guest's caller; empty for a user, whom several callers may act for.
    """

    user_id: str | None
    guest_of: str = ""


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

    def owner(self, user_id: str | None) -> Owner:
        """Whose the conversations of a request are that names this user, or none.

        Raises:
            Forbidden: As `act_for`.
        """
        user_id = self.act_for(user_id)
        return Owner(user_id, self.name if user_id is None else "")

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
        http: HttpClient,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.config, self.clock = config, clock
        self.keys = KeyStore(engine, clock)
        if config.jwks_url:
            source = jwks.from_url(config.jwks_url, http)
        else:
            source = jwks.from_file(Path(config.jwks_file))
        keys = jwks.Jwks(
            source,
            config.jwks_url or config.jwks_file,
            fresh_s=config.jwks_fresh_s,
            stale_s=config.jwks_stale_s,
        )
        self.tokens = Tokens(
            keys,
            issuer=config.issuer,
            audience=config.audience,
            algorithms=config.algorithms,
            required=[config.user_claim, *["nbf"] * config.require_nbf],
            leeway_s=config.leeway_s,
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
        return self._caller(await self.tokens.claims(token))

    async def _by_key(self, token: str) -> Caller:
        key = self.keys.cached(token)
        key = key or await in_thread(self.keys.engine, self.keys.find, token)
        if key is None:
            raise Unauthorized("unknown API key")
        if fault := key.fault(int(self.clock() * 1000)):
            raise Unauthorized(f"this API key is {fault}")
        limits = (key.requests_per_minute, key.cents_per_day)
        return Caller(key.name, key.user_id, key.roles, *limits)

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
