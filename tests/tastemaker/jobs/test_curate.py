import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from tastemaker.core.config import load_preset
from tastemaker.core.errors import DataError
from tastemaker.core.home import Home
from tastemaker.data.curation import CurateConfig
from tastemaker.data.dataset import load_dataset
from tastemaker.jobs import curate

TINY = load_preset(CurateConfig, "curate", "tiny")


def shop(folder: Path, title: str = "Lamp", num_items: int = 12) -> str:
    folder.mkdir()
    with (folder / "items.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "image", "title", "split"])
        for n in range(num_items):
            image = Image.effect_noise((40, 40), 60 + 10 * n)
            image.save(folder / f"{n}.png")
            rows.writerow([f"i{n}", f"{n}.png", f"{title} {n}", "train"])
    return f"folder:{folder}"


def test_the_tiny_demo_runs_to_the_same_version_twice(tmp_path: Path) -> None:
    first = curate.run(Home(tmp_path / "one"), "demo", TINY)
    second = curate.run(Home(tmp_path / "two"), "demo", TINY)
    assert first == second
    reports = [tmp_path / name / "datasets" / f"{first}.html" for name in ("one", "two")]
    assert reports[0].read_bytes() == reports[1].read_bytes()


def test_the_version_lies_beside_its_report_and_quarantine(tmp_path: Path) -> None:
    home = Home(tmp_path)
    digest = curate.run(home, "demo", TINY)
    dataset = load_dataset(home, digest)
    assert set(dataset.tables) == {"items", "boards"}
    lines = home.path("datasets", f"{digest}.quarantine.jsonl").read_text().splitlines()
    assert len(lines) + dataset.tables["items"].rows == dataset.notes["source_items"]
    assert {json.loads(line)["reason"] for line in lines} >= {"no title", "unreadable image"}


def test_titles_are_escaped_in_the_report(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    digest = curate.run(home, shop(tmp_path / "shop", title="<script>$x_1$"), TINY)
    page = home.path("datasets", f"{digest}.html").read_text()
    assert "&lt;script&gt;" in page
    assert "<script>" not in page


def test_a_folder_of_corrupt_images_writes_nothing(tmp_path: Path) -> None:
    catalog = shop(tmp_path / "shop")
    for path in (tmp_path / "shop").glob("*.png"):
        path.write_bytes(b"not a picture")
    home = Home(tmp_path / "home")
    with pytest.raises(
        DataError, match=r"no usable item \(12 unreadable image; the first, .+: .+\)"
    ):
        curate.run(home, catalog, TINY)
    assert not list(home.path("datasets", "x").parent.iterdir())
