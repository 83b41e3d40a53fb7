"""What the three KServe model servers share: start, request checks, limits.

KServe reads `sys.argv` when it is imported and its OpenAI routes import vLLM; both are avoided
here, which makes a start some seconds instead of a minute.
"""

import argparse
import asyncio
import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from tastemaker.core.errors import TastemakerError
from tastemaker.serving.bundle_name import BundleName

MAX_BODY_BYTES = 32 << 20  # of one request
MAX_INSTANCES = 64
MAX_K = 1000  # results of one instance

_argv, sys.argv = sys.argv, sys.argv[:1]
sys.modules["kserve.protocol.rest.openai.config"] = None  # type: ignore[assignment]
from kserve import Model, ModelServer  # noqa: E402
from kserve.errors import InvalidInput  # noqa: E402
from kserve.model_server import app  # noqa: E402

sys.argv = _argv

R = TypeVar("R")


class Instance(BaseModel):
    """Base of what one element of `instances` may hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TypedModel(Model):  # type: ignore[misc]
    """A KServe model whose instances are checked before they reach it.

    Args:
        name: In the URL: /v1/models/<name>:predict.
        instance: Form of one instance.
        answer: Checked instances to the reply's body; its `TastemakerError` is the client's
            fault.
        bundle: Digest of what it answers from.
    """

    def __init__(
        self,
        name: str,
        instance: Any,
        answer: Callable[[list[Any]], dict[str, Any]],
        *,
        bundle: str,
    ) -> None:
        super().__init__(name)
        self.bundle = bundle
        self.instances: TypeAdapter[list[Any]] = TypeAdapter(list[instance])
        self.answer = answer
        self.ready = True

    def preprocess(self, payload: Any, headers: dict[str, str] | None = None) -> list[Any]:
        """Check the body.

        Raises:
            InvalidInput: Naming the value and the rule (HTTP 400).
        """
        if not isinstance(payload, dict) or set(payload) - {"instances", "parameters"}:
            raise InvalidInput('the body must be a JSON object {"instances": [...]}')
        instances = payload.get("instances")
        if not isinstance(instances, list) or not 1 <= len(instances) <= MAX_INSTANCES:
            found = len(instances) if isinstance(instances, list) else type(instances).__name__
            raise InvalidInput(f'"instances" must be a list of 1 to {MAX_INSTANCES}, got {found}')
        try:
            return self.instances.validate_python(instances)
        except ValidationError as error:
            raise InvalidInput("; ".join(_fault(e) for e in error.errors()[:3])) from None

    def validate(self, payload: list[Any]) -> list[Any]:
        """KServe's own check is for other forms of body."""
        return payload

    async def predict(
        self, payload: list[Any], headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Answer in a thread, so that health checks are answered meanwhile.

        Raises:
            InvalidInput: What the library says is wrong with the request (HTTP 400).
        """
        try:
            return await asyncio.to_thread(self.answer, payload)
        except TastemakerError as error:
            raise InvalidInput(str(error)) from None


class BodyLimit:
    """ASGI middleware: answers 413 to a request body above `MAX_BODY_BYTES`."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on, counting."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if headers.get(b"transfer-encoding") or headers.get(b"content-encoding"):
            await _refuse(send, 411, "send a Content-Length and no encoding")
        elif int(headers.get(b"content-length", b"0")) > MAX_BODY_BYTES:
            await _refuse(send, 413, f"the body is above {MAX_BODY_BYTES} bytes")
        else:
            await self.app(scope, receive, send)


class Server(ModelServer):  # type: ignore[misc]
    """KServe's server, on an address of choice (its own is always all interfaces)."""

    host = "127.0.0.1"

    async def _serve(self) -> None:
        self._rest_server.config.host = self.host
        await super()._serve()


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Parser with what every server takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model-dir", type=Path, required=True, help="A bundle's folder.")
    parser.add_argument("--http-port", type=int, default=8080)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 in a container.")
    return parser


def serve(
    load: Callable[[argparse.Namespace], TypedModel],
    parser: argparse.ArgumentParser,
    words: Sequence[str] | None = None,
) -> None:
    """Load a model and serve it until SIGTERM; a fault that a user can mend is one line.

    Args:
        load: Parsed arguments to the model.
        parser: From `arguments`, with the model's own on top.
        words: Command line; default: this process's.
    """
    from tastemaker.core.lifetime import end_with_owner

    end_with_owner()
    given = parser.parse_args(words)
    try:
        model = load(given)
    except TastemakerError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None
    warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    for name in ("kserve", "kserve.trace", "uvicorn.access"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).setLevel(logging.CRITICAL)
        logging.getLogger(name).propagate = False
    app.add_middleware(BodyLimit)
    app.add_middleware(BundleName, bundle=model.bundle)
    server = Server(
        http_port=given.http_port,
        workers=1,
        enable_grpc=False,
        enable_latency_logging=False,
        grace_period=5,
    )
    server.host = given.host
    server.start([model])


async def _refuse(send: Any, status: int, reason: str) -> None:
    body = f'{{"error": "{reason}"}}'.encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _fault(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    value = repr(error["input"])
    short = value if len(value) <= 80 else value[:77] + "..."
    return f"instances.{where}={short}: {error['msg']}"
