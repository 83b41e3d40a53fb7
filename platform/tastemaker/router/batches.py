"""Training batches: dialogues as token ids, of similar length together; a function of the step.

Shape suffixes: B = dialogues, T = tokens, M = item or user tokens of the batch, D = vector width.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from tastemaker.router.dialogue_files import Dialogue, Turn, Vectors
from tastemaker.router.messages import NOTHING, clean_text
from tastemaker.router.tokenizer import ASSISTANT, END, ITEM, PAD


@dataclass(frozen=True)
class Example:
    """One dialogue as the model takes it.

    Attributes:
        ids: Token ids, (T,).
        rows: Item row of each item token, in order.
        places: Place of each item in its list, from 0.
        user: Row of the user embedding, None for a stranger.
        calls: Where each call begins and ends: tokens [begin, end) are its targets.
    """

    ids: np.ndarray
    rows: np.ndarray
    places: np.ndarray
    user: int | None
    calls: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Batch:
    """Right-padded dialogues; causality keeps the padding out of every target."""

    ids_BT: Tensor
    items_MD: Tensor
    places_M: Tensor
    users_MD: Tensor
    target_BT: Tensor  # bool: tokens to be predicted

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        return Batch(
            ids_BT=self.ids_BT.to(device),
            items_MD=self.items_MD.to(device),
            places_M=self.places_M.to(device),
            users_MD=self.users_MD.to(device),
            target_BT=self.target_BT.to(device),
        )


def encode(dialogues: Sequence[Dialogue], tokenizer: PreTrainedTokenizerFast) -> list[Example]:
    """Tokenize dialogues as the chat template renders them."""
    texts = [render(dialogue) for dialogue in dialogues]
    all_ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    item, opens, end = tokenizer.convert_tokens_to_ids([ITEM, ASSISTANT, END])
    return [
        _example(dialogue, ids, item, opens, end)
        for dialogue, ids in zip(dialogues, all_ids, strict=True)
    ]


def render(dialogue: Dialogue) -> str:
    """A dialogue's text: what the chat template writes, without the cost of the template."""
    head = "<|system|><|taste|><|end|>" if dialogue.user is not None else ""
    return head + "".join(_render(turn) for turn in dialogue.turns)


def plan_batches(
    examples: Sequence[Example], *, batch_tokens: int, seed: int, epoch: int
) -> list[list[int]]:
    """Which examples go together: shuffled, then sorted by length within windows.

    Args:
        examples: All of them.
        batch_tokens: Most tokens of a batch, padding included.
        seed: Of the run.
        epoch: Number of the pass over the examples.

    Returns:
        Places in `examples`, batch by batch, in a shuffled order.
    """
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(examples))
    order = order[np.argsort([len(examples[i].ids) for i in order], kind="stable")]
    batches: list[list[int]] = [[]]
    for i in order.tolist():
        width = len(examples[i].ids)  # the longest so far: lengths ascend
        if batches[-1] and (len(batches[-1]) + 1) * width > batch_tokens:
            batches.append([])
        batches[-1].append(i)
    return [batches[i] for i in rng.permutation(len(batches))]


def collate(examples: Sequence[Example], vectors: Vectors, pad: int) -> Batch:
    """Stack examples into one batch."""
    width = max(len(e.ids) for e in examples)
    ids_BT = np.full((len(examples), width), pad, np.int64)
    target_BT = np.zeros((len(examples), width), bool)
    for b, example in enumerate(examples):
        ids_BT[b, : len(example.ids)] = example.ids
        for begin, end in example.calls:
            target_BT[b, begin:end] = True
    rows = np.concatenate([e.rows for e in examples])
    users = [e.user for e in examples if e.user is not None]
    return Batch(
        ids_BT=torch.from_numpy(ids_BT),
        items_MD=torch.from_numpy(vectors.items_ND[rows]),
        places_M=torch.from_numpy(np.concatenate([e.places for e in examples])),
        users_MD=torch.from_numpy(vectors.users_UD[users]),
        target_BT=torch.from_numpy(target_BT),
    )


def pad_id(tokenizer: PreTrainedTokenizerFast) -> int:
    """Id of the padding token."""
    found: int = tokenizer.convert_tokens_to_ids(PAD)
    return found


def _render(turn: Turn) -> str:
    lists = "".join(f"@{number} {ITEM}" for number, _ in turn.lists)
    if turn.role == "user":
        return f"<|user|>{lists}{clean_text(turn.text)} {END}"
    if turn.role == "tool":
        told = clean_text(turn.text) or NOTHING
        return f"<|tool|>{lists or told + ' '}{END}"
    call = _json(turn)
    return f"{ASSISTANT}<tool_call>\n{call}\n</tool_call>{END}"


def _json(turn: Turn) -> str:
    arguments = json.dumps(turn.arguments, ensure_ascii=False)
    return f'{{"name": "{turn.name}", "arguments": {arguments}}}'


def _example(dialogue: Dialogue, ids: list[int], item: int, opens: int, end: int) -> Example:
    lists = [rows for turn in dialogue.turns for _, rows in turn.lists]
    left = iter(lists)
    spread: list[int] = []
    calls: list[tuple[int, int]] = []
    begin = -1
    for token in ids:
        spread += [token] * (len(next(left)) if token == item else 1)
        if token == opens:
            begin = len(spread)
        elif token == end and begin >= 0:
            calls.append((begin, len(spread)))
            begin = -1
    return Example(
        ids=np.array(spread, np.int32),
        rows=np.array([row for rows in lists for row in rows], np.int64),
        places=np.array([place for rows in lists for place in range(len(rows))], np.int64),
        user=dialogue.user,
        calls=tuple(calls),
    )
