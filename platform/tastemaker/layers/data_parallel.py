"""Several processes that train one model: each takes a share of a batch, gradients are summed.

The sum of weighted shares is the whole batch's gradient, so that a run on many processes learns
what a run on one would; alone, every function here is the identity, to the bit.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """This process among those that train together.

    Attributes:
        rank: From 0; the first writes what is kept.
        size: How many there are, >= 1; above 1 torch.distributed is ready.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def share(self, batch: Sequence[T]) -> Sequence[T]:
        """This process's part of a batch; the parts of all are the batch, and may be empty."""
        return batch if self.size == 1 else batch[self.rank :: self.size]

    def sum(self, value: float) -> float:
        """Sum over all processes."""
        if self.size == 1:
            return value
        held = torch.tensor([value], dtype=torch.float64)
        torch.distributed.all_reduce(held)
        return held.item()

    def weight(self, count: int) -> float:
        """Share of a mean over `count` elements here in the mean over those of all processes."""
        if self.size == 1:
            return 1.0
        total = self.sum(count)
        return count / total if total else 0.0

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Sum gradients in place; one that no process has stays None, as it is alone."""
        if self.size == 1:
            return
        owned = list(parameters)
        used = torch.tensor([float(p.grad is not None) for p in owned])
        torch.distributed.all_reduce(used)
        chosen = [p for p, count in zip(owned, used.tolist(), strict=True) if count]
        if not chosen:
            return
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in chosen]
        flat = torch.cat([grad.reshape(-1).float() for grad in grads])
        torch.distributed.all_reduce(flat)
        for p, part in zip(chosen, flat.split([p.numel() for p in chosen]), strict=True):
            p.grad = part.view_as(p).to(p.dtype)

    def from_first(self, make: Callable[[], T]) -> T:
        """What `make` gives in the first process, in all of them."""
        if self.size == 1:
            return make()
        held = [make() if self.first else None]
        torch.distributed.broadcast_object_list(held)
        return held[0]  # type: ignore[return-value]


ALONE = Group()
