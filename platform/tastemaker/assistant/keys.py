"""API keys: who a program is, whom it acts for and what it may use up.

A key is 256 random bits, shown once. Only its SHA-256 is kept: a fast hash is enough for a secret
that cannot be guessed, and a stolen database opens nothing.
"""

import hashlib
import hmac
import math
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from threading import Lock

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Float,
    Index,
    Integer,
    Row,
    String,
    Table,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from tastemaker.core.database import metadata
from tastemaker.core.errors import ConfigError, NotFound

PREFIX = "tmk_"
ROLES = frozenset({"user", "service", "operator"})
MAX_USER_CHARS = 200  # of a user id
CACHED_S = 5.0  # a key revoked by another process works for no longer
_MAX_CACHED = 10_000
_FORM = re.compile(r"tmk_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NO_HASH = "0" * 64

keys_table = Table(
    "api_keys",
    metadata,
    Column("key_id", String(16), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("user_id", String(MAX_USER_CHARS)),
    Column("roles", String(64), nullable=False),  # sorted, with commas between
    Column("requests_per_minute", Integer, nullable=False),
    Column("cents_per_day", Float, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger),
    Column("revoked_ms", BigInteger),
)
_NOT_REVOKED = keys_table.c.revoked_ms.is_(None)
Index(  # a name is free again once its key is revoked
    "api_keys_by_name",
    keys_table.c.name,
    unique=True,
    sqlite_where=_NOT_REVOKED,
    postgresql_where=_NOT_REVOKED,
)


@dataclass(frozen=True)
class ApiKey:
    """A key, without its secret.

    Attributes:
        key_id: Its public part, in the key itself.
        name: Its name, unique among keys that are not revoked.
        user_id: The user that it acts for; None for a service or an operator.
        roles: Of `ROLES`.
        requests_per_minute: Rate limit, >= 1.
        cents_per_day: Spend limit of a UTC day, >= 0.
        created_ms, expires_ms, revoked_ms: Times, UTC; None for never.
    """

    key_id: str
    name: str
    user_id: str | None
    roles: frozenset[str]
    requests_per_minute: int
    cents_per_day: float
    created_ms: int
    expires_ms: int | None = None
    revoked_ms: int | None = None

    def fault(self, now_ms: int) -> str:
        """Why the key does not hold at a time: `revoked`, `expired`, or empty."""
        if self.revoked_ms is not None:
            return "revoked"
        return "expired" if self.expires_ms is not None and self.expires_ms <= now_ms else ""


class KeyStore:
    """The keys of a database.

    Args:
        engine: The operational database.
        clock: Seconds since 1970.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self.engine, self.clock = engine, clock
        self._cache: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()
        self._lock = Lock()

    def create(
        self,
        name: str,
        *,
        user_id: str | None = None,
        roles: Iterable[str] = (),
        requests_per_minute: int = 60,
        cents_per_day: float = 100.0,
        expires_s: float | None = None,
    ) -> tuple[str, ApiKey]:
        """Make a key.

        Args:
            name: 1 to 64 letters, digits, `.`, `_` and `-`.
            user_id: The user that it acts for; gives it the role `user`.
            roles: Further roles; at least one where no user is named.
            requests_per_minute: >= 1.
            cents_per_day: >= 0; 0 allows only what is free.
            expires_s: Seconds from now, > 0; None for never.

        Returns:
            The key, which nobody can ever read again, and its record.

        Raises:
            ConfigError: A value out of range, or a name that is taken.
        """
        roles = frozenset(roles) | ({"user"} if user_id else set())
        _check(name, user_id, roles, requests_per_minute, cents_per_day, expires_s)
        now_ms = int(self.clock() * 1000)
        key_id = secrets.token_hex(8)
        key = f"{PREFIX}{key_id}_{secrets.token_urlsafe(32)}"
        made = ApiKey(
            key_id,
            name,
            user_id,
            roles,
            requests_per_minute,
            cents_per_day,
            created_ms=now_ms,
            expires_ms=None if expires_s is None else now_ms + int(expires_s * 1000),
        )
        row = {**vars(made), "roles": ",".join(sorted(roles)), "sha256": _sha256(key)}
        try:
            with self.engine.begin() as connection:
                connection.execute(insert(keys_table).values(**row))
        except IntegrityError:
            raise ConfigError(f"a key named {name!r} exists: revoke it, or choose a name") from None
        return key, made

    def all(self) -> list[ApiKey]:
        """All keys, revoked ones too, oldest first."""
        order = (keys_table.c.created_ms, keys_table.c.key_id)
        with self.engine.connect() as connection:
            return [_key(row) for row in connection.execute(select(keys_table).order_by(*order))]

    def revoke(self, name: str) -> ApiKey:
        """Revoke the key of a name: at once here, within `CACHED_S` seconds in other processes.

        Raises:
            NotFound: No key of that name that is not revoked already.
        """
        now_ms = int(self.clock() * 1000)
        with self.engine.begin() as connection:
            row = connection.execute(
                select(keys_table).where(keys_table.c.name == name, _NOT_REVOKED)
            ).one_or_none()
            if row is None:
                raise NotFound(f"no key named {name!r} that is not revoked")
            connection.execute(
                update(keys_table)
                .where(keys_table.c.key_id == row.key_id)
                .values(revoked_ms=now_ms)
            )
        with self._lock:
            self._cache.clear()
        return replace(_key(row), revoked_ms=now_ms)

    def cached(self, presented: str) -> ApiKey | None:
        """A key that `find` saw within the last `CACHED_S` seconds; reads memory only."""
        with self._lock:
            seen_s, key = self._cache.get(_sha256(presented), (-math.inf, None))
        return key if self.clock() - seen_s < CACHED_S else None

    def find(self, presented: str) -> ApiKey | None:
        """The key that a client presents, be it expired or revoked; None for an unknown one."""
        form = _FORM.fullmatch(presented)
        if form is None:
            return None
        with self.engine.connect() as connection:
            row = connection.execute(
                select(keys_table).where(keys_table.c.key_id == form[1])
            ).one_or_none()
        digest = _sha256(presented)
        same = hmac.compare_digest(digest, row.sha256 if row else _NO_HASH)
        if row is None or not same:
            return None
        with self._lock:
            self._cache[digest] = (self.clock(), _key(row))
            self._cache.move_to_end(digest)
            while len(self._cache) > _MAX_CACHED:
                self._cache.popitem(last=False)
        return _key(row)


def _key(row: Row) -> ApiKey:
    values = dict(row._mapping)
    del values["sha256"]
    return ApiKey(**{**values, "roles": frozenset(values["roles"].split(","))})


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def _check(
    name: str,
    user_id: str | None,
    roles: frozenset[str],
    requests_per_minute: int,
    cents_per_day: float,
    expires_s: float | None,
) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"key name {name!r}: 1 to 64 letters, digits, '.', '_' and '-'")
    if unknown := sorted(roles - ROLES):
        raise ConfigError(f"role {unknown[0]!r}: the roles are {', '.join(sorted(ROLES))}")
    if not roles or ("user" in roles) != bool(user_id):
        raise ConfigError(
            f"key {name!r}: name the user that it acts for, or give it the role service or operator"
        )
    if user_id and not (len(user_id) <= MAX_USER_CHARS and user_id.isprintable()):
        raise ConfigError(f"user id {user_id!r}: 1 to {MAX_USER_CHARS} printable characters")
    if requests_per_minute < 1:
        raise ConfigError(f"requests_per_minute={requests_per_minute}: must be >= 1")
    if not 0 <= cents_per_day < math.inf:
        raise ConfigError(f"cents_per_day={cents_per_day}: must be >= 0 and finite")
    if expires_s is not None and not 0 < expires_s < 100 * 366 * 86_400:
        raise ConfigError(f"expires_s={expires_s}: must be > 0 and under 100 years")
