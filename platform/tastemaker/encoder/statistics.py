"""Fixed descriptors of a picture: colours, edge directions, thumbnail.

A network that starts from nothing on a few thousand pictures learns colours and outlines late;
these hand them over from the first step. Shape suffixes: B = pictures, P = side in pixels,
K = bins.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

HUES, SATURATIONS, VALUES = 12, 3, 4
REGIONS = 2  # the whole picture, and the middle half of it
ANGLES, CELLS = 8, 8
THUMBNAIL = 12
COLOR_BINS = HUES * SATURATIONS * VALUES
WIDTH = REGIONS * COLOR_BINS + ANGLES * CELLS * CELLS + 3 * THUMBNAIL * THUMBNAIL


def describe(pixels_B3PP: Tensor) -> Tensor:
    """Describe pictures.

    Args:
        pixels_B3PP: Float, -1..1; sides of at least 16 pixels.

    Returns:
        (B, WIDTH) float32; each of the three blocks has a mean square of 1.
    """
    middle = pixels_B3PP.shape[-1] // 4
    inner = pixels_B3PP[:, :, middle:-middle, middle:-middle]
    blocks = (
        color_histogram(pixels_B3PP).sqrt(),
        color_histogram(inner).sqrt(),
        edge_histogram(pixels_B3PP).sqrt(),
        F.adaptive_avg_pool2d(pixels_B3PP, THUMBNAIL).flatten(1),
    )
    return torch.cat([_unit_mean_square(block) for block in blocks], 1)


def color_histogram(pixels_B3PP: Tensor) -> Tensor:
    """Share of the pixels in each hue, saturation and value bin; each row sums to 1."""
    B = len(pixels_B3PP)
    rgb = (pixels_B3PP + 1) / 2
    value = rgb.amax(1)
    chroma = value - rgb.amin(1)
    red, green, blue = rgb.unbind(1)
    safe = chroma.clamp_min(1e-6)
    hue = torch.where(
        value == red,
        ((green - blue) / safe) % 6,
        torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    saturation = chroma / value.clamp_min(1e-6)
    gray = saturation < 0.12  # hue says nothing there: one hue bin for all grays
    hue_bin = (hue / 6 * HUES).long().clamp(0, HUES - 1).masked_fill(gray, 0)
    saturation_bin = (1 + saturation * (SATURATIONS - 1)).long().clamp(1, SATURATIONS - 1)
    saturation_bin = saturation_bin.masked_fill(gray, 0)
    value_bin = (value * VALUES).long().clamp(0, VALUES - 1)
    bin_BPP = (hue_bin * SATURATIONS + saturation_bin) * VALUES + value_bin
    rows = torch.arange(B, device=bin_BPP.device)[:, None, None] * COLOR_BINS
    counts = torch.bincount((bin_BPP + rows).flatten(), minlength=B * COLOR_BINS)
    return counts.view(B, COLOR_BINS).float() / bin_BPP[0].numel()


def edge_histogram(pixels_B3PP: Tensor) -> Tensor:
    """Strength of the edges of each direction (not sense) in each cell, direction first."""
    gray_BPP = pixels_B3PP.mean(1)
    across = gray_BPP[:, 1:-1, 2:] - gray_BPP[:, 1:-1, :-2]
    down = gray_BPP[:, 2:, 1:-1] - gray_BPP[:, :-2, 1:-1]
    strength = (across.square() + down.square()).sqrt()
    angle = (torch.atan2(down, across) / math.pi % 1) * ANGLES
    low = angle.floor()
    frac = angle - low
    planes = [
        strength * (1 - frac) * (low.long() % ANGLES == k)
        + strength * frac * ((low.long() + 1) % ANGLES == k)
        for k in range(ANGLES)
    ]
    return F.adaptive_avg_pool2d(torch.stack(planes, 1), CELLS).flatten(1)


def _unit_mean_square(block_BK: Tensor) -> Tensor:
    norm: Tensor = block_BK.norm(dim=1, keepdim=True).clamp_min(1e-6)
    return block_BK / norm * math.sqrt(block_BK.shape[1])
