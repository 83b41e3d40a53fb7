"""The assistant's HTTP API as a simulated user needs it; whatever fails is one kind of error."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tastemaker.core.errors import ServiceError

KEY_ENV = "TASTEMAKER_API_KEY"  # of an operator or a service, where the assistant asks for one


@dataclass(frozen=True)
class TurnReply:
    """What one turn came to, as a user sees it.

    Attributes:
        conversation: Its id.
        items: Ids shown, best first.
        board: Title of a board that was opened or saved, "" for none.
        text: Everything in the reply, to look for what must not be there.
        cents: By the turn's ledger fields.
        ms: From request to reply, here.
    """

    conversation: str
    items: tuple[str, ...]
    board: str
    text: str
    cents: float
    ms: float


class AssistantClient:
    """A connection to one assistant.

    Args:
        url: Its base address.
        timeout_s: Of a request.
        at_once: Connections.
    """

    def __init__(self, url: str, timeout_s: float, at_once: int) -> None:
        key = os.environ.get(KEY_ENV)
        self.url = url.rstrip("/")
        self.http = httpx.AsyncClient(
            base_url=self.url,
            timeout=timeout_s,
            trust_env=False,
            limits=httpx.Limits(max_connections=at_once),
            headers={"authorization": f"Bearer {key}"} if key else None,
        )

    async def health(self) -> dict[str, Any]:
        """What the assistant says of itself: dataset, space, version."""
        return await self._request("GET", "/healthz")

    async def ask(self, user: str, text: str, conversation: str | None) -> TurnReply:
        """One turn.

        Raises:
            ServiceError: No reply, or not one.
        """
        start = time.perf_counter()
        body = {
            "messages": [{"role": "user", "content": text}],
            "user": user,
            "tastemaker": {"conversation": conversation},
        }
        reply = await self._request("POST", "/v1/chat/completions", body)
        ms = (time.perf_counter() - start) * 1000
        try:
            ours = reply["tastemaker"]
            said = reply["choices"][0]["message"]["content"]
            return TurnReply(
                conversation=str(ours["conversation"]),
                items=tuple(item["item_id"] for item in ours["items"]),
                board=ours["board"] or "",
                text=f"{said}\n{ours['items']}\n{ours['notices']}\n{ours['board']}",
                cents=float(ours["cents"]),
                ms=ms,
            )
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise ServiceError(f"{self.url}: not a reply: {error!r}") from None

    async def act(
        self, user: str, conversation: str | None, deeds: Sequence[Mapping[str, str]]
    ) -> None:
        """Record what the user did with items.

        Raises:
            ServiceError: It was not taken.
        """
        body = {"user": user, "conversation": conversation, "events": list(deeds)}
        await self._request("POST", "/api/events", body)

    async def keep_board(self, user: str, title: str, items: Sequence[str]) -> None:
        """Make a board.

        Raises:
            ServiceError: It was not made.
        """
        await self._request(
            "POST", "/api/boards", {"user": user, "title": title, "items": list(items)}
        )

    async def forget(self, user: str) -> None:
        """Delete all of a user's; safe to repeat.

        Raises:
            ServiceError: It was not done.
        """
        await self._request("DELETE", f"/api/users/{user}")

    async def close(self) -> None:
        """Give the connections back."""
        await self.http.aclose()

    async def _request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        try:
            response = await self.http.request(method, path, json=body)
            if not response.is_success:
                detail = response.text[:200]
                raise ServiceError(f"{method} {self.url}{path}: {response.status_code} {detail}")
            found: dict[str, Any] = response.json()
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise ServiceError(f"{method} {self.url}{path}: {why}") from None
        except ValueError:
            raise ServiceError(f"{method} {self.url}{path}: no JSON") from None
        return found
