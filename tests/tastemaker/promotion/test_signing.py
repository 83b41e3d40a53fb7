"""Signing keys: made once, private, of one kind."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tastemaker.core.errors import EvidenceError
from tastemaker.core.home import Home
from tastemaker.promotion import signing

PRIVATE = (
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)


@pytest.fixture(autouse=True)
def no_named_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(signing.SETTING, raising=False)


def test_a_home_makes_its_key_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = signing.private_key(home)
    path = tmp_path / "keys" / "signing.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert signing.key_id(signing.private_key(home).public_key()) == signing.key_id(
        first.public_key()
    )
    assert [found.name for found in path.parent.iterdir()] == ["signing.pem"]


def test_many_at_first_use_get_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: signing.private_key(Home(tmp_path)), range(16)))
    assert len({signing.key_id(key.public_key()) for key in keys}) == 1


@pytest.mark.parametrize("mode", [0o604, 0o660, 0o644, 0o666])
def test_a_key_that_others_could_use_is_refused(tmp_path: Path, mode: int) -> None:
    signing.private_key(Home(tmp_path))
    (tmp_path / "keys" / "signing.pem").chmod(mode)
    with pytest.raises(EvidenceError, match=f"{mode:04o}"):
        signing.private_key(Home(tmp_path))


def test_a_mounted_secret_may_be_read_by_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, key = tmp_path / "key.pem", Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(*PRIVATE))
    path.chmod(0o440)
    monkeypatch.setenv(signing.SETTING, str(path))
    found = signing.private_key(Home(tmp_path / "home"))
    assert found.public_key() == key.public_key()
    assert not (tmp_path / "home" / "keys" / "signing.pem").exists()


def test_a_named_file_must_be_there_and_hold_an_ed25519_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key.pem"
    monkeypatch.setenv(signing.SETTING, str(path))
    with pytest.raises(EvidenceError, match="no signing key"):
        signing.private_key(Home(tmp_path))
    path.write_text("not a key")
    path.chmod(0o600)
    with pytest.raises(EvidenceError, match="not an unencrypted PEM key"):
        signing.private_key(Home(tmp_path))
    path.write_bytes(generate_private_key(SECP256R1()).private_bytes(*PRIVATE))
    with pytest.raises(EvidenceError, match="must be ed25519"):
        signing.private_key(Home(tmp_path))


def test_public_keys_travel_as_pem_and_are_named_by_content() -> None:
    key = Ed25519PrivateKey.generate().public_key()
    pem = signing.public_pem(key)
    assert pem.startswith("-----BEGIN PUBLIC KEY-----")
    assert signing.trusted([pem, pem]) == {signing.key_id(key): key}
    with pytest.raises(EvidenceError, match="not a PEM public key"):
        signing.read_public("hello")
    other = generate_private_key(SECP256R1()).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    with pytest.raises(EvidenceError, match="must be ed25519"):
        signing.read_public(other.public_bytes(serialization.Encoding.PEM, form).decode())


def test_a_key_may_come_as_the_text_of_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(*PRIVATE).decode()
    monkeypatch.setenv(signing.SETTING, pem)
    found = signing.private_key(Home(tmp_path))
    assert found.public_key() == key.public_key()
    assert not (tmp_path / "keys").exists()
    monkeypatch.setenv(signing.SETTING, pem.replace("PRIVATE", "PUBLIC"))
    with pytest.raises(EvidenceError, match="TASTEMAKER_SIGNING_KEY: not an unencrypted PEM key"):
        signing.private_key(Home(tmp_path))
