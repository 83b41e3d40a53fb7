"""Pictures of the demo catalogue: a shape, its colour, a material's texture, a pattern, a style."""

import io
import random
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tastemaker.data.demo_shapes import SHAPES

RGB = tuple[int, int, int]

COLORS: dict[str, RGB] = {
    "red": (190, 40, 45),
    "orange": (225, 125, 40),
    "yellow": (228, 195, 60),
    "green": (65, 130, 75),
    "blue": (50, 90, 170),
    "purple": (120, 70, 150),
    "pink": (225, 140, 165),
    "brown": (115, 75, 45),
    "beige": (215, 195, 160),
    "white": (240, 240, 238),
    "grey": (140, 140, 142),
    "black": (40, 40, 44),
}
PATTERNS = ("plain", "striped", "dotted", "checked", "floral")
# style: wall, floor
BACKGROUNDS: dict[str, tuple[RGB, RGB]] = {
    "scandinavian": ((236, 236, 232), (212, 190, 160)),
    "industrial": ((150, 120, 110), (105, 105, 108)),
    "boho": ((232, 205, 180), (180, 130, 95)),
    "rustic": ((205, 190, 165), (125, 90, 60)),
    "modern": ((205, 215, 225), (170, 175, 180)),
    "vintage": ((215, 200, 205), (150, 115, 100)),
}


def render(row: Mapping[str, str], rng: random.Random, *, size_px: int) -> bytes:
    """Draw one item.

    Args:
        row: category, shape, color, material, pattern and style.
        rng: Drives position, size, light and noise.
        size_px: Side of the square image.

    Returns:
        JPEG bytes, RGB.
    """
    scale = 2
    side = size_px * scale
    canvas = _room(row["style"], side, rng)
    mask = Image.new("L", (side, side), 0)
    width = side * rng.uniform(0.55, 0.8)
    x = (side - width) / 2 + rng.uniform(-0.06, 0.06) * side
    y = (side - width) / 2 + rng.uniform(-0.02, 0.1) * side
    SHAPES[row["category"]][row["shape"]](ImageDraw.Draw(mask), (x, y, x + width, y + width))
    base = tuple(min(255, max(0, c + rng.randint(-14, 14))) for c in COLORS[row["color"]])
    surface = _surface(np.array(base, np.float32), row["material"], row["pattern"], side, rng)
    shadow = mask.filter(ImageFilter.GaussianBlur(side // 30))
    dark = Image.new("RGB", (side, side), (60, 55, 50))
    canvas.paste(dark, (side // 60, side // 40), shadow.point(lambda v: v // 3))
    canvas.paste(surface, (0, 0), mask)
    edge = mask.filter(ImageFilter.FIND_EDGES).point(lambda v: v // 2)
    canvas.paste(Image.new("RGB", (side, side), (30, 28, 26)), (0, 0), edge)
    small = canvas.resize((size_px, size_px), Image.Resampling.BILINEAR)
    light = rng.uniform(0.82, 1.12)
    noise = np.random.default_rng(rng.randrange(1 << 30)).normal(0, 4, (size_px, size_px, 3))
    pixels = np.clip(np.asarray(small, np.float32) * light + noise, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=88)
    return out.getvalue()


def _room(style: str, side: int, rng: random.Random) -> Image.Image:
    wall, floor = BACKGROUNDS[style]
    image = Image.new("RGB", (side, side), wall)
    draw = ImageDraw.Draw(image)
    horizon = int(side * rng.uniform(0.68, 0.78))
    draw.rectangle((0, horizon, side, side), fill=floor)
    line = tuple(max(0, c - 22) for c in wall)
    if style == "industrial":  # bricks
        for r, y in enumerate(range(0, horizon, side // 12)):
            draw.line((0, y, side, y), fill=line, width=2)
            for x in range((r % 2) * side // 12, side, side // 6):
                draw.line((x, y, x, y + side // 12), fill=line, width=2)
    elif style == "rustic":  # planks
        for x in range(0, side, side // 7):
            draw.line((x, 0, x, horizon), fill=line, width=3)
    elif style == "boho":  # bunting
        for x in range(0, side, side // 8):
            draw.polygon(
                [(x, 0), (x + side // 8, 0), (x + side // 16, side // 9)],
                fill=rng.choice([(190, 90, 60), (90, 130, 110), (215, 170, 80)]),
            )
    elif style == "vintage":  # wallpaper
        for y in range(side // 16, horizon, side // 8):
            for x in range(side // 16, side, side // 8):
                draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=line)
    elif style == "modern":  # a panel
        draw.rectangle((side * 0.62, 0, side, horizon), fill=line)
    else:  # scandinavian: a window
        draw.rectangle(
            (side * 0.06, side * 0.06, side * 0.26, side * 0.3), fill=(205, 225, 240), outline=line
        )
    return image


def _surface(
    base: np.ndarray, material: str, pattern: str, side: int, rng: random.Random
) -> Image.Image:
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    noise = np.random.default_rng(rng.randrange(1 << 30))
    value = np.ones((side, side), np.float32)
    if material in ("oak", "walnut"):
        depth = 0.18 if material == "oak" else 0.34
        value -= depth * (0.5 + 0.5 * np.sin(60 * y + 6 * np.sin(5 * x)))
    elif material in ("linen", "cotton", "wool", "jute"):
        rate = {"linen": 220, "cotton": 320, "wool": 130, "jute": 90}[material]
        value -= 0.14 * (np.sin(rate * x) * np.sin(rate * y) > 0)
    elif material == "rattan":
        value -= 0.4 * (np.sin(75 * (x + y)) * np.sin(75 * (x - y)) > 0.1)
    elif material in ("metal", "glass"):
        value += (0.5 if material == "metal" else 0.3) * np.exp(-(((x - 0.4) * 9) ** 2))
        value -= 0.22 * x if material == "metal" else 0
    elif material == "velvet":
        value += 0.22 * np.sin(9 * x + 2 * y)
    elif material == "marble":
        value -= 0.35 * (np.abs(np.sin(7 * x + 4 * np.sin(9 * y))) < 0.09)
    elif material == "ceramic":
        value += 0.4 * np.exp(-(((x - 0.35) ** 2 + (y - 0.35) ** 2) * 60))
    else:  # leather, concrete
        grain = noise.normal(0, 0.16 if material == "concrete" else 0.07, (side // 4, side // 4))
        value += np.kron(grain, np.ones((4, 4)))[:side, :side].astype(np.float32)
    colors = base[None, None] * value[..., None]
    if material == "glass":
        colors = colors * 0.7 + 0.3 * np.array([200, 225, 235], np.float32)
    marks = _marks(pattern, x, y)
    other = np.where(base.mean() > 128, base * 0.45, np.minimum(base + 120, 255))
    colors = np.where(marks[..., None], other[None, None], colors)
    return Image.fromarray(np.clip(colors, 0, 255).astype(np.uint8))


def _marks(pattern: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    marks: np.ndarray
    if pattern == "striped":
        marks = np.sin(55 * x) > 0.35
    elif pattern == "dotted":
        marks = (np.sin(42 * x) > 0.55) & (np.sin(42 * y) > 0.55)
    elif pattern == "checked":
        marks = (np.sin(30 * x) > 0) ^ (np.sin(30 * y) > 0)
    elif pattern == "floral":
        u, v = (x * 6) % 1 - 0.5, (y * 6) % 1 - 0.5
        marks = np.hypot(u, v) < 0.24 + 0.12 * np.cos(5 * np.arctan2(v, u))
    else:
        marks = np.zeros_like(x, bool)
    return marks
