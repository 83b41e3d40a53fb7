"""The record of turns: home/turns/<date>.jsonl, one line a turn."""

import json
from datetime import UTC, datetime
from typing import Any

from tastemaker.assistant.chat import Asked
from tastemaker.core.home import Home


def append(home: Home, asked: Asked, body: dict[str, Any]) -> None:
    """Append one turn: what was asked, each step, tokens, milliseconds and the items shown.

    Args:
        home: Where to.
        asked: The request.
        body: The reply that was given.
    """
    now = datetime.now(UTC)
    ours = body["tastemaker"]
    record = {
        "turn": body["id"],
        "time": now.isoformat(timespec="milliseconds"),
        "conversation": ours["conversation"],
        "user": asked.user,
        "question": asked.question,
        "liked": asked.similar_to,
        "answer": body["choices"][0]["message"]["content"],
        "steps": ours["steps"],
        "tokens": ours["tokens"],
        "ms": ours["ms"],
        "notices": ours["notices"],
        "items": [item["item_id"] for item in ours["items"]],
    }
    line = json.dumps(record, ensure_ascii=False) + "\n"
    with home.path("turns", f"{now:%Y-%m-%d}.jsonl").open("a", encoding="utf-8") as file:
        file.write(line)
