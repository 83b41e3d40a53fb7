"""A small synthetic catalogue: coloured shapes whose colour shows in the picture."""

import io
import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageDraw

from tastemaker.data.records import BOARDS, ITEMS

COLORS = {
    "red": (200, 30, 30),
    "green": (30, 150, 40),
    "blue": (30, 60, 200),
    "black": (20, 20, 20),
}
SHAPES = ("disc", "square")


def picture(color: str, shape: str, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (48, 40), (245, 245, 245))
    x, y = rng.integers(4, 14, 2)
    box = (int(x), int(y), int(x) + 22, int(y) + 22)
    draw = ImageDraw.Draw(image)
    (draw.ellipse if shape == "disc" else draw.rectangle)(box, fill=COLORS[color])
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def make_catalogue(num_items: int = 48) -> tuple[pa.Table, pa.Table]:
    names = [(c, s) for c in COLORS for s in SHAPES]
    rows = []
    for n in range(num_items):
        color, shape = names[n % len(names)]
        rows.append(
            {
                "item_id": f"i{n}",
                "image": picture(color, shape, n),
                "title": f"{color} {shape} no {n}",
                "text": "" if n % 3 else f"A {shape} for the wall.",
                "category": shape,
                "attributes": json.dumps({"color": color}),
                "price": float(n),
                "split": "test" if n % 6 == 5 else "train",
                "image_hash": f"{n:016x}",
            }
        )
    boards = [
        {
            "board_id": f"b{k}",
            "title": f"board {k}",
            "theme": "",
            "items": [f"i{(k + 8 * j) % num_items}" for j in range(4)],
            "split": ("train", "train", "val", "test")[k % 4],
        }
        for k in range(8)
    ]
    return pa.Table.from_pylist(rows, schema=ITEMS), pa.Table.from_pylist(boards, schema=BOARDS)


@pytest.fixture(scope="session")
def catalogue() -> tuple[pa.Table, pa.Table]:
    return make_catalogue()
