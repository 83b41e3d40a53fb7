"""Muon: momentum whose matrix is made orthogonal before it is followed.

Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024); the rate is scaled
as in Liu et al., "Muon is scalable for LLM training" (arXiv 2502.16982), so that AdamW's rates fit.
torch's own works on one matrix at a time and always in bfloat16, which a processor without it
emulates: half of a training step. Here matrices of one shape go together, in bfloat16 only where
it is native.

Shape suffixes: S = matrices of one shape, R = rows, C = columns.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from tastemaker.layers.precision import Precision, is_reduced

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of Jordan's quintic: steepest at 0
_ROUNDS = 5
_MATCH_RMS = 0.2  # root mean square of AdamW's updates
_EPS = 1e-7


class Muon(torch.optim.Optimizer):
    """The optimizer.

    Args:
        params: Matrices alone.
        lr: Rate, as for AdamW, > 0.
        momentum: Of the gradient, in [0, 1); Nesterov's.
        precision: Of the iteration that makes matrices orthogonal.

    Raises:
        ValueError: A parameter that is no matrix.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        *,
        lr: float,
        momentum: float = 0.95,
        precision: Precision = "auto",
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})
        self.precision = precision
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(f"Muon takes matrices, got a parameter of {tuple(p.shape)}")

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        assert closure is None, "gradients are there already"
        for group in self.param_groups:
            alike: dict[tuple[torch.Size, torch.device], list[Tensor]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    alike[p.shape, p.device].append(p)
            for params in alike.values():
                self._update(params, group["lr"], group["momentum"])

    def _update(self, params: list[Tensor], lr: float, momentum: float) -> None:
        ahead = []
        for p in params:
            assert p.grad is not None
            state = self.state[p]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(p.grad)
            mean_RC = state["momentum_buffer"].lerp_(p.grad, 1 - momentum)
            ahead.append(p.grad.lerp(mean_RC, momentum))
        scale = _MATCH_RMS * max(params[0].shape) ** 0.5
        updates_SRC = orthogonal(torch.stack(ahead), self.precision)
        for p, update_RC in zip(params, updates_SRC, strict=True):
            p.add_(update_RC, alpha=-lr * scale)


def orthogonal(matrices_SRC: Tensor, precision: Precision = "auto") -> Tensor:
    """Matrices (S, R, C) with the same singular vectors, and singular values near 1.

    Newton and Schulz's iteration: values end between 0.7 and 1.2, which training does not mind.
    """
    a, b, c = _COEFFICIENTS
    dtype = torch.bfloat16 if is_reduced(matrices_SRC.device, precision) else torch.float32
    tall = matrices_SRC.shape[-2] > matrices_SRC.shape[-1]
    x_SRC = (matrices_SRC.mT if tall else matrices_SRC).to(dtype)
    norm_S11 = torch.linalg.matrix_norm(x_SRC.float(), keepdim=True).clamp_min(_EPS)
    x_SRC = x_SRC / norm_S11.to(dtype)
    for _ in range(_ROUNDS):
        gram_SRR = x_SRC @ x_SRC.mT
        gram_SRR = torch.baddbmm(gram_SRR, gram_SRR, gram_SRR, beta=b, alpha=c)
        x_SRC = torch.baddbmm(x_SRC, gram_SRR, x_SRC, beta=a)
    return (x_SRC.mT if tall else x_SRC).to(matrices_SRC.dtype)
