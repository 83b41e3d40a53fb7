"""Dialogues on disk: text as JSON lines, vectors by row.

<split>.jsonl   one dialogue a line
vectors.npz     items (N, D) float16 and users (U, D) float32, in the rows that lines refer to
meta.json       parents, words for the tokenizer, nouns for the baseline
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tastemaker.core.errors import NotFound
from tastemaker.router import messages as chat

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Turn:
    """One message.

    Attributes:
        role: user, assistant or tool.
        text: What a user says, or a tool in place of a list.
        lists: Item rows by the list's number: a tool's result, or what a user brings.
        name: The tool that the assistant calls.
        arguments: With these arguments.
        kind: What the call is an answer to, a few fixed words.
        unseen: The request is worded as training never words it.
    """

    role: str
    text: str = ""
    lists: tuple[tuple[int, tuple[int, ...]], ...] = ()
    name: str = ""
    arguments: dict[str, Any] | None = None
    kind: str = ""
    unseen: bool = False


@dataclass(frozen=True)
class Dialogue:
    """A conversation; `user` is the row of the user embedding, None for a stranger."""

    turns: tuple[Turn, ...]
    user: int | None = None

    def to_messages(self, vectors: "Vectors", *, until: int | None = None) -> list[chat.Message]:
        """OpenAI chat messages of the first `until` turns (default: all)."""
        user = None if self.user is None else vectors.users_UD[self.user]
        messages = chat.system_message(user)
        for place, turn in enumerate(self.turns[:until]):
            lists = {number: vectors.items_ND[list(rows)] for number, rows in turn.lists}
            if turn.role == "user":
                messages.append(chat.user_message(turn.text, lists))
            elif turn.role == "assistant":
                arguments = turn.arguments or {}
                messages.append(chat.assistant_message(f"c{place}", turn.name, arguments))
            else:
                if turn.text:
                    messages.append(chat.told_message(f"c{place - 1}", turn.text))
                    continue
                number, rows_ND = next(iter(lists.items()), (1, vectors.items_ND[:0]))
                messages.append(chat.tool_message(f"c{place - 1}", number, rows_ND))
        return messages


@dataclass(frozen=True)
class Vectors:
    """Item vectors (N, D) and user vectors (U, D)."""

    items_ND: np.ndarray
    users_UD: np.ndarray


@dataclass(frozen=True)
class DialogueSet:
    """What a dialogues folder holds."""

    vectors: Vectors
    meta: dict[str, Any]
    folder: Path

    def read(self, split: str) -> list[Dialogue]:
        """Dialogues of train, val or test."""
        lines = (self.folder / f"{split}.jsonl").read_text().splitlines()
        return [_from_json(json.loads(line)) for line in lines]


def write_dialogues(folder: Path, split: str, dialogues: Iterable[Dialogue]) -> None:
    """Write one split."""
    with (folder / f"{split}.jsonl").open("w") as file:
        for dialogue in dialogues:
            file.write(json.dumps(_to_json(dialogue), ensure_ascii=False) + "\n")


def write_shared(folder: Path, vectors: Vectors, meta: dict[str, Any]) -> None:
    """Write the vectors and `meta.json`; equal vectors give equal bytes."""
    with (folder / "vectors.npz").open("wb") as file:
        np.savez(
            file,
            items=vectors.items_ND.astype(np.float16),
            users=vectors.users_UD.astype(np.float32),
        )
    text = json.dumps(meta, ensure_ascii=False, indent=1, sort_keys=True)
    (folder / "meta.json").write_text(text + "\n")


def open_dialogues(folder: Path) -> DialogueSet:
    """Open a dialogues folder.

    Raises:
        NotFound: No such dialogues.
    """
    if not (folder / "meta.json").is_file():
        raise NotFound(f"no dialogues {folder.name!r} in {folder.parent}")
    with np.load(folder / "vectors.npz") as arrays:
        vectors = Vectors(arrays["items"].astype(np.float32), arrays["users"])
    return DialogueSet(vectors, json.loads((folder / "meta.json").read_text()), folder)


def count_kinds(dialogues: Sequence[Dialogue]) -> dict[str, int]:
    """How many calls there are of each kind."""
    counts: dict[str, int] = {}
    for dialogue in dialogues:
        for turn in dialogue.turns:
            if turn.role == "assistant":
                counts[turn.kind] = counts.get(turn.kind, 0) + 1
    return dict(sorted(counts.items()))


def _to_json(dialogue: Dialogue) -> dict[str, Any]:
    turns = []
    for turn in dialogue.turns:
        values = {key: value for key, value in asdict(turn).items() if value or key == "role"}
        if turn.role == "assistant":
            values["arguments"] = turn.arguments or {}
        turns.append(values)
    return {"user": dialogue.user, "turns": turns}


def _from_json(values: dict[str, Any]) -> Dialogue:
    turns = []
    for turn in values["turns"]:
        lists = tuple((number, tuple(rows)) for number, rows in turn.pop("lists", ()))
        turns.append(Turn(lists=lists, **turn))
    return Dialogue(turns=tuple(turns), user=values["user"])
