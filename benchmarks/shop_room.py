"""shop_room on generated rooms: which pieces of a photo are among the ten items found.

    TASTEMAKER_HOME=/path/to/home python -m benchmarks.shop_room    (1.5 minutes)

Each of 100 rooms is a wall and a floor with 4 pictures of catalogue items, each at another place
and size, darkened or lightened, saved as JPEG. The baseline searches with the whole photo. The
windows and the rule that joins them were chosen on rooms of other seeds.
"""

import argparse
import asyncio
import base64
import io
import random
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageEnhance

from benchmarks.rows import row, save
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.tools.photo import Box, cut, overlap, windows
from tastemaker.assistant.tools.ranking import Ranked
from tastemaker.assistant.tools.room import PER_WINDOW, Hits, pieces, scan
from tastemaker.core.home import Home
from tastemaker.encoder.model import Encoder
from tastemaker.encoder.storage import load_encoder

ROOMS, PIECES, K = 100, 4, 10
ROOM_PX = 640
COMMAND = "python -m benchmarks.shop_room"

Find = Callable[[Image.Image], Ranked]


def room(catalogue: Catalogue, rng: random.Random) -> tuple[Image.Image, list[str]]:
    """A room, and the ids of what stands in it."""
    wall, floor = (tuple(rng.randrange(120, 245) for _ in range(3)) for _ in range(2))
    picture = Image.new("RGB", (ROOM_PX, ROOM_PX), wall)
    picture.paste(floor, (0, ROOM_PX * 2 // 3, ROOM_PX, ROOM_PX))
    chosen = rng.sample(catalogue.items, PIECES)
    taken: list[Box] = []
    for item in chosen:
        box = _place(taken, rng)
        taken.append(box)
        piece: Image.Image = Image.open(io.BytesIO(catalogue.image(item.item_id))).convert("RGB")
        side = round((box[2] - box[0]) * ROOM_PX)
        piece = ImageEnhance.Brightness(piece.resize((side, side))).enhance(rng.uniform(0.8, 1.15))
        picture.paste(piece, (round(box[0] * ROOM_PX), round(box[1] * ROOM_PX)))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=80)
    return Image.open(io.BytesIO(out.getvalue())).convert("RGB"), [i.item_id for i in chosen]


def _place(taken: list[Box], rng: random.Random) -> Box:
    while True:
        side = rng.uniform(0.22, 0.42)
        x, y = (rng.uniform(0, 1 - side) for _ in range(2))
        box = (x, y, x + side, y + side)
        if all(overlap(box, other) < 0.05 for other in taken):
            return box


def by_windows(catalogue: Catalogue, encoder: Encoder) -> Find:
    """As the tool does it."""
    kinds = {item.item_id: item.category for item in catalogue.items}

    def find(photo: Image.Image) -> Ranked:
        async def search(boxes: Sequence[Box]) -> Hits:
            vectors_BD = _embed(encoder, cut(photo, boxes))
            return [_nearest(catalogue, vector_D, PER_WINDOW) for vector_D in vectors_BD]

        boxes, hits = asyncio.run(scan(search))
        return pieces(boxes, hits, kinds, K)

    return find


def by_whole(catalogue: Catalogue, encoder: Encoder) -> Find:
    """The baseline: the photo as one picture."""

    def find(photo: Image.Image) -> Ranked:
        return _nearest(catalogue, _embed(encoder, cut(photo, windows((1.0,))))[0], K)

    return find


def recall(catalogue: Catalogue, find: Find, seeds: range) -> tuple[float, float]:
    """Pieces found, and pieces of which an item of the kind and colour is found (fractions)."""
    exact = alike = 0
    for seed in seeds:
        photo, wanted = room(catalogue, random.Random(seed))
        found = [item_id for item_id, _ in find(photo)]
        looks = {_look(catalogue, item_id) for item_id in found}
        exact += len(set(wanted) & set(found))
        alike += sum(_look(catalogue, item_id) in looks for item_id in wanted)
    return exact / (PIECES * len(seeds)), alike / (PIECES * len(seeds))


def _look(catalogue: Catalogue, item_id: str) -> tuple[str, str]:
    item = catalogue.item(item_id)
    return item.category, item.attributes.get("color", "")


def _embed(encoder: Encoder, images: list[str]) -> np.ndarray:
    return encoder.embed_image([base64.b64decode(image) for image in images])


def _nearest(catalogue: Catalogue, vector_D: np.ndarray, k: int) -> Ranked:
    score_N = catalogue.vectors_ND @ vector_D
    best = np.argsort(-score_N, kind="stable")[:k]
    return [(catalogue.items[i].item_id, float(score_N[i])) for i in best]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rooms", type=int, default=ROOMS)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--save", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args()
    home = Home.open()
    catalogue = Catalogue.live(home, "local")
    encoder = load_encoder(home.path("bundles", catalogue.space))
    seeds = range(given.first_seed, given.first_seed + given.rooms)
    ours = recall(catalogue, by_windows(catalogue, encoder), seeds)
    whole = recall(catalogue, by_whole(catalogue, encoder), seeds)
    names = (f"pieces of a room found, of {PIECES}", "pieces of a room found by kind and colour")
    about = f"{catalogue.dataset.name}, {len(catalogue.items)} items"
    rows = [
        row(
            f"{about}: {name} r@{K}",
            value,
            baseline=base,
            goal=None,
            unit="fraction",
            seeds=given.rooms,
            command=COMMAND,
        )
        for name, value, base in zip(names, ours, whole, strict=True)
    ]
    for line in rows:
        print(line["metric"], line["value"], "whole photo:", line["baseline"])
    if given.save:
        save("shop_room", rows)


if __name__ == "__main__":
    main()
