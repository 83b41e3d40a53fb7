"""Tokens of a real issuer: RSA, EC and Ed25519 keys behind a real HTTP server, and attacks."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from fastapi import FastAPI
from sqlalchemy import Engine

from tastemaker.assistant.errors import Forbidden, Unauthorized
from tastemaker.assistant.http_client import Pool
from tastemaker.assistant.identity import (
    OPEN,
    Caller,
    Identity,
    IdentityConfig,
    check_bind,
    is_loopback,
)
from tastemaker.core.config import parse
from tastemaker.core.database import open_database
from tastemaker.core.errors import ConfigError, ServiceError
from tests.tastemaker.assistant.conftest import serving
from tests.tastemaker.assistant.test_jwks import jwk

RSA = rsa.generate_private_key(65537, 2048)
KEYS: dict[str, tuple[str, Any]] = {
    "rsa": ("RS256", RSA),
    "ec": ("ES256", ec.generate_private_key(ec.SECP256R1())),
    "ed": ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
}
PUBLIC_PEM = RSA.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
ISSUER, AUDIENCE = "https://login.example", "tastemaker"


def claims(**changed: Any) -> dict[str, Any]:
    """Good claims, with changes; None leaves one out."""
    now = int(time.time())
    good = {"sub": "ada", "iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 300}
    return {key: value for key, value in {**good, **changed}.items() if value is not None}


def token(kid: str = "rsa", headers: dict[str, Any] | None = None, **changed: Any) -> str:
    algorithm, key = KEYS[kid]
    head = {"kid": kid, **(headers or {})}
    return jwt.encode(claims(**changed), key, algorithm, headers=head)


def forged(header: dict[str, Any], signature: bytes = b"", **changed: Any) -> str:
    """A token that no library would write."""
    parts = [json.dumps(header).encode(), json.dumps(claims(**changed)).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@pytest.fixture(scope="module")
def issuer() -> Iterator[tuple[str, list[str]]]:
    """Address of a real key server, and the paths that it was asked for."""
    app, asked = FastAPI(), []

    @app.get("/{path:path}")
    async def keys(path: str) -> dict[str, Any]:
        asked.append(path)
        return {"keys": [jwk(key, kid=kid) for kid, (_, key) in KEYS.items()]}

    with serving(app) as url:
        yield url, asked


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_database(f"sqlite:///{tmp_path}/a.db")


@pytest.fixture
def config(issuer: tuple[str, list[str]]) -> IdentityConfig:
    url = f"{issuer[0]}/jwks.json"
    return IdentityConfig(auth="oidc", issuer=ISSUER, audience=AUDIENCE, jwks_url=url)


def caller_of(config: IdentityConfig, engine: Engine, *authorizations: str | None) -> Caller:
    """The caller of the last header, all asked of one identity."""

    async def ask() -> Caller:
        async with aclosing(Pool()) as http:
            identity = Identity(config, engine, http)
            for authorization in authorizations:
                caller = await identity.authenticate(authorization)
            return caller

    return asyncio.run(ask())


@pytest.mark.parametrize("kid", KEYS)
def test_a_good_token_is_its_user(config: IdentityConfig, engine: Engine, kid: str) -> None:
    caller = caller_of(config, engine, f"Bearer {token(kid)}")
    name = "oidc:" + hashlib.sha256(f"{ISSUER}\0ada".encode()).hexdigest()[:32]
    assert caller == Caller(name, "ada", frozenset({"user"}), 120, 100.0)
    many = caller_of(config, engine, f"bearer {token(kid, aud=['other', AUDIENCE])}")
    assert many == caller


def test_roles_come_from_the_claim_and_unknown_ones_count_for_nothing(
    config: IdentityConfig, engine: Engine
) -> None:
    for given, roles, user in (
        (["operator", "root", 7], {"operator"}, None),
        ("service", {"service"}, None),
        (["user", "operator"], {"user", "operator"}, "ada"),
        (["root"], {"user"}, "ada"),
        ({"operator": True}, {"user"}, "ada"),
    ):
        caller = caller_of(config, engine, f"Bearer {token(roles=given)}")
        assert (caller.roles, caller.user) == (roles, user)
    nested = config.model_copy(update={"role_claim": "realm.roles"})
    deep = token(realm={"roles": ["operator"]})
    assert caller_of(nested, engine, f"Bearer {deep}").roles == {"operator"}
    named = token(**{"realm.roles": "service"})
    assert caller_of(nested, engine, f"Bearer {named}").roles == {"service"}


def test_times_are_checked_with_a_leeway(config: IdentityConfig, engine: Engine) -> None:
    now = int(time.time())
    for good in ({"exp": now - 10}, {"nbf": now + 20}, {"iat": now + 20}):
        caller_of(config, engine, f"Bearer {token(**good)}")
    for bad, reason in (
        ({"exp": now - 60}, "expired"),
        ({"nbf": now + 60}, "not valid yet"),
        ({"iat": now + 60}, "not valid yet"),
        ({"exp": "soon"}, "cannot be read"),
        ({"exp": float("inf")}, "cannot be read"),
    ):
        with pytest.raises(Unauthorized, match=reason):
            caller_of(config, engine, f"Bearer {token(**bad)}")


@pytest.mark.parametrize("missing", ["exp", "nbf", "iat", "iss", "aud", "sub"])
def test_a_missing_claim_is_refused(config: IdentityConfig, engine: Engine, missing: str) -> None:
    with pytest.raises(Unauthorized, match="a claim is missing"):
        caller_of(config, engine, f"Bearer {token(**{missing: None})}")


def test_an_issuer_without_nbf_can_be_allowed(config: IdentityConfig, engine: Engine) -> None:
    lenient = config.model_copy(update={"require_nbf": False})
    assert caller_of(lenient, engine, f"Bearer {token(nbf=None)}").user == "ada"
    with pytest.raises(Unauthorized, match="not valid yet"):
        caller_of(lenient, engine, f"Bearer {token(nbf=int(time.time()) + 600)}")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"iss": "https://login.example/"}, "issuer"),
        ({"iss": "https://evil.example"}, "issuer"),
        ({"iss": ["https://login.example"]}, "issuer"),
        ({"aud": "another"}, "audience"),
        ({"aud": ["another"]}, "audience"),
        ({"aud": []}, "missing"),
        ({"aud": {"tastemaker": 1}}, "audience"),
    ],
)
def test_another_issuer_or_audience_is_refused(
    config: IdentityConfig, engine: Engine, changed: dict[str, Any], reason: str
) -> None:
    head = {"alg": "RS256", "typ": "JWT", "kid": "rsa"}
    parts = [json.dumps(part).encode() for part in (head, claims(**changed))]
    signed = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    signature = jwt.get_algorithm_by_name("RS256").sign(signed.encode(), RSA)
    whole = f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    with pytest.raises(Unauthorized, match=reason):
        caller_of(config, engine, f"Bearer {whole}")


@pytest.mark.parametrize("sub", ["", "a\nb", "x" * 201])
def test_a_token_whose_user_is_none_is_forbidden(
    config: IdentityConfig, engine: Engine, sub: str
) -> None:
    with pytest.raises(Forbidden, match="no user id"):
        caller_of(config, engine, f"Bearer {token(sub=sub)}")


def test_a_forged_signature_is_refused(config: IdentityConfig, engine: Engine) -> None:
    good = token()
    head, body, signature = good.split(".")
    other = jwt.encode(
        claims(), rsa.generate_private_key(65537, 2048), "RS256", headers={"kid": "rsa"}
    )
    swapped = base64.urlsafe_b64encode(json.dumps(claims(sub="root")).encode()).decode()
    for bad in (
        other,
        f"{head}.{swapped.rstrip('=')}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-8]}AAAAAAAA",
        token("ec", {"kid": "rsa"}),  # one key's signature, another key's name
        token("rsa", {"kid": "ec"}),
    ):
        with pytest.raises(Unauthorized):
            caller_of(config, engine, f"Bearer {bad}")


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", None, 7, ["RS256"]])
def test_an_unsigned_token_is_refused(config: IdentityConfig, engine: Engine, name: Any) -> None:
    unsigned = forged({"alg": name, "typ": "JWT", "kid": "rsa"})
    with pytest.raises(Unauthorized):
        caller_of(config, engine, f"Bearer {unsigned}")


def test_a_public_key_is_no_shared_secret(config: IdentityConfig, engine: Engine) -> None:
    head = {"alg": "HS256", "typ": "JWT", "kid": "rsa"}
    published = json.dumps(jwk(RSA, kid="rsa")).encode()
    for secret in (PUBLIC_PEM, PUBLIC_PEM.strip(), published, b""):
        signed = forged(head, sub="root").rpartition(".")[0]
        mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        whole = f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
        with pytest.raises(Unauthorized, match="algorithm is not allowed"):
            caller_of(config, engine, f"Bearer {whole}")


def test_no_configuration_allows_a_symmetric_algorithm() -> None:
    for name in ("none", "HS256", "HS512", "rs256"):
        with pytest.raises(ConfigError, match="algorithms"):
            parse(IdentityConfig, {"algorithms": [name]}, where="identity")
    with pytest.raises(ConfigError, match="algorithms"):
        parse(IdentityConfig, {"algorithms": []}, where="identity")


def test_an_algorithm_that_is_not_listed_is_refused(config: IdentityConfig, engine: Engine) -> None:
    only_ec = config.model_copy(update={"algorithms": ("ES256",)})
    caller_of(only_ec, engine, f"Bearer {token('ec')}")
    with pytest.raises(Unauthorized, match="algorithm"):
        caller_of(only_ec, engine, f"Bearer {token('rsa')}")


def test_where_keys_come_from_is_never_the_tokens_choice(
    config: IdentityConfig, engine: Engine, issuer: tuple[str, list[str]]
) -> None:
    evil = rsa.generate_private_key(65537, 2048)
    url, asked = issuer
    for header in (
        {"kid": "rsa", "jku": f"{url}/evil.json"},
        {"kid": "rsa", "x5u": f"{url}/evil.pem"},
        {"kid": "rsa", "jwk": jwk(evil, kid="rsa")},
        {"kid": "../../../../etc/passwd"},
        {"kid": "/dev/null"},
        {"kid": f"{url}/evil.json"},
        {"kid": "' or '1'='1"},
        {"kid": "x" * 4000},
    ):
        with pytest.raises(Unauthorized):
            caller_of(config, engine, f"Bearer {jwt.encode(claims(), evil, 'RS256', header)}")
    assert set(asked) == {"jwks.json"}


def test_a_header_that_is_not_understood_is_refused(config: IdentityConfig, engine: Engine) -> None:
    for header in (
        {"crit": ["exp"], "alg": "RS256", "kid": "rsa"},
        {"b64": False, "crit": ["b64"], "alg": "RS256", "kid": "rsa"},
        {"typ": "logout+jwt", "alg": "RS256", "kid": "rsa"},
        {"kid": 7, "alg": "RS256"},
        {"kid": None, "alg": "RS512"},
    ):
        with pytest.raises(Unauthorized):
            caller_of(config, engine, f"Bearer {forged(header, b'x' * 256)}")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer a.b",
        "Bearer a.b.c",
        "Bearer ..",
        "Bearer \ud800.é.ü",
        "Bearer " + "a" * 9000,
        "Bearer " + base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("=") + ".e30.",
        "Bearer " + base64.urlsafe_b64encode(b"9" * 5000).decode().rstrip("=") + ".e30.",
    ],
)
def test_rubbish_is_unauthorized_and_nothing_worse(
    config: IdentityConfig, engine: Engine, header: str | None
) -> None:
    with pytest.raises(Unauthorized) as refused:
        caller_of(config, engine, header)
    challenge = refused.value.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="tastemaker"')
    assert challenge.isascii()
    presented = (header or "").startswith("Bearer ") and header != "Bearer "
    assert ("invalid_token" in challenge) == presented


def test_a_refusal_never_repeats_the_token(config: IdentityConfig, engine: Engine) -> None:
    bad = token(sub="ada", secret="hunter2") + "x"
    with pytest.raises(Unauthorized) as refused:
        caller_of(config, engine, f"Bearer {bad}")
    assert not set(bad.split(".")) & set(str(refused.value).split())
    assert "hunter2" not in str(refused.value)


def test_the_issuer_down_from_the_start_is_no_fault_of_the_token(engine: Engine) -> None:
    config = IdentityConfig(
        auth="oidc", issuer=ISSUER, audience=AUDIENCE, jwks_url="http://127.0.0.1:9/jwks"
    )
    with pytest.raises(ServiceError, match=r"127\.0\.0\.1:9"):
        caller_of(config, engine, f"Bearer {token()}")


def test_api_keys_work_beside_tokens_and_alone(config: IdentityConfig, engine: Engine) -> None:
    async def go(config: IdentityConfig) -> None:
        now = [time.time()]
        async with aclosing(Pool()) as http:
            identity = Identity(config, engine, http, clock=lambda: now[0])
            name = f"web-{config.auth}"
            key, _ = identity.keys.create(name, user_id="ada", expires_s=100)
            caller = await identity.authenticate(f"Bearer {key}")
            assert caller == Caller(name, "ada", frozenset({"user"}), 60, 100.0)
            now[0] += 99
            assert await identity.authenticate(f"Bearer {key}") == caller
            now[0] += 1
            for _ in range(2):  # from the copy in memory as well
                with pytest.raises(Unauthorized, match="expired"):
                    await identity.authenticate(f"Bearer {key}")
            other, _ = identity.keys.create(f"ops-{config.auth}", roles=["operator"])
            assert (await identity.authenticate(f"Bearer {other}")).user is None
            identity.keys.revoke(f"ops-{config.auth}")
            with pytest.raises(Unauthorized, match="revoked"):
                await identity.authenticate(f"Bearer {other}")
            with pytest.raises(Unauthorized, match="unknown"):
                await identity.authenticate(f"Bearer {key[:-4]}AAAA")

    asyncio.run(go(config))
    only_keys = IdentityConfig(auth="keys")
    asyncio.run(go(only_keys))
    with pytest.raises(Unauthorized, match="no API key"):
        caller_of(only_keys, engine, f"Bearer {token()}")


def test_open_needs_nothing_and_reads_nothing(engine: Engine) -> None:
    for header in (None, "Bearer rubbish"):
        assert caller_of(IdentityConfig(), engine, header) is OPEN


def test_open_is_refused_on_a_network() -> None:
    for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST"):
        check_bind(IdentityConfig(), host)
    for host in ("0.0.0.0", "", "::", "10.0.0.1", "example.org", "localhost.evil.example"):
        with pytest.raises(ConfigError, match="auth is 'open'"):
            check_bind(IdentityConfig(), host)
        check_bind(IdentityConfig(auth="keys"), host)
    assert is_loopback("[::1]")


def test_who_may_act_for_whom() -> None:
    ada = Caller("k", "ada", frozenset({"user"}), 1, 1)
    assert [ada.act_for(None), ada.act_for("ada")] == ["ada", "ada"]
    with pytest.raises(Forbidden):
        ada.act_for("bob")
    with pytest.raises(Forbidden, match="role operator"):
        ada.require("operator")
    for role in ("service", "operator"):
        helper = replace(ada, user=None, roles=frozenset({role}))
        assert [helper.act_for(None), helper.act_for("bob")] == [None, "bob"]
    nobody = Caller("k", None, frozenset(), 1, 1)
    with pytest.raises(Forbidden):
        nobody.act_for("ada")
    assert nobody.act_for(None) is None


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"issuer": ""}, "needs issuer"),
        ({"audience": ""}, "needs audience"),
        ({"jwks_url": ""}, "jwks_url or jwks_file"),
        ({"jwks_file": "/keys.json"}, "one of them"),
        ({"jwks_url": "http://login.example/jwks"}, "https, or http on loopback"),
        ({"jwks_url": "file:///etc/passwd"}, "https, or http on loopback"),
        ({"leeway_s": 3600}, "leeway_s"),
    ],
)
def test_a_half_configured_issuer_is_refused(changed: dict[str, Any], fault: str) -> None:
    whole = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": "https://login.example/jwks"}
    parse(IdentityConfig, {"auth": "oidc", **whole}, where="identity")
    with pytest.raises(ConfigError, match=fault):
        parse(IdentityConfig, {"auth": "oidc", **whole, **changed}, where="identity")
