import hmac
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from tastemaker.assistant import keys
from tastemaker.assistant.keys import CACHED_S, KeyStore
from tastemaker.core.errors import ConfigError, NotFound


@pytest.fixture
def engine(each_database: Engine) -> Engine:
    return each_database


def test_a_key_is_found_again_with_all_that_it_allows(engine: Engine) -> None:
    store = KeyStore(engine, clock=lambda: 1000.0)
    key, made = store.create(
        "web", user_id="ada", requests_per_minute=7, cents_per_day=2.5, expires_s=60
    )
    assert store.find(key) == made
    assert (made.roles, made.user_id) == (frozenset({"user"}), "ada")
    assert (made.created_ms, made.expires_ms) == (1_000_000, 1_060_000)
    assert [made.fault(ms) for ms in (1_059_999, 1_060_000)] == ["", "expired"]
    assert KeyStore(engine).all() == [made]


def test_the_database_holds_no_secret(engine: Engine, tmp_path: Path) -> None:
    key, made = KeyStore(engine).create("web", roles=["operator"])
    secret = key[21:]
    with engine.connect() as connection:
        row = connection.execute(text("select * from api_keys")).one()
    assert made.key_id in row
    assert not any(secret in str(value) or key in str(value) for value in row)
    for file in tmp_path.iterdir():
        assert secret.encode() not in file.read_bytes()


def test_keys_are_256_random_bits_and_differ(engine: Engine) -> None:
    store = KeyStore(engine)
    made = {store.create(f"k{n}", roles=["service"])[0] for n in range(20)}
    assert len(made) == 20
    assert {len(key) for key in made} == {4 + 16 + 1 + 43}


def test_what_is_almost_a_key_is_none(engine: Engine) -> None:
    store = KeyStore(engine)
    key, _ = store.create("web", roles=["operator"])
    other, _ = store.create("other", roles=["operator"])
    last = "A" if key[-1] != "A" else "B"
    mixed = key[:21] + other[21:]  # one's id with another's secret
    wrong = (key[:-1] + last, mixed, key + "A", key[:-1], f"{key}\n", key.upper(), "tmk_", "\ud800")
    for presented in (*wrong, "tmk_' or '1'='1"):
        assert store.find(presented) is None
        assert store.cached(presented) is None


def test_secrets_are_compared_in_constant_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[str, str]] = []

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    class Watched:
        compare_digest = staticmethod(compare)

    monkeypatch.setattr(keys, "hmac", Watched)
    store = KeyStore(engine)
    key, _ = store.create("web", roles=["operator"])
    assert store.find(key[:-3] + "AAA") is None
    assert store.find("tmk_" + "0" * 16 + "_" + "A" * 43) is None  # an unknown id compares, too
    assert store.find(key) is not None
    assert [len(one) == len(other) == 64 for one, other in compared] == [True] * 3


def test_a_revoked_key_is_marked_at_once_and_its_name_is_free(engine: Engine) -> None:
    now = [1000.0]
    store, elsewhere = (KeyStore(engine, clock=lambda: now[0]) for _ in range(2))
    key, made = store.create("web", roles=["service"])
    assert store.find(key) == elsewhere.find(key) == made
    revoked = store.revoke("web")
    assert revoked.fault(0) == "revoked"
    assert store.cached(key) is None
    assert store.find(key) == revoked
    assert elsewhere.cached(key) == made  # another process notices within seconds
    now[0] += CACHED_S
    assert elsewhere.cached(key) is None
    assert elsewhere.find(key) == revoked
    again, _ = store.create("web", roles=["service"])
    assert again != key
    assert [row.revoked_ms is None for row in store.all()] == [False, True]
    with pytest.raises(NotFound, match="no key named 'nobody'"):
        store.revoke("nobody")


def test_wrong_values_are_refused_by_name(engine: Engine) -> None:
    store = KeyStore(engine)
    store.create("web", roles=["service"])
    for wrong, message in (
        ({"name": "web", "roles": ["service"]}, "a key named 'web' exists"),
        ({"name": "a b", "roles": ["service"]}, "key name 'a b'"),
        ({"name": "x", "roles": ["admin"]}, "role 'admin': the roles are operator, service, user"),
        ({"name": "x"}, "name the user"),
        ({"name": "x", "roles": ["user"]}, "name the user"),
        ({"name": "x", "user_id": "a\nb"}, "printable"),
        ({"name": "x", "user_id": "a" * 201}, "1 to 200"),
        ({"name": "x", "user_id": "a", "requests_per_minute": 0}, "requests_per_minute=0"),
        ({"name": "x", "user_id": "a", "cents_per_day": -1}, "cents_per_day=-1"),
        ({"name": "x", "user_id": "a", "cents_per_day": float("nan")}, "cents_per_day=nan"),
        ({"name": "x", "user_id": "a", "expires_s": 0}, "expires_s=0"),
    ):
        with pytest.raises(ConfigError, match=message):
            store.create(**wrong)  # type: ignore[arg-type]
