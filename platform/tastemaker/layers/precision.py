"""Numbers of fewer bits in training, only where the processor multiplies them itself."""

from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]


def reduced(device: torch.device, precision: Precision) -> torch.autocast:
    """A context in which matrices are multiplied in bfloat16, or one that changes nothing.

    Args:
        device: That trains.
        precision: `auto` takes bfloat16 where it is native: emulated, it takes three times as
            long as float32.
    """
    enabled = precision == "bfloat16" or (precision == "auto" and is_native(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def is_native(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 without emulation."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_avx512_bf16_supported())
