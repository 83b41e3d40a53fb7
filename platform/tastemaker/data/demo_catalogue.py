"""The demo catalogue: a seeded home-decor shop, with the faults that real catalogues have.

Some attributes show in the image alone, some stand in the text alone, so that an encoder needs
both towers. Compositions (colour x category, material x category) are held out for the test split.
"""

import io
import random
from collections.abc import Iterator
from dataclasses import replace

from PIL import Image
from pydantic import Field

from tastemaker.core.config import Config
from tastemaker.data.demo_render import BACKGROUNDS, COLORS, PATTERNS, render
from tastemaker.data.demo_shapes import SHAPES
from tastemaker.data.records import RawBoard, RawCatalogue, RawItem, Split

VERSION = 1  # of the generator: part of the source's digest

# category: (materials, lowest price, highest price, words that also name it)
CATEGORIES: dict[str, tuple[tuple[str, ...], int, int, tuple[str, ...]]] = {
    "sofa": (("leather", "velvet", "linen"), 300, 1900, ("couch", "settee")),
    "armchair": (("leather", "velvet", "rattan"), 120, 800, ("easy chair", "lounge chair")),
    "table": (("oak", "walnut", "marble", "metal"), 80, 1200, ("dining table",)),
    "stool": (("oak", "metal", "rattan"), 25, 180, ("bar stool",)),
    "lamp": (("metal", "glass", "ceramic"), 20, 350, ("light", "luminaire")),
    "rug": (("wool", "jute", "cotton"), 40, 900, ("carpet",)),
    "vase": (("ceramic", "glass", "metal"), 10, 160, ("flower vase",)),
    "mirror": (("oak", "metal", "rattan"), 30, 420, ("wall mirror",)),
    "shelf": (("oak", "walnut", "metal"), 35, 500, ("bookcase", "shelving unit")),
    "cushion": (("velvet", "linen", "cotton"), 8, 75, ("throw pillow",)),
    "planter": (("ceramic", "concrete", "rattan"), 10, 140, ("plant pot",)),
    "clock": (("oak", "metal", "glass"), 15, 220, ("wall clock",)),
    "curtain": (("linen", "velvet", "cotton"), 25, 260, ("drapes",)),
    "bed": (("oak", "walnut", "linen"), 250, 1800, ("bed frame",)),
}
PATTERNED = frozenset({"sofa", "armchair", "rug", "cushion", "curtain", "vase", "planter", "lamp"})
ROOMS = ("living room", "bedroom", "dining room", "hallway", "home office", "reading nook")
MAKERS = ("Nordvik", "Casa Luma", "Fernhill", "Atelier Roux", "Koto", "Bramble", "Ostra", "Mirelle")
CARE = ("wipe clean", "machine washable", "dust with a dry cloth", "spot clean only")
PALETTES = {
    "coastal": ("blue", "white", "beige"),
    "autumn": ("orange", "brown", "red"),
    "forest": ("green", "brown", "beige"),
    "monochrome": ("black", "white", "grey"),
    "blush": ("pink", "white", "grey"),
    "jewel": ("purple", "green", "blue"),
    "sunny": ("yellow", "white", "orange"),
}
STYLES = tuple(BACKGROUNDS)
_OPENINGS = (
    "A {noun} for the {room}.",
    "Made by {maker} with the {room} in mind.",
    "This {noun} brings {style} calm to any {room}.",
    "{style} design, at home in the {room}.",
    "Our buyers chose this {noun} for its quiet lines.",
)
_CLOSINGS = (
    "{care}.",
    "Care: {care}.",
    "Delivered flat; {care}.",
    "Signed by {maker}; {care}.",
    "",
)


class DemoConfig(Config):
    """Size and seed of the demo catalogue."""

    items: int = Field(default=2400, ge=40)  # before duplicates and faults are added
    boards: int = Field(default=240, ge=2)
    duplicates_frac: float = Field(default=0.03, ge=0, le=0.5)  # exact and near, half each
    corrupt: int = Field(default=8, ge=0)  # files that do not decode
    untitled: int = Field(default=4, ge=0)  # rows without a title
    image_px: int = Field(default=96, ge=32, le=512)
    heldout_frac: float = Field(default=0.12, gt=0, lt=0.5)  # of compositions, test split only
    seed: int = 7


def open_demo(config: DemoConfig) -> RawCatalogue:
    """The catalogue of a seed; the same configuration gives the same bytes."""
    rng = random.Random(config.seed)
    heldout = _heldout(config, random.Random(config.seed + 1))
    rows = [_row(i, rng, heldout) for i in range(config.items)]
    copies = _copies(rows, config, random.Random(config.seed + 3))
    boards = tuple(_boards(rows, copies, config, random.Random(config.seed + 2)))
    return RawCatalogue(
        name="demo",
        items=_items(rows, copies, config),
        num_items=config.items + len(copies) + config.corrupt + config.untitled,
        boards=boards,
    )


def _heldout(config: DemoConfig, rng: random.Random) -> set[tuple[str, str]]:
    pairs = [(value, c) for c, (materials, *_) in CATEGORIES.items() for value in materials]
    pairs += [(color, category) for category in CATEGORIES for color in COLORS]
    return set(rng.sample(sorted(pairs), round(len(pairs) * config.heldout_frac)))


