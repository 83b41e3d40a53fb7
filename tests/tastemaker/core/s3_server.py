"""Real S3 servers for tests: rclone (checks keys, no conditional PUT), and one that has it."""

import ipaddress
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tastemaker.core.object_store import ObjectStore
from tastemaker.core.s3_settings import S3Settings

ROOT = Path(__file__).parents[3]
BUCKET = "bucket"


@dataclass(frozen=True)
class Server:
    """A running server; `environment` is what a process needs to reach it."""

    url: str
    environment: dict[str, str]

    def set(self, patch: pytest.MonkeyPatch, cache: Path) -> str:
        """Point this process at it; returns the location of an empty home."""
        for name, value in self.of(cache).items():
            patch.setenv(name, value)
        return self.environment["TASTEMAKER_HOME"]

    def of(self, cache: Path) -> dict[str, str]:
        """Variables of a process with its own cache."""
        return {**self.environment, "TASTEMAKER_CACHE": str(cache)}

    def store(self, patch: pytest.MonkeyPatch) -> ObjectStore:
        """A client of it."""
        for name, value in self.environment.items():
            patch.setenv(name, value)
        return ObjectStore(S3Settings.of(self.environment["TASTEMAKER_HOME"]))


@dataclass(frozen=True)
class Tls:
    """Files of a server's certificate, and of the authority that signed it."""

    authority: Path
    certificate: Path
    key: Path


def make_tls(folder: Path) -> Tls:
    """A certificate for 127.0.0.1 of an authority that nobody else knows."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    made = Tls(folder / "ca.crt", folder / "server.crt", folder / "server.key")
    authority = _certificate("authority", keys[0], "authority", keys[0])
    server = _certificate("server", keys[1], "authority", keys[0])
    made.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    made.certificate.write_bytes(server.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        keys[1].private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    def named(value: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, value)])

    now, local = datetime.now(UTC), ipaddress.ip_address("127.0.0.1")
    public = issuer_key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(local)]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def rclone(folder: Path, port: int | None = None, tls: Tls | None = None) -> Iterator[Server]:
    """A server over `folder/bucket` that checks its one pair of keys."""
    (folder / BUCKET).mkdir(parents=True, exist_ok=True)
    command = f"{Path(sys.executable).parent / 'rclone'} serve s3 --auth-key KEY,SECRET"
    if tls:
        command += f" --cert {tls.certificate} --key {tls.key}"
    with _running(f"{command} --addr 127.0.0.1:{{port}} {folder}", folder, port, tls) as server:
        yield server


@contextmanager
def conditional(folder: Path, tls: Tls | None = None) -> Iterator[Server]:
    """A server that honours conditional PUT, where there is one.

    Its command, with {port} in it, is TASTEMAKER_S3_SERVER; else `.venv-s3` of this checkout.
    """
    folder.mkdir(parents=True, exist_ok=True)
    own = ROOT / ".venv-s3" / "bin" / "moto_server"
    command = os.environ.get("TASTEMAKER_S3_SERVER", "")
    if not command and not own.is_file():
        pytest.skip("no S3 server with conditional PUT: set TASTEMAKER_S3_SERVER or make .venv-s3")
    command = command or f"{own} -H 127.0.0.1 -p {{port}}"
    if tls:
        command += f" -c {tls.certificate} -k {tls.key}"
    with _running(command, folder, tls=tls) as server:
        yield server


@contextmanager
def _running(
    command: str, folder: Path, port: int | None = None, tls: Tls | None = None
) -> Iterator[Server]:
    port = port or free_port()
    with (folder / "server.log").open("w") as log:
        words = shlex.split(command.replace("{port}", str(port)))
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        _wait(port, process)
        yield _server(port, tls)
    finally:
        process.kill()
        process.wait()


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the S3 server did not start")


def _server(port: int, tls: Tls | None) -> Server:
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    environment = {
        "TASTEMAKER_HOME": f"s3://{BUCKET}/some/home",
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "KEY",
        "AWS_SECRET_ACCESS_KEY": "SECRET",
        "AWS_REGION": "us-east-1",
    }
    if tls:
        environment["AWS_CA_BUNDLE"] = str(tls.authority)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        client = ObjectStore(S3Settings.of(environment["TASTEMAKER_HOME"])).client
    if not client.bucket_exists(BUCKET):
        client.make_bucket(BUCKET)
    return Server(url, environment)
