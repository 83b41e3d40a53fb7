"""Which processor trains and embeds: a GPU where this process has one.

Servers run on processors without one: their models are small, and vLLM chooses for itself.
"""

import os

import torch

from tastemaker.core.errors import ConfigError

CHOICE = "TASTEMAKER_DEVICE"


def training_device(rank: int = 0) -> torch.device:
    """The device of one process.

    Args:
        rank: Of this process among those of its machine: each takes a GPU of its own where there
            are as many. Ray shows a process only its own GPUs, whatever its rank.

    Returns:
        What `TASTEMAKER_DEVICE` names (`cpu`, `cuda`, `cuda:1`), else a GPU, else the processor.

    Raises:
        ConfigError: `TASTEMAKER_DEVICE` names no device that this machine has.
    """
    count = torch.cuda.device_count()
    chosen = os.environ.get(CHOICE) or (f"cuda:{rank % count}" if count else "cpu")
    try:
        device = torch.device(chosen)
    except RuntimeError:
        raise ConfigError(f"{CHOICE}={chosen!r}: cpu, cuda or cuda:<number>") from None
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"{CHOICE}={chosen!r}: cpu, cuda or cuda:<number>")
    if device.type == "cuda" and (device.index or 0) >= count:
        raise ConfigError(f"{CHOICE}={chosen!r}: this process sees {count} GPUs")
    return device
