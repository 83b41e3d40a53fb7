"""Exact calls: which of a dialogue's calls the model writes token for token, given its history."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerFast

from tastemaker.router.batches import Example, collate, pad_id
from tastemaker.router.dialogue_files import Vectors
from tastemaker.router.model import RouterModel

_NAME = re.compile(r'"name": "(\w+)"')


@dataclass(frozen=True)
class Score:
    """How a call was written: token for token as wanted, and with which tool it began."""

    exact: bool
    tool: str


@torch.inference_mode()
def score_calls(
    model: RouterModel,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[Example],
    vectors: Vectors,
    *,
    batch: int = 24,
) -> list[list[Score]]:
    """Whether greedy decoding of each call gives exactly its tokens, and which tool it takes.

    Every token of a call must be the most likely one after the true tokens before it: then, and
    only then, greedy decoding writes the call, end mark included.

    Args:
        model: In evaluation mode.
        tokenizer: The model's own.
        examples: Tokenized dialogues.
        vectors: What their item and user tokens refer to.
        batch: Dialogues at a time.

    Returns:
        For each dialogue, for each of its calls in order; the tool is "" for what is no call.
    """
    out: list[list[Score]] = [[] for _ in examples]
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].ids))
    for begin in range(0, len(order), batch):
        part = order[begin : begin + batch]
        b = collate([examples[i] for i in part], vectors, pad_id(tokenizer))
        hidden_BTH = model(b.ids_BT, b.items_MD, b.places_M, b.users_MD)
        for row, i in enumerate(part):
            for start, end in examples[i].calls:
                found = model.head(hidden_BTH[row, start - 1 : end - 1]).argmax(-1)
                exact = bool((found == b.ids_BT[row, start:end]).all())
                # its mark, then the piece of JSON that names the tool
                named = _NAME.search(tokenizer.decode(found[:2].tolist()))
                out[i].append(Score(exact, named.group(1) if named else ""))
    return out
