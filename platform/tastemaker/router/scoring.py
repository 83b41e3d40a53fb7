"""Exact calls: which of a dialogue's calls the model writes token for token, given its history."""

from collections.abc import Sequence

import torch

from tastemaker.router.batches import Example, collate
from tastemaker.router.dialogue_files import Vectors
from tastemaker.router.model import RouterModel


@torch.inference_mode()
def exact_calls(
    model: RouterModel, examples: Sequence[Example], vectors: Vectors, pad: int, *, batch: int = 24
) -> list[list[bool]]:
    """Whether greedy decoding of each call gives exactly its tokens.

    Every token of a call must be the most likely one after the true tokens before it: then, and
    only then, greedy decoding writes the call, end mark included.

    Args:
        model: In evaluation mode.
        examples: Tokenized dialogues.
        vectors: What their item and user tokens refer to.
        pad: Id of the padding token.
        batch: Dialogues at a time.

    Returns:
        For each dialogue, for each of its calls in order.
    """
    out: list[list[bool]] = [[] for _ in examples]
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].ids))
    for begin in range(0, len(order), batch):
        part = order[begin : begin + batch]
        b = collate([examples[i] for i in part], vectors, pad)
        hidden_BTH = model(b.ids_BT, b.items_MD, b.places_M, b.users_MD)
        for row, i in enumerate(part):
            for start, end in examples[i].calls:
                found = model.head(hidden_BTH[row, start - 1 : end - 1]).argmax(-1)
                out[i].append(bool((found == b.ids_BT[row, start:end]).all()))
    return out
