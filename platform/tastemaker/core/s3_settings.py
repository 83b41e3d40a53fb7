"""Where a home on S3 lies and how to get there, from the standard variables.

AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL_S3 or
AWS_ENDPOINT_URL, AWS_CA_BUNDLE. Without keys, those of the pod's role are taken
(AWS_WEB_IDENTITY_TOKEN_FILE and its like).
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import certifi

from tastemaker.core.errors import ConfigError

ENDPOINT = "AWS_ENDPOINT_URL"
_ROLE = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)


@dataclass(frozen=True)
class S3Settings:
    """Where a home lies and how to get there.

    Attributes:
        bucket: An existing bucket.
        prefix: Of all keys, without slashes at its ends; may be empty.
        endpoint: URL of the server; empty: Amazon's, of the region.
        region: us-east-1 where nothing is said.
        access_key: Empty: the role of the pod.
        secret_key: Of the access key.
        session_token: Of temporary keys.
        ca_file: Certificates that the server's is checked against.
    """

    bucket: str
    prefix: str
    endpoint: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)
    ca_file: str

    @classmethod
    def of(cls, url: str) -> "S3Settings":
        """Settings of `s3://bucket/prefix` from the environment.

        Raises:
            ConfigError: No bucket, half a key, an endpoint that is not a URL, or no such
            file of certificates.
        """
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
            raise ConfigError(f"TASTEMAKER_HOME={url!r}: the form is s3://bucket/prefix")
        name = "AWS_ENDPOINT_URL_S3" if os.environ.get("AWS_ENDPOINT_URL_S3") else ENDPOINT
        made = cls(
            bucket=parts.netloc,
            prefix=parts.path.strip("/"),
            endpoint=_endpoint(name),
            region=_variable("AWS_REGION") or _variable("AWS_DEFAULT_REGION") or "us-east-1",
            access_key=_variable("AWS_ACCESS_KEY_ID"),
            secret_key=_variable("AWS_SECRET_ACCESS_KEY"),
            session_token=_variable("AWS_SESSION_TOKEN"),
            ca_file=_variable("AWS_CA_BUNDLE") or _variable("SSL_CERT_FILE") or certifi.where(),
        )
        if bool(made.access_key) != bool(made.secret_key):
            missing = "AWS_SECRET_ACCESS_KEY" if made.access_key else "AWS_ACCESS_KEY_ID"
            raise ConfigError(f"{missing} is not set, but its other half is: set both or neither")
        if not made.access_key and not any(map(_variable, _ROLE)):
            raise ConfigError(
                f"TASTEMAKER_HOME={url!r} needs credentials: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or run in a pod whose role may use the bucket"
            )
        if made.server.startswith("https://") and not Path(made.ca_file).is_file():
            raise ConfigError(f"AWS_CA_BUNDLE={made.ca_file!r} is not a file of certificates")
        return made

    @property
    def url(self) -> str:
        """`s3://bucket/prefix`."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def server(self) -> str:
        """URL of the server."""
        return self.endpoint or f"https://s3.{self.region}.amazonaws.com"


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()


def _endpoint(name: str) -> str:
    """The endpoint's URL, checked."""
    value = _variable(name).rstrip("/")
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path):
        raise ConfigError(f"{name}={value!r}: the form is http://host:port or https://host")
    return value


def trust(settings: S3Settings, folder: Path) -> None:
    """Make Lance trust the server's certificates: it reads SSL_CERT_FILE, not AWS_CA_BUNDLE.

    Other clients of this process read SSL_CERT_FILE too, so the file that it names from now on
    holds the public certificates besides. One that is set already stays.

    Args:
        settings: Of the server.
        folder: Where the file is written.
    """
    own = _variable("AWS_CA_BUNDLE")
    if not own or not settings.server.startswith("https://") or _variable("SSL_CERT_FILE"):
        return
    both = folder / "certificates.pem"
    staged = both.with_name(f".{both.name}.{os.getpid()}")
    staged.write_text("\n".join(Path(path).read_text() for path in (certifi.where(), own)))
    staged.replace(both)
    os.environ["SSL_CERT_FILE"] = str(both)
