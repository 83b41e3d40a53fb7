"""Clients of the three KServe v1 models behind the assistant."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic_core import from_json, to_json

from tastemaker.assistant.called import note
from tastemaker.assistant.http_client import HttpClient, Request, fault_of
from tastemaker.assistant.http_connection import Response, TooLong
from tastemaker.assistant.tracing import outgoing
from tastemaker.core.errors import ServiceError, SpaceMismatch

_JSON = {"Content-Type": "application/json"}
_MAX_BYTES = 32 << 20  # of a reply: 64 lists of items


class ServiceDown(ServiceError):
    """A server that cannot be reached, is too slow or fails on its own account."""

    def __init__(self, service: str, url: str, reason: str) -> None:
        super().__init__(f"{service} at {url} is not available: {reason}")
        self.service = service


class OutOfTime(ServiceDown):
    """A server that did not answer within what was left of the turn's time."""


class RequestRefused(ServiceError):
    """A server that is well and says that the request is wrong (HTTP 4xx)."""

    def __init__(self, service: str, status: int, reason: str) -> None:
        super().__init__(f"{service} refused the request ({status}): {reason}")
        self.status, self.reason = status, reason


class ModelClient:
    """A KServe v1 model.

    Args:
        name: The model's name, also its service's.
        url: Base address, without a path.
        http: Sends the requests.
    """

    def __init__(self, name: str, url: str, http: HttpClient) -> None:
        self.name, self.url, self.http = name, url.rstrip("/"), http

    async def predict(self, instance: Mapping[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """Send one instance.

        Args:
            instance: One element of `instances`.
            timeout_s: Longest wait, > 0.

        Returns:
            The whole reply; its `predictions` holds one element.

        Raises:
            ServiceDown: No answer, a server error, or a reply of another form.
            RequestRefused: The server says that the instance is wrong.
        """
        return await self.predict_all([instance], timeout_s=timeout_s)

    async def predict_all(
        self, instances: Sequence[Mapping[str, Any]], *, timeout_s: float
    ) -> dict[str, Any]:
        """Send several instances, 1 to 64, in one request; otherwise as `predict`."""
        path, body = f"/v1/models/{self.name}:predict", {"instances": list(instances)}
        reply = await _post(self, path, body, timeout_s)
        found = reply.get("predictions")
        if not isinstance(found, list) or len(found) != len(instances):
            wanted = f"its reply does not hold {len(instances)} predictions"
            raise ServiceDown(self.name, self.url, wanted)
        return reply

    async def ready(self) -> str:
        """An empty string when the model is ready, else why not."""
        return await fault_of(self.http, f"{self.url}/v1/models/{self.name}")


@dataclass(frozen=True)
class Prediction:
    """What the recommender says of a user.

    Attributes:
        user_U: float32 user embedding.
        items: (item id, score), best first.
    """

    user_U: np.ndarray
    items: tuple[tuple[str, float], ...]


class Upstreams:
    """The model servers, with replies checked and typed.

    Args:
        encoder, retrieval, recommender: The KServe models.
        space: Embedding space that the catalogue's vectors are in.
    """

    def __init__(
        self,
        encoder: ModelClient,
        retrieval: ModelClient,
        recommender: ModelClient,
        *,
        space: str,
    ) -> None:
        self.encoder, self.retrieval, self.recommender = encoder, retrieval, recommender
        self.space = space

    async def embed(self, instance: Mapping[str, str], *, timeout_s: float) -> np.ndarray:
        """Vector (D,) of `{"text": ...}` or `{"image": base64}`, float32, unit norm.

        Raises:
            SpaceMismatch: The encoder writes another space than the catalogue's vectors are in.
        """
        vectors_ND = await self.embed_all([instance], timeout_s=timeout_s)
        return vectors_ND[0]

    async def embed_all(
        self, instances: Sequence[Mapping[str, str]], *, timeout_s: float
    ) -> np.ndarray:
        """Vectors (N, D) of 1 to 64 texts or images in one request; otherwise as `embed`."""
        reply = await self.encoder.predict_all(instances, timeout_s=timeout_s)
        self._check_space(reply)
        with _form(self.encoder):
            vectors_ND = _numbers(reply["predictions"], 2)
        return vectors_ND / np.maximum(np.linalg.norm(vectors_ND, axis=1, keepdims=True), 1e-12)

    async def search(
        self,
        vector_D: np.ndarray,
        *,
        k: int,
        timeout_s: float,
        category: str | None = None,
        max_price: float | None = None,
    ) -> list[tuple[str, float]]:
        """The k nearest items, as (item id, score), best first."""
        found = await self.search_all(
            vector_D[None], k=k, timeout_s=timeout_s, category=category, max_price=max_price
        )
        return found[0]

    async def search_all(
        self,
        vectors_ND: np.ndarray,
        *,
        k: int,
        timeout_s: float,
        category: str | None = None,
        max_price: float | None = None,
    ) -> list[list[tuple[str, float]]]:
        """The k nearest items of each of 1 to 64 vectors, in one request."""
        common: dict[str, Any] = {"k": k, "space": self.space}
        if category is not None:
            common["category"] = category
        if max_price is not None:
            common["max_price"] = max_price
        instances = [{"vector": vector_D.tolist(), **common} for vector_D in vectors_ND]
        reply = await self.retrieval.predict_all(instances, timeout_s=timeout_s)
        with _form(self.retrieval):
            return [_scored(rows) for rows in reply["predictions"]]

    async def recommend(self, who: Mapping[str, Any], *, k: int, timeout_s: float) -> Prediction:
        """Embedding and candidates of `{"events": [...]}`.

        Raises:
            SpaceMismatch: The recommender reads another space than the catalogue's vectors are in.
        """
        reply = await self.recommender.predict({**who, "k": k}, timeout_s=timeout_s)
        self._check_space(reply)
        with _form(self.recommender):
            found = reply["predictions"][0]
            user_U = _numbers(found["user_embedding"], 1)
            return Prediction(user_U, tuple(_scored(found["items"])))

    def _check_space(self, reply: Mapping[str, Any]) -> None:
        if reply.get("space", self.space) != self.space:
            raise SpaceMismatch("the assistant", expected=self.space, found=str(reply["space"]))

    async def readiness(self) -> dict[str, str]:
        """By service, an empty string when it is ready, else why not."""
        clients = [self.encoder, self.retrieval, self.recommender]
        found = await asyncio.gather(*(client.ready() for client in clients))
        return {client.name: why for client, why in zip(clients, found, strict=True)}


def _numbers(value: Any, num_axes: int) -> np.ndarray:
    found = np.asarray(value, np.float32)
    if found.ndim != num_axes or not np.isfinite(found).all():
        raise ValueError(f"{num_axes} axes of finite numbers")
    return found


def _scored(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, float]]:
    return [(str(row["item_id"]), float(row["score"])) for row in rows]


@contextmanager
def _form(client: ModelClient) -> Iterator[None]:
    """A reply that cannot be read is the server's fault."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise ServiceDown(client.name, client.url, "its reply has another form") from None


async def _post(
    to: ModelClient, path: str, body: Mapping[str, Any], timeout_s: float
) -> dict[str, Any]:
    service, url, start = to.name, to.url, time.monotonic()
    request = Request(url + path, timeout_s, to_json(body), {**_JSON, **outgoing()}, _MAX_BYTES)
    try:
        response = await to.http.send(request)
    except TimeoutError:
        note(service, start)
        waited = f"no answer in {time.monotonic() - start:.1f} s"
        raise OutOfTime(service, url, waited) from None
    except (ConnectionError, TooLong) as error:
        note(service, start)
        raise ServiceDown(service, url, str(error) or type(error).__name__) from None
    note(service, start, response.status, response.headers)
    if 400 <= response.status < 500:
        raise RequestRefused(service, response.status, _reason(response))
    if not response.is_success:
        raise ServiceDown(service, url, f"HTTP {response.status}: {_reason(response)}")
    try:
        reply = from_json(response.body)
    except ValueError:
        raise ServiceDown(service, url, "its reply is not JSON") from None
    if not isinstance(reply, dict):
        raise ServiceDown(service, url, "its reply is not a JSON object")
    return reply


def _reason(response: Response) -> str:
    try:
        body = from_json(response.body)
    except ValueError:
        return response.body.decode(errors="replace")[:200]
    error = body.get("error", body) if isinstance(body, dict) else body
    return str(error.get("message", error) if isinstance(error, dict) else error)[:300]
