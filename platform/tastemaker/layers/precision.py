"""Numbers of fewer bits in training, only where the processor multiplies them itself."""

from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]


def reduced(device: torch.device, precision: Precision) -> torch.autocast:
    """A context in which matrices are multiplied in bfloat16, or one that changes nothing."""
    return torch.autocast(device.type, torch.bfloat16, enabled=is_reduced(device, precision))


def is_reduced(device: torch.device, precision: Precision) -> bool:
    """Whether to multiply in bfloat16.

    Args:
        device: That trains.
        precision: `auto` takes bfloat16 where it is native: emulated, it takes three times as
            long as float32.
    """
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_avx512_bf16_supported())
