"""Keys that sign evidence: ed25519, one private key a home, public keys in the repository.

The private key is a PEM file: `TASTEMAKER_SIGNING_KEY` names it (or is its text, where a secret is
a variable), else it lies in a local home and is made at first use. A key's id is the digest of its
public half, so a file's name says nothing that has to be believed.
"""

import os
import stat
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from tastemaker.core import digests
from tastemaker.core.errors import EvidenceError
from tastemaker.core.home import Home

SETTING = "TASTEMAKER_SIGNING_KEY"
_PEM = "-----BEGIN"
_TOO_OPEN = 0o037  # a mounted secret may be read by its group; nobody else reads or writes it


def private_key(home: Home) -> Ed25519PrivateKey:
    """The key that signs what this home's gates find.

    Returns:
        The key that `TASTEMAKER_SIGNING_KEY` names or holds; without it the home's own,
        which is made at first use.

    Raises:
        EvidenceError: No such file, its mode lets others read it, it holds no ed25519 key, or
            the home is on S3 (where no private key is ever kept) and the variable is not set.
    """
    named = os.environ.get(SETTING)
    if named and named.startswith(_PEM):
        return _from_pem(named.encode(), SETTING)
    if named:
        return _read_private(Path(named).expanduser())
    if home.store:
        raise EvidenceError(
            f"{SETTING} is not set, and a home on S3 ({home.location}) keeps no private key: "
            "mount one as a secret and name its file"
        )
    path = home.path("keys", "signing.pem")
    if not path.exists():
        _make(path)
    return _read_private(path)


def key_id(public: Ed25519PublicKey) -> str:
    """Name of a key: 16 hex characters of its public half's digest."""
    return digests.of_bytes([public.public_bytes_raw()])


def public_pem(public: Ed25519PublicKey) -> str:
    """A public key as the text of a `.pub` file."""
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return public.public_bytes(encoding, form).decode()


def read_public(pem: str) -> Ed25519PublicKey:
    """Read the text of a `.pub` file.

    Raises:
        EvidenceError: Not one PEM public key, or of another kind than ed25519.
    """
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise EvidenceError(f"not a PEM public key: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise EvidenceError(f"a trusted key must be ed25519, got {type(key).__name__}")
    return key


def trusted(pems: Iterable[str]) -> dict[str, Ed25519PublicKey]:
    """Public keys by id, from the texts of `.pub` files.

    Raises:
        EvidenceError: A text holds no ed25519 public key.
    """
    keys = [read_public(pem) for pem in pems]
    return {key_id(key): key for key in keys}


def _make(path: Path) -> None:
    """Write a new key; of two processes at first use one wins, and both read the winner's."""
    form, encoding = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    pem = Ed25519PrivateKey.generate().private_bytes(encoding, form, serialization.NoEncryption())
    path.parent.chmod(0o700)
    staged = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(pem)
            out.flush()
            os.fsync(out.fileno())
        with suppress(FileExistsError):
            os.link(staged, path)
    finally:
        staged.unlink(missing_ok=True)


def _read_private(path: Path) -> Ed25519PrivateKey:
    if not path.is_file():
        raise EvidenceError(f"no signing key {path}: {SETTING} must name a PEM file")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _TOO_OPEN:
        raise EvidenceError(
            f"signing key {path} has mode {mode:04o}: others could sign with it; chmod 600 it, "
            "and make a new key if anybody else could have read this one"
        )
    return _from_pem(path.read_bytes(), str(path))


def _from_pem(pem: bytes, name: str) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise EvidenceError(f"signing key {name}: not an unencrypted PEM key: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise EvidenceError(f"signing key {name}: must be ed25519, got {type(key).__name__}")
    return key
