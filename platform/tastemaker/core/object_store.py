"""A small S3 client: what a home asks of any S3 server, and errors that name the setting."""

import io
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.credentials.providers import IamAwsProvider
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error
from minio.helpers import ProgressType

from tastemaker.core.errors import ConfigError, ServiceError
from tastemaker.core.s3_settings import ENDPOINT, S3Settings

PART_BYTES = 16 << 20  # of a multipart upload; larger where 10,000 parts would not be enough
CONNECT_S, READ_S = 5.0, 30.0
# A server that is started anew is waited for about 7 s; one that hangs, 90 s.
RETRIES = urllib3.Retry(
    total=5, connect=4, read=2, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504)
)
ABSENT = ("NoSuchKey", "NoSuchObject", "ResourceNotFound")


@cache
def connect(settings: S3Settings) -> "ObjectStore":
    """A store whose server, credentials and bucket are known to work; one a process.

    Raises:
        ConfigError: Refused credentials or no such bucket.
        ServiceError: The server does not answer.
    """
    store = ObjectStore(settings)
    store.check()
    return store


class ObjectStore:
    """Objects below one prefix of one bucket; keys are given without the prefix.

    Args:
        settings: Where, and how to get there.
    """

    def __init__(self, settings: S3Settings) -> None:
        self.settings = settings
        self.pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S),
            retries=RETRIES,
            maxsize=16,
            ca_certs=settings.ca_file,
            cert_reqs="CERT_REQUIRED",
        )
        self.role = None if settings.access_key else IamAwsProvider(region=settings.region)
        server = urlsplit(settings.server)
        self.client = Minio(
            server.netloc,
            settings.access_key or None,
            settings.secret_key or None,
            session_token=settings.session_token or None,
            credentials=self.role,
            secure=server.scheme == "https",
            region=settings.region,
            http_client=self.pool,
        )

    def check(self) -> None:
        """Ask the server for one name below the prefix: address, credentials, bucket.

        Raises:
            ConfigError: Refused credentials or no such bucket.
            ServiceError: The server does not answer.
        """
        try:
            if self.role:
                self.role.retrieve()
        except (ValueError, OSError, urllib3.exceptions.HTTPError, MinioException) as error:
            raise ConfigError(f"the pod's role gives no credentials: {error}") from None
        with self._told(""):
            next(self.client.list_objects(self.settings.bucket, self._key("")), None)

    def put_bytes(self, key: str, data: bytes) -> None:
        """Write a small object at once."""
        with self._told(key):
            self.client.put_object(
                self.settings.bucket, self._key(key), io.BytesIO(data), len(data)
            )

    def put_file(self, key: str, path: Path, progress: ProgressType | None = None) -> None:
        """Write an object from a file; readers see it when it is whole."""
        part = max(PART_BYTES, path.stat().st_size // 9_000)
        with self._told(key):
            self.client.fput_object(
                self.settings.bucket, self._key(key), str(path), progress=progress, part_size=part
            )

    def get_bytes(self, key: str) -> bytes | None:
        """Read a small object; None where there is none."""
        with self._told(key):
            try:
                response = self.client.get_object(self.settings.bucket, self._key(key))
            except MinioException as error:
                if _code(error) in ABSENT:
                    return None
                raise
            try:
                return response.read()
            finally:
                response.close()
                response.release_conn()

    def get_file(
        self, key: str, path: Path, progress: ProgressType | None = None, *, aside: Path
    ) -> None:
        """Read an object into a file; a connection that breaks is tried three times.

        Args:
            key: The object.
            path: Appears at once, when all of it has come.
            progress: Told of the bytes.
            aside: Holds what has come until then.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(3):
            with self._told(key):
                try:
                    self.client.fget_object(
                        self.settings.bucket,
                        self._key(key),
                        str(path),
                        progress=progress,
                        tmp_file_path=str(aside),
                    )
                    return
                except urllib3.exceptions.ProtocolError:
                    if attempt == 2:
                        raise

    def size(self, key: str) -> int | None:
        """An object's bytes; None where there is none."""
        with self._told(key):
            try:
                return self.client.stat_object(self.settings.bucket, self._key(key)).size
            except MinioException as error:
                if _code(error) in ABSENT:
                    return None
                raise

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that begin so."""
        with self._told(prefix):
            found = self.client.list_objects(
                self.settings.bucket, self._key(prefix), recursive=True
            )
            for item in found:
                yield self._below(item.object_name)

    def names(self, folder: str) -> list[str]:
        """What lies directly below a folder, sorted: objects and folders alike."""
        with self._told(folder):
            found = self.client.list_objects(self.settings.bucket, self._key(f"{folder}/"))
            keys = (self._below(item.object_name) for item in found)
            return sorted(key.removeprefix(f"{folder}/").rstrip("/") for key in keys)

    def delete(self, *keys: str) -> None:
        """Delete objects; those that are not there are no error."""
        with self._told(" ".join(keys[:1])):
            doomed = (DeleteObject(self._key(key)) for key in keys)
            for error in self.client.remove_objects(self.settings.bucket, doomed):
                raise ServiceError(f"{self.settings.server} kept {error.name}: {error.message}")

    @cached_property
    def conditional_put(self) -> bool:
        """Whether a second PUT with If-None-Match is refused: without it commits are lost.

        Asked once a process, by writing a probe object twice.

        Raises:
            ConfigError: These credentials may not write.
        """
        key = f"tmp/probe-{uuid.uuid4().hex}"
        with self._told(key):
            url = self.client.get_presigned_url("PUT", self.settings.bucket, self._key(key))
            answers = [
                self.pool.request(
                    "PUT", url, body=b"probe", headers={"If-None-Match": "*"}, retries=False
                ).status
                for _ in range(2)
            ]
        if answers[0] != 200:
            self.put_bytes(key, b"probe")  # says why, where these keys may not write at all
        self.delete(key)
        return answers == [200, 412]

    def lance_options(self) -> dict[str, str]:
        """Lance's `storage_options` for the same server and credentials."""
        at = self.settings
        options = {
            "aws_region": at.region,
            "aws_endpoint": at.endpoint,
            "aws_access_key_id": at.access_key,
            "aws_secret_access_key": at.secret_key,
            "aws_session_token": at.session_token,
            "allow_http": "true" if at.endpoint.startswith("http://") else "",
        }
        return {name: value for name, value in options.items() if value}

    def _key(self, key: str) -> str:
        return f"{self.settings.prefix}/{key}".lstrip("/")

    def _below(self, name: str | None) -> str:
        return (name or "").removeprefix(self.settings.prefix).lstrip("/")

    @contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """Turn the client's errors into ones that name what to change."""
        try:
            yield
        except MinioException as error:
            raise _named(self.settings, error, key) from None
        except urllib3.exceptions.HTTPError as error:
            variable = ENDPOINT if self.settings.endpoint else "AWS_REGION"
            raise ServiceError(
                f"{self.settings.server} ({variable}) does not answer: {error}"
            ) from None


def _code(error: MinioException) -> str:
    """The code in a server's answer; the client reads it only from application/xml."""
    if isinstance(error, S3Error):
        return error.code or ""
    found = re.search(r"<Code>(\w+)</Code>", str(error))
    return found[1] if found else ""


def _named(at: S3Settings, error: MinioException, key: str) -> ConfigError | ServiceError:
    who = f"AWS_ACCESS_KEY_ID={at.access_key!r}" if at.access_key else "the pod's role"
    rules = {
        "InvalidAccessKeyId": f"{who} is not known to {at.server}",
        "SignatureDoesNotMatch": f"AWS_SECRET_ACCESS_KEY is not that of {who} at {at.server}",
        "AccessDenied": f"{who} may not use {at.url}/{key} at {at.server}",
        "NoSuchBucket": f"TASTEMAKER_HOME={at.url!r}: {at.server} has no bucket {at.bucket!r}; "
        "make it first",
        "ExpiredToken": f"AWS_SESSION_TOKEN of {who} has expired",
        "InvalidToken": f"AWS_SESSION_TOKEN is not that of {who}",
        "AuthorizationHeaderMalformed": f"AWS_REGION={at.region!r} is not the region of "
        f"bucket {at.bucket!r}",
        "PermanentRedirect": f"AWS_REGION={at.region!r} is not the region of bucket {at.bucket!r}",
        "RequestTimeTooSkewed": f"this machine's clock differs from that of {at.server}",
    }
    rule = rules.get(_code(error))
    return ConfigError(rule) if rule else ServiceError(f"{at.server}: {at.url}/{key}: {error}")
