"""An event for the flows, from outside of them: one request to the Prefect server."""

import uuid
from datetime import UTC, datetime

import httpx

from tastemaker.core.errors import ServiceError

_TIMEOUT_S = 10.0


def tell(api: str, event: str, environment: str) -> None:
    """Post an event.

    Args:
        api: PREFECT_API_URL of the server.
        event: Its name without `tastemaker.`: what `pipelines/flows/deployments.py` listens to.
        environment: Whose flows listen.

    Raises:
        ServiceError: The server does not answer or refuses it.
    """
    body = {
        "occurred": datetime.now(UTC).isoformat(),
        "event": f"tastemaker.{event}",
        "resource": {"prefect.resource.id": f"tastemaker.environment.{environment}"},
        "id": str(uuid.uuid4()),
    }
    try:
        answer = httpx.post(f"{api}/events", json=[body], timeout=_TIMEOUT_S)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise ServiceError(f"the Prefect server at {api} took no event: {error}") from None
