import gzip
import json
import zipfile
from pathlib import Path

from tastemaker.data.fashion import open_fashion
from tastemaker.data.ikea_home import open_ikea_home


def archive(path: Path, names: list[str]) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, name)


def test_fashion_keeps_its_splits_and_quotes(tmp_path: Path) -> None:
    head = "id split gender master_category sub_category article_type base_colour season year usage"
    rows = [
        "\t".join([*head.split(), "title"]),
        "\t".join(["7", "val", "Men", "Apparel", "Topwear", "Tshirts", "Blue", "Summer", "2011"])
        + '\tCasual\tLee 32" tee',
        "\t".join(["8", "test", "Women", "Apparel", "Topwear", "Tops", "Red", "Fall", "2011"])
        + "\tCasual\tTop",
    ]
    (tmp_path / "items.tsv.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
    archive(tmp_path / "images.zip", ["7.jpg"])
    raw = open_fashion(tmp_path)
    tee, top = list(raw.items)
    assert (raw.num_items, raw.keep_duplicates) == (2, True)
    assert (tee.item_id, tee.title, tee.category, tee.split) == (
        "7",
        'Lee 32" tee',
        "Tshirts",
        "val",
    )
    assert tee.attributes["color"] == "Blue"
    assert (tee.image, top.image) == (b"7.jpg", None)


def test_ikea_home_holds_out_ids_divisible_by_5_and_keeps_rooms(tmp_path: Path) -> None:
    def lines(name: str, rows: list[dict[str, object]]) -> None:
        text = "\n".join(json.dumps(row) for row in rows)
        (tmp_path / name).write_bytes(gzip.compress(text.encode()))

    ids = ["000.114.25", "000.114.22", "000.114.21"]
    rest = {"name": "VASEN", "type": "Vase", "color": "Clear glass", "size": "20 cm", "desc": "x"}
    lines("products.jsonl.gz", [{"id": i, **rest, "boards": [0]} for i in ids])
    room = {"title": "a bed", "room_category": "Bedroom", "has_room_image": True, "split": "test"}
    lines("boards.jsonl.gz", [{"board": 0, **room, "products": ids}])
    archive(tmp_path / "product_images.zip", [f"{i}.jpg" for i in ids])
    raw = open_ikea_home(tmp_path)
    items = list(raw.items)
    assert [item.split for item in items] == ["test", "train", "val"]
    assert items[0].title == "VASEN Vase"
    assert items[0].price is None
    assert (raw.boards[0].split, raw.boards[0].items) == ("test", tuple(ids))
