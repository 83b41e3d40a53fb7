"""Losses of the encoder.

Shape suffixes: B = rows of the batch, D = width of the space, A = values of an attribute.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def contrastive(left_BD: Tensor, right_BD: Tensor, same_BB: Tensor, scale: Tensor) -> Tensor:
    """Symmetric InfoNCE: row i of each side belongs to row i of the other.

    Other rows that mean the same (equal titles, copies of an item) are no negatives: they are
    left out of the sum.

    Args:
        left_BD: Unit vectors.
        right_BD: Unit vectors.
        same_BB: Bool: row i of the left also fits row j of the right; the diagonal is ignored.
        scale: Scalar, inverse temperature, > 0.

    Returns:
        Scalar float32, mean loss in nats. Uninformative vectors score the log of the number of
        rows that differ, plus one.

    Raises:
        ValueError: The two sides differ in shape.
    """
    if left_BD.shape != right_BD.shape:
        raise ValueError(f"left {tuple(left_BD.shape)} and right {tuple(right_BD.shape)} differ")
    own_B = torch.arange(len(left_BD), device=left_BD.device)
    others_BB = same_BB & ~torch.eye(len(left_BD), dtype=torch.bool, device=same_BB.device)
    logits_BB = (left_BD @ right_BD.T * scale).masked_fill(others_BB, -torch.inf)
    return (F.cross_entropy(logits_BB, own_B) + F.cross_entropy(logits_BB.T, own_B)) / 2


def naming(logits_BA: Tensor, value_B: Tensor) -> Tensor:
    """Cross-entropy of an attribute's value, over the rows that have one.

    Args:
        logits_BA: Scores.
        value_B: Number of each row's value; -1 where it has none.

    Returns:
        Scalar float32, mean loss in nats; 0 where no row has a value.
    """
    known = (value_B >= 0).sum().clamp_min(1)
    return F.cross_entropy(logits_BA, value_B, ignore_index=-1, reduction="sum") / known


def neighbouring(item_BD: Tensor, neighbours_BB: Tensor, same_BB: Tensor, scale: Tensor) -> Tensor:
    """Softmax of picking any board neighbour out of the batch, over the rows that have one.

    Args:
        item_BD: Unit vectors.
        neighbours_BB: Bool: items i and j share a board; the diagonal is False.
        same_BB: Bool: items that mean the same, the diagonal included; they are left out unless
            they are neighbours.
        scale: Scalar, inverse temperature, > 0.

    Returns:
        Scalar float32, mean loss in nats; 0 where no row has a neighbour.
    """
    left_out_BB = same_BB & ~neighbours_BB
    itself_BB = torch.eye(len(item_BD), dtype=torch.bool, device=same_BB.device)
    left_out_BB = left_out_BB | itself_BB
    logits_BB = (item_BD @ item_BD.T * scale).masked_fill(left_out_BB, -torch.inf)
    rows_B = neighbours_BB.any(1)
    if not bool(rows_B.any()):
        return logits_BB.new_zeros(())
    all_B = logits_BB[rows_B].logsumexp(1)
    mine_B = logits_BB[rows_B].masked_fill(~neighbours_BB[rows_B], -torch.inf).logsumexp(1)
    return (all_B - mine_B).mean()
