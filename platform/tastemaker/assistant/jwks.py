"""An issuer's public keys: fetched, kept, and looked up by a token's `kid`.

Nothing that a token says is ever followed: `kid` is only compared, and `jku`, `x5u` and `jwk` are
never read. Where the issuer cannot be reached the known keys go on being used for a while.
"""

import asyncio
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jwt import PyJWK
from jwt.exceptions import PyJWTError

from tastemaker.assistant.http_client import HttpClient, Request
from tastemaker.core.errors import ServiceError

REFRESH_S = 60.0  # the issuer is asked no more often than this
_FIRST_S = 5.0  # likewise, while no key is known at all
_MAX_BYTES = 256 << 10
_TIMEOUT_S = 3.0
_MIN_RSA_BITS = 2048
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_KINDS = {"R": "RSA", "P": "RSA", "E": "EC"}  # by the algorithm's first letter
_LOG = logging.getLogger(__name__)

Source = Callable[[], Awaitable[bytes]]


@dataclass(frozen=True)
class PublicKey:
    """A key of the set.

    Attributes:
        kid: Its id; empty where the issuer gives none.
        kind: `RSA`, `EC` or `OKP`.
        curve: Of an EC or OKP key, else empty.
        algorithm: The only one that it is for; empty for any of its kind.
        material: The key itself, as the cryptography library reads it.
    """

    kid: str
    kind: str
    curve: str
    algorithm: str
    material: Any

    def fits(self, algorithm: str) -> bool:
        """Whether a signature of this algorithm can be this key's."""
        if self.algorithm not in ("", algorithm):
            return False
        if algorithm == "EdDSA":
            return (self.kind, self.curve) == ("OKP", "Ed25519")
        return self.kind == _KINDS[algorithm[0]] and self.curve == _CURVES.get(algorithm, "")


def from_url(url: str, http: HttpClient) -> Source:
    """A key set behind an address: no redirects, a short time, a bounded size."""

    async def read() -> bytes:
        response = await http.send(Request(url, _TIMEOUT_S, max_bytes=_MAX_BYTES))
        if response.status != 200:
            raise OSError(f"HTTP {response.status}")
        return response.body

    return read


def from_file(path: Path) -> Source:
    """A key set in a file, read again when the set is refreshed."""

    async def read() -> bytes:
        return path.read_bytes()

    return read


class Jwks:
    """The keys of one issuer.

    Args:
        source: Where they come from.
        name: What errors call that place.
        fresh_s: Seconds until they are fetched again.
        stale_s: Seconds for which they are used where that fails; then no token is taken.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        source: Source,
        name: str,
        *,
        fresh_s: float,
        stale_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source, self.name, self.clock = source, name, clock
        self.fresh_s, self.stale_s = fresh_s, stale_s
        self._keys: tuple[PublicKey, ...] = ()
        self._read_s = self._tried_s = -math.inf
        self._lock = asyncio.Lock()

    async def key(self, kid: str | None, algorithm: str) -> Any:
        """The key that a token names.

        Args:
            kid: The token's key id; None for the only key that fits.
            algorithm: The token's algorithm, of those that are allowed.

        Returns:
            What to verify with; None when no one key fits.

        Raises:
            ServiceError: The keys could not be read, or not for longer than `stale_s`.
        """
        age_s = self.clock() - self._read_s
        found = self._find(kid, algorithm)
        if age_s >= self.fresh_s or found is None:
            # One request waits for the issuer; the others go on with the keys that are known.
            if found is None or not self._lock.locked():
                await self._refresh()
            found = self._find(kid, algorithm)
        if self.clock() - self._read_s > self.stale_s:
            raise ServiceError(f"the issuer's keys at {self.name} cannot be read: try again later")
        return found

    def _find(self, kid: str | None, algorithm: str) -> Any:
        fit = [key for key in self._keys if kid in (None, key.kid) and key.fits(algorithm)]
        return fit[0].material if len(fit) == 1 else None

    async def _refresh(self) -> None:
        async with self._lock:
            if self.clock() - self._tried_s < (REFRESH_S if self._keys else _FIRST_S):
                return
            self._tried_s = self.clock()
            try:
                self._keys = read_keys(await self.source())
                self._read_s = self.clock()
            except (OSError, ValueError) as error:
                reason = str(error) or type(error).__name__
                _LOG.warning("the issuer's keys at %s cannot be read: %s", self.name, reason)


def read_keys(body: bytes) -> tuple[PublicKey, ...]:
    """The usable keys of a JWKS document: public, asymmetric, for signatures, long enough.

    Raises:
        ValueError: A document of another form, or one without any usable key.
    """
    try:
        document = json.loads(body)
    except RecursionError:
        raise ValueError("a document nested too deep") from None
    rows = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise ValueError("no JWKS document: an object with a list of `keys`")
    keys = tuple(key for row in rows if isinstance(row, dict) and (key := _read_key(row)))
    if not keys:
        raise ValueError(f"none of {len(rows)} keys is a public key for signatures")
    return keys


def _read_key(row: dict[str, Any]) -> PublicKey | None:
    kind, curve = row.get("kty"), row.get("crv", "")
    if kind not in ("RSA", "EC", "OKP") or row.get("use", "sig") != "sig":
        return None
    named = (row.get("kid", ""), curve, row.get("alg", ""))
    if not all(isinstance(value, str) for value in named):
        return None
    public = {
        name: value for name, value in row.items() if name in ("kty", "crv", "n", "e", "x", "y")
    }
    by_curve = {curve: name for name, curve in _CURVES.items()} | {"Ed25519": "EdDSA"}
    try:
        material = PyJWK(public, algorithm="RS256" if kind == "RSA" else by_curve[curve]).key
    except (PyJWTError, ValueError, KeyError, TypeError):
        return None
    if kind == "RSA" and material.key_size < _MIN_RSA_BITS:
        return None
    return PublicKey(named[0], kind, curve, named[2], material)
