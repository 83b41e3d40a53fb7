"""Pictures: from encoded image files to pixels, and how training varies them.

Shape suffixes: B = pictures, P = side in pixels; channels first, red, green, blue.
"""

import io
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from tastemaker.core.errors import DataError
from tastemaker.data.pictures import MAX_PIXELS
from tastemaker.encoder.config import AugmentConfig

WHITE = (255, 255, 255)


def decode(image: bytes, px: int) -> np.ndarray:
    """Decode an image file to a square; what is missing of the square is white.

    Args:
        image: An encoded image file (JPEG, PNG, WebP...).
        px: Side of the square, in pixels.

    Returns:
        (px, px, 3) uint8.

    Raises:
        DataError: It is no readable image.
    """
    try:
        with Image.open(io.BytesIO(image)) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise ValueError(f"{opened.width}x{opened.height}, limit {MAX_PIXELS} pixels")
            opened.draft("RGB", (px, px))
            if opened.mode in ("RGBA", "LA", "P"):
                layered = opened.convert("RGBA")
                picture = Image.new("RGBA", layered.size, (*WHITE, 255))
                picture.alpha_composite(layered)
                picture = picture.convert("RGB")
            else:
                picture = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"an image of {len(image)} bytes cannot be decoded: {error}") from None
    scale = px / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    square = Image.new("RGB", (px, px), WHITE)
    resized = picture.resize(size, Image.Resampling.BILINEAR)
    square.paste(resized, ((px - size[0]) // 2, (px - size[1]) // 2))
    return np.asarray(square)


def stack(images: Sequence[bytes], px: int) -> Tensor:
    """Decode pictures to one uint8 tensor (B, 3, px, px), channels last in memory."""
    pixels_BPP3 = np.empty((len(images), px, px, 3), np.uint8)
    for i, image in enumerate(images):
        pixels_BPP3[i] = decode(image, px)
    return torch.from_numpy(pixels_BPP3).permute(0, 3, 1, 2)


def to_float(pixels_B3PP: Tensor) -> Tensor:
    """Pixels from 0..255 to -1..1 in float32."""
    return pixels_B3PP.float() / 127.5 - 1


def vary(pixels_B3PP: Tensor, config: AugmentConfig) -> Tensor:
    """Zoom, shift, mirror and tint each picture by chance (torch's global random state).

    Args:
        pixels_B3PP: Float, -1..1.
        config: How far to go.

    Returns:
        Pictures of the same shape; what a shift uncovers repeats the border.
    """
    B = len(pixels_B3PP)
    zoom_B = 1 - config.zoom_frac * torch.rand(B)
    side_B = torch.where(torch.rand(B) < 0.5, -1.0, 1.0) if config.flip else torch.ones(B)
    shift_B2 = (torch.rand(B, 2) * 2 - 1) * (2 * config.shift_frac + (1 - zoom_B)[:, None])
    affine_B23 = torch.zeros(B, 2, 3)
    affine_B23[:, 0, 0] = zoom_B * side_B
    affine_B23[:, 1, 1] = zoom_B
    affine_B23[:, :, 2] = shift_B2
    grid = F.affine_grid(affine_B23, list(pixels_B3PP.shape), align_corners=False)
    moved = F.grid_sample(pixels_B3PP, grid, padding_mode="border", align_corners=False)
    gain_B = 1 + config.color * (torch.rand(B, 1, 1, 1) * 2 - 1)
    lift_B = config.color * (torch.rand(B, 1, 1, 1) * 2 - 1)
    tinted = (moved * gain_B + lift_B).clamp(-1, 1)
    gray_B = torch.rand(B, 1, 1, 1) < config.gray_frac
    tinted = torch.where(gray_B, tinted.mean(1, keepdim=True), tinted)
    return tinted.contiguous(memory_format=torch.channels_last)