def _row(i: int, rng: random.Random, heldout: set[tuple[str, str]]) -> dict[str, str]:
    category = rng.choice(list(CATEGORIES))
    materials, low, high, also = CATEGORIES[category]
    plain = category not in PATTERNED or rng.random() < 0.4
    row = {
        "id": f"demo-{i:05d}",
        "category": category,
        "shape": rng.choice(list(SHAPES[category])),
        "color": rng.choice(list(COLORS)),
        "material": rng.choice(materials),
        "pattern": "plain" if plain else rng.choice(PATTERNS[1:]),
        "style": rng.choice(STYLES),
        "room": rng.choice(ROOMS),
        "maker": rng.choice(MAKERS),
        "price": str(round(low * (high / low) ** rng.random())),
        "noun": rng.choice((category, category, *also)),
        "seed": str(rng.randrange(1 << 30)),
    }
    test = bool({(row["color"], category), (row["material"], category)} & heldout)
    row["split"] = "test" if test else ("val" if rng.random() < 0.08 else "train")
    return row


def _copies(
    rows: list[dict[str, str]], config: DemoConfig, rng: random.Random
) -> dict[str, dict[str, str]]:
    """Rows that are offered twice, by the id of the second offer."""
    chosen = rng.sample(rows, round(config.items * config.duplicates_frac))
    return {f"{row['id']}-copy": row for row in chosen}


def _items(
    rows: list[dict[str, str]], copies: dict[str, dict[str, str]], config: DemoConfig
) -> Iterator[RawItem]:
    for row in rows:
        yield _item(row, config)
    for n, (copy_id, row) in enumerate(copies.items()):
        item = _item(row, config)
        assert item.image is not None
        image = item.image if n % 2 else _recoded(item.image, cropped=n % 4 == 0)
        yield replace(item, item_id=copy_id, image=image)
    for n in range(config.corrupt):
        item = _item(rows[n % len(rows)], config)
        assert item.image is not None
        broken = item.image[: len(item.image) // 3] if n % 2 else b"GIF89a not a picture"
        yield replace(item, item_id=f"demo-corrupt{n}", image=broken)
    for n in range(config.untitled):
        item = _item(rows[-1 - n % len(rows)], config)
        yield replace(item, item_id=f"demo-untitled{n}", title=" ")


def _item(row: dict[str, str], config: DemoConfig) -> RawItem:
    rng = random.Random(int(row["seed"]))
    title, text = _words(row, rng)
    image = render(row, rng, size_px=config.image_px)
    keys = ("color", "material", "pattern", "shape", "style", "room", "maker")
    return RawItem(
        item_id=row["id"],
        image=image,
        title=title,
        text=text,
        category=row["category"],
        attributes={key: row[key] for key in keys},
        price=float(row["price"]),
        split=_split(row["split"]),
    )


def _split(name: str) -> Split:
    return "test" if name == "test" else "val" if name == "val" else "train"


def _words(row: dict[str, str], rng: random.Random) -> tuple[str, str]:
    """Title and description: colour and pattern are left out of some, so the image must tell."""
    shown = [row["color"]] if rng.random() < 0.8 else []
    shown += [row["pattern"]] if row["pattern"] != "plain" and rng.random() < 0.7 else []
    shown += [row["material"]] if rng.random() < 0.85 else []
    shown += [row["shape"]] if rng.random() < 0.4 else []
    rng.shuffle(shown)
    shown = ([row["style"]] if rng.random() < 0.5 else []) + shown
    title = " ".join([*shown, row["noun"]])
    if rng.random() < 0.3:
        title = f"{row['maker']} {title}"
    filled = {**row, "care": rng.choice(CARE)}
    sentences = [rng.choice(part).format(**filled) for part in (_OPENINGS, _CLOSINGS)]
    text = " ".join(s[0].upper() + s[1:] for s in sentences if s)
    if rng.random() < 0.04:  # a typing error
        at = rng.randrange(1, max(2, len(text) - 1))
        text = text[: at - 1] + text[at:]
    return title[0].upper() + title[1:], text


def _boards(
    rows: list[dict[str, str]],
    copies: dict[str, dict[str, str]],
    config: DemoConfig,
    rng: random.Random,
) -> Iterator[RawBoard]:
    second_offer = {row["id"]: copy_id for copy_id, row in copies.items()}
    for n in range(config.boards):
        style, palette = rng.choice(STYLES), rng.choice(list(PALETTES))
        room = rng.choice(ROOMS)
        fits = [r for r in rows if r["style"] == style and r["color"] in PALETTES[palette]]
        stray = rng.sample(rows, 1)
        size = rng.randint(5, 12)
        in_room = [r for r in fits if r["room"] == room]
        fits = in_room if len(in_room) >= size else fits
        chosen = rng.sample(fits, min(size, len(fits))) + (stray if rng.random() < 0.3 else [])
        ids = dict.fromkeys(row["id"] for row in chosen)
        named = (second_offer.get(i, i) if rng.random() < 0.5 else i for i in ids)
        title = rng.choice(
            (f"{palette} {room}", f"my {style} {room}", f"{style} and {palette}", f"{room} ideas")
        )
        split: Split = "test" if n % 5 == 4 else "val" if n % 10 == 8 else "train"
        yield RawBoard(f"board-{n:04d}", title, tuple(named), f"{style} {palette}", split)


def _recoded(jpeg: bytes, *, cropped: bool) -> bytes:
    """The same picture saved again, smaller or a little cropped: a near duplicate."""
    image: Image.Image = Image.open(io.BytesIO(jpeg))
    if cropped:
        image = image.crop((1, 1, image.width - 1, image.height - 1))
    small = image.resize((image.width * 9 // 10, image.height * 9 // 10))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=70)
    return out.getvalue()
