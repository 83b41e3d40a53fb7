"""Training losses of next-item recommendation.

Shape suffixes: P = positions with a next item, N = items of the catalogue, S = sampled items,
U = user embedding width, B = users, T = events, E = item embedding width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tastemaker.sequence.model import PADDING, SequenceModel


def sampled_softmax(
    target_P: Tensor, sampled_PS: Tensor, same_PS: Tensor, *, num_items: int
) -> Tensor:
    """Cross-entropy of each target against a uniform sample of the catalogue.

    The sample stands for the whole: its part of the partition function is multiplied by the
    inverse of the share that was drawn (the logQ correction of a uniform sampler).

    Args:
        target_P: Logit of each position's target.
        sampled_PS: Logits of the sampled items.
        same_PS: True where a sampled item is the position's own target: left out.
        num_items: N, of the catalogue, >= 2.

    Returns:
        Scalar, mean loss in nats; equal logits give log(N).

    Raises:
        ValueError: No more than one item to choose from.
    """
    if num_items < 2:
        raise ValueError(f"num_items must be >= 2, got {num_items}")
    others_P = (~same_PS).sum(1).clamp(min=1)
    weight_P1 = (math.log(num_items - 1) - others_P.log()).unsqueeze(1)
    corrected_PS = (sampled_PS + weight_P1).masked_fill(same_PS, -math.inf)
    logits_P = torch.cat([target_P.unsqueeze(1), corrected_PS], 1)
    return (logits_P.logsumexp(1) - target_P).mean()


def next_item_loss(
    model: SequenceModel,
    items_NE: Tensor,
    rows_BT: Tensor,
    actions_BT: Tensor,
    next_BT: Tensor,
    *,
    max_candidates: int,
) -> Tensor:
    """Cross-entropy of each next positive item, mean over the positions that have one.

    Args:
        model: The model.
        items_NE: The catalogue's embeddings.
        rows_BT: Item row of each event; anything at padding.
        actions_BT: Action codes, `PADDING` at padding.
        next_BT: Row of the next event's item where that is positive, else -100.
        max_candidates: A larger catalogue is sampled, this many items a batch.

    Returns:
        Scalar, nats; log(N) is chance.
    """
    padded = (actions_BT == PADDING).unsqueeze(-1)
    users_BTU = model(items_NE[rows_BT].masked_fill(padded, 0.0), actions_BT)
    at = next_BT >= 0
    users_PU, next_P = users_BTU[at], next_BT[at]
    num_items = len(items_NE)
    if num_items <= max_candidates:
        logits_PN = model.scores(users_PU, model.targets(items_NE), model.item_bias)
        return F.cross_entropy(logits_PN, next_P)
    sample_S = torch.randint(num_items, (max_candidates,), device=items_NE.device)
    targets_SU, bias_S = model.targets(items_NE[sample_S]), model.item_bias[sample_S]
    own_PU, bias_P = model.targets(items_NE[next_P]), model.item_bias[next_P]
    return sampled_softmax(
        (users_PU * own_PU).sum(1) * model.log_scale.exp() + bias_P,
        model.scores(users_PU, targets_SU, bias_S),
        sample_S == next_P.unsqueeze(1),
        num_items=num_items,
    )
