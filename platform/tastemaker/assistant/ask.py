"""`tastemaker ask`: one question to a running assistant, answered in the terminal."""

import sys
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from tastemaker.core.errors import ServiceError

_TIMEOUT_S = 120.0


def ask(question: str, user: str | None = None, url: str = "http://127.0.0.1:8400") -> None:
    """Ask, and print the answer, a table of the items with their pictures' addresses, the steps.

    Args:
        question: What to ask.
        user: Id of the user to answer for.
        url: Base address of the assistant.

    Raises:
        ServiceError: The assistant is not there, or says what is wrong.
    """
    body: dict[str, Any] = {"messages": [{"role": "user", "content": question}]}
    if user:
        body["user"] = user
    reply = _request("POST", f"{url.rstrip('/')}/v1/chat/completions", body)
    ours = reply["tastemaker"]
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 140)
    console.print(f"> {question}", style="dim", markup=False, highlight=False)
    text = reply["choices"][0]["message"]["content"]
    console.print(text, style="bold", markup=False, highlight=False)
    if ours["items"]:
        console.print(_table(ours["items"], url.rstrip("/")))
    for notice in ours["notices"]:
        console.print(f"note: {notice}", style="yellow", markup=False, highlight=False)
    tools = " > ".join(
        f"{step['tool']} {step['ms'] + step['router_ms']:.0f} ms" for step in ours["steps"]
    )
    tokens = ours["tokens"]
    spent = f"{ours['ms']:.0f} ms, {tokens['prompt']}+{tokens['completion']} tokens, "
    spent += f"{ours['cents']:.4f} cents"
    console.print(f"{tools}  ({spent})", style="dim", markup=False, highlight=False)


def first_suggestion(url: str) -> str:
    """The first question that the page suggests.

    Raises:
        ServiceError: The assistant is not there.
    """
    reply = _request("GET", f"{url.rstrip('/')}/api/suggestions")
    return str(reply["suggestions"][0])


def _table(items: list[dict[str, Any]], url: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("#", "title", "category", "price", "picture"):
        table.add_column(name, overflow="fold")
    for place, item in enumerate(items, 1):
        price = "" if item["price"] is None else f"{item['price']:g}"
        picture = f"{url}{item['image_url']}"
        table.add_row(str(place), _plain(item["title"]), _plain(item["category"]), price, picture)
    return table


def _plain(text: str) -> str:
    """Item text with no terminal controls and no markup: it is data."""
    return "".join(c for c in text if c.isprintable()).replace("[", r"\[")


def _request(method: str, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        response = httpx.request(method, url, json=body, timeout=_TIMEOUT_S, trust_env=False)
    except httpx.TransportError as error:
        reason = str(error) or type(error).__name__
        raise ServiceError(
            f"no assistant at {url}: {reason}; start it with `tastemaker up`"
        ) from None
    try:
        reply: dict[str, Any] = response.json()
    except ValueError:
        raise ServiceError(f"{url} answered HTTP {response.status_code} without JSON") from None
    if not response.is_success:
        error_text = reply.get("error", {}).get("message", response.text[:200])
        raise ServiceError(f"the assistant answered HTTP {response.status_code}: {error_text}")
    return reply
