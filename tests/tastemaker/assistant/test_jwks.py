import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from fastapi import FastAPI
from fastapi.responses import RedirectResponse, Response
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tastemaker.assistant.http_client import Pool
from tastemaker.assistant.jwks import REFRESH_S, Jwks, from_file, from_url, read_keys
from tastemaker.core.errors import ServiceError
from tests.tastemaker.assistant.conftest import serving


def jwk(private: Any, **fields: str) -> dict[str, Any]:
    kind = {rsa.RSAPrivateKey: RSAAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}
    algorithm = next((a for k, a in kind.items() if isinstance(private, k)), OKPAlgorithm)
    return {**algorithm.to_jwk(private.public_key(), as_dict=True), **fields}


EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)


class Source:
    """A place of keys; `rows` None is a place that does not answer."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows: tuple[dict[str, Any], ...] | None = rows
        self.num_read = 0

    async def __call__(self) -> bytes:
        self.num_read += 1
        await asyncio.sleep(0)
        if self.rows is None:
            raise ConnectionError("refused")
        return json.dumps({"keys": self.rows}).encode()


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def make(source: Source, clock: Clock) -> Jwks:
    return Jwks(source, "issuer", fresh_s=300, stale_s=3600, clock=clock)


def test_keys_are_kept_and_an_unknown_kid_asks_once_a_minute() -> None:
    async def go() -> None:
        source, clock = Source(jwk(EC, kid="a")), Clock()
        keys = make(source, clock)
        assert await keys.key("a", "ES256") is not None
        assert await keys.key(None, "ES256") is not None  # the only one that fits
        assert source.num_read == 1
        for n in range(50):
            assert await keys.key(f"evil{n}", "ES256") is None
        assert source.num_read == 1  # the minute is not over
        clock.now_s += REFRESH_S
        source.rows = (jwk(EC, kid="a"), jwk(RSA, kid="b"))
        found = await asyncio.gather(*(keys.key("b", "RS256") for _ in range(20)))
        assert all(key is not None for key in found)
        assert source.num_read == 2  # twenty requests, one fetch

    asyncio.run(go())


def test_a_withdrawn_key_is_gone_when_the_set_is_fetched_again() -> None:
    async def go() -> None:
        source, clock = Source(jwk(EC, kid="a")), Clock()
        keys = make(source, clock)
        assert await keys.key("a", "ES256") is not None
        source.rows = (jwk(RSA, kid="b"),)
        clock.now_s += 299
        assert await keys.key("a", "ES256") is not None
        clock.now_s += 1
        assert await keys.key("a", "ES256") is None

    asyncio.run(go())


def test_known_keys_serve_while_the_issuer_is_down_but_not_for_ever() -> None:
    async def go() -> None:
        source, clock = Source(jwk(EC, kid="a")), Clock()
        keys = make(source, clock)
        await keys.key("a", "ES256")
        source.rows = None
        clock.now_s += 301
        for _ in range(10):
            assert await keys.key("a", "ES256") is not None
        assert source.num_read == 2
        clock.now_s = 3601
        with pytest.raises(ServiceError, match="issuer's keys"):
            await keys.key("a", "ES256")
        source.rows = (jwk(EC, kid="a"),)
        clock.now_s += REFRESH_S
        assert await keys.key("a", "ES256") is not None

    asyncio.run(go())


def test_an_issuer_that_was_never_reached_is_asked_again_soon() -> None:
    async def go() -> None:
        source, clock = Source(), Clock()
        source.rows = None
        keys = make(source, clock)
        for _ in range(3):
            with pytest.raises(ServiceError):
                await keys.key("a", "ES256")
        assert source.num_read == 1
        clock.now_s += 5
        source.rows = (jwk(EC, kid="a"),)
        assert await keys.key("a", "ES256") is not None

    asyncio.run(go())


def test_only_public_strong_signature_keys_are_read() -> None:
    small = rsa.generate_private_key(65537, 1024)
    rows = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
        jwk(small, kid="small"),
        jwk(RSA, kid="for-encryption", use="enc"),
        jwk(RSA, kid=["no", "text"]),  # type: ignore[arg-type]
        {"kty": "RSA", "kid": "broken", "n": "??"},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA", "kid": "odd"},
        "no object",
        jwk(RSA, kid="rsa", alg="RS256"),
        jwk(EC, kid="ec"),
        jwk(ed25519.Ed25519PrivateKey.generate(), kid="ed"),
    ]
    keys = read_keys(json.dumps({"keys": rows}).encode())
    assert [key.kid for key in keys] == ["rsa", "ec", "ed"]
    pairs = {
        (key.kid, algorithm)
        for key in keys
        for algorithm in ("RS256", "RS512", "PS256", "ES256", "ES384", "EdDSA")
        if key.fits(algorithm)
    }
    assert pairs == {("rsa", "RS256"), ("ec", "ES256"), ("ed", "EdDSA")}
    for body in (b"", b"[]", b"{}", b'{"keys": []}', b'{"keys": ["x"]}', b"[" * 100_000):
        with pytest.raises(ValueError):
            read_keys(body)


def test_an_address_is_read_without_redirects_and_up_to_a_size() -> None:
    app = FastAPI()

    @app.get("/good")
    async def good() -> Response:
        return Response(json.dumps({"keys": [jwk(EC, kid="a")]}))

    @app.get("/moved")
    async def moved() -> Response:
        return RedirectResponse("/good")

    @app.get("/huge")
    async def huge() -> Response:
        return Response(b" " * 300_000)

    async def go(url: str) -> None:
        async with aclosing(Pool()) as http:
            assert read_keys(await from_url(f"{url}/good", http)())
            for path, fault in (("moved", "HTTP 307"), ("huge", "bytes"), ("none", "HTTP 404")):
                with pytest.raises((OSError, ValueError), match=fault):
                    await from_url(f"{url}/{path}", http)()

    with serving(app) as url:
        asyncio.run(go(url))


def test_a_file_is_read(tmp_path: Any) -> None:
    file = tmp_path / "jwks.json"
    keys = Jwks(from_file(file), str(file), fresh_s=300, stale_s=3600)
    with pytest.raises(ServiceError, match=r"jwks\.json"):
        asyncio.run(keys.key("a", "ES256"))
    file.write_text(json.dumps({"keys": [jwk(EC, kid="a")]}))
    keys = Jwks(from_file(file), str(file), fresh_s=300, stale_s=3600)
    assert asyncio.run(keys.key("a", "ES256")) is not None
