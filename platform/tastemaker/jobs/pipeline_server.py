"""The Kubeflow Pipelines API server: how it is reached, and what its refusals mean."""

import contextlib
import io
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tastemaker.core.errors import ConfigError, ServiceError

if TYPE_CHECKING:
    from kfp import Client

T = TypeVar("T")

# kubelet keeps a token for the API server here in pods that ask for one
POD_TOKEN = Path("/var/run/secrets/kubeflow/pipelines/token")
_TIMEOUT_S = 30
_ATTEMPTS = 5  # of a request that another attempt can help


@dataclass(frozen=True)
class Server:
    """Where pipelines are submitted, and as whom.

    Attributes:
        host: `http(s)://` address of the API server or of a gateway before it.
        namespace: Of the user's profile; empty in single-user mode.
        token_env: Environment variable that holds a bearer token; empty: none.
        token_file: File that holds one and is read again as it is renewed; None: none.
        pause_s: Seconds before a failed request is tried again; doubles each time.
    """

    host: str
    namespace: str = ""
    token_env: str = ""
    token_file: Path | None = None
    pause_s: float = 1.0

    def connect(self) -> "Client":
        """Open the SDK's client after one request that says whether the server can be used.

        Raises:
            ConfigError: No such token, or an address that is none.
            ServiceError: Unreachable, or the token is refused.
        """
        import kfp
        import kfp_server_api
        from kfp.client import ServiceAccountTokenVolumeCredentials

        if not self.host.startswith(("http://", "https://")):
            raise ConfigError(f"--host {self.host!r}: must begin with http:// or https://")
        token, file = self._token()
        asked = kfp_server_api.Configuration(host=self.host.rstrip("/"))
        if token or file:
            asked.api_key["authorization"] = token or _read(file)
            asked.api_key_prefix["authorization"] = "Bearer"
        health = kfp_server_api.HealthzServiceApi(kfp_server_api.ApiClient(asked))
        self.ask(lambda: health.healthz_service_get_healthz(_request_timeout=_TIMEOUT_S))
        with warnings.catch_warnings(), quiet():
            warnings.simplefilter("ignore", FutureWarning)
            return kfp.Client(
                host=self.host,
                namespace=self.namespace or "kubeflow",
                existing_token=token,
                credentials=ServiceAccountTokenVolumeCredentials(str(file)) if file else None,
            )

    def ask(self, request: Callable[[], T]) -> T:
        """Make a request that may be repeated; a server that is busy or away gets time.

        Raises:
            ServiceError: It refused, or did not come back.
        """
        import kfp_server_api
        import urllib3

        for attempt in range(_ATTEMPTS):
            last = attempt == _ATTEMPTS - 1
            try:
                with quiet():
                    return request()
            except kfp_server_api.ApiException as error:
                if last or not 500 <= (error.status or 0) < 600:
                    raise self.refusal(error) from None
            except urllib3.exceptions.HTTPError as error:
                if last:
                    raise ServiceError(
                        f"cannot reach Kubeflow Pipelines at {self.host}: {_cause(error)}; is "
                        "--host right, and is a port forward needed?"
                    ) from None
            time.sleep(self.pause_s * 2**attempt)
        raise AssertionError

    def refusal(self, error: Exception) -> ServiceError:
        """What an answer other than 2xx means, in one line."""
        status, said = getattr(error, "status", None), _message(getattr(error, "body", None))
        if status == 401:
            return ServiceError(
                f"{self.host} wants a valid token (401 {said}): name the variable that holds one "
                "with --token-env, or its file with --token-file"
            )
        if status == 403:
            where = f" in namespace {self.namespace}" if self.namespace else ""
            return ServiceError(f"{self.host} does not allow this{where} (403 {said})")
        return ServiceError(f"{self.host} answered {status} {said}")

    def _token(self) -> tuple[str | None, Path | None]:
        if self.token_env:
            token = os.environ.get(self.token_env, "")
            if not token:
                raise ConfigError(f"--token-env {self.token_env}: this variable is not set")
            return token, None
        if self.token_file:
            _read(self.token_file)
            return None, self.token_file
        return None, POD_TOKEN if POD_TOKEN.is_file() else None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what the SDK prints (links, warnings): what is worth saying is said here."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def say(text: str) -> None:
    """A line about progress, on stderr: stdout is for results."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _read(file: Path | None) -> str:
    assert file is not None
    try:
        return file.read_text().strip()
    except OSError as error:
        raise ConfigError(f"--token-file {file}: {error.strerror}") from None


def _cause(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return str(reason).rpartition(": ")[2].replace("\n", " ")


def _message(body: object) -> str:
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = None
    if isinstance(found, dict):
        text = str(found.get("message") or found.get("error") or "")
    return " ".join(text.split())[:500]
