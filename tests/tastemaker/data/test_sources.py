import os
from pathlib import Path

import pytest

from tastemaker.core.errors import ConfigError, DataError, TastemakerError
from tastemaker.data.curation import CurateConfig
from tastemaker.data.demo_catalogue import DemoConfig
from tastemaker.data.sources import open_source, source_digest

CONFIG = CurateConfig()


@pytest.mark.parametrize("look", [open_source, source_digest])
@pytest.mark.parametrize(
    ("catalog", "data", "error", "message"),
    [
        ("ikea", None, ConfigError, "unknown catalogue 'ikea'; it is demo, fashion, ikea-home or"),
        ("", None, ConfigError, "unknown catalogue ''"),
        ("fashion", None, ConfigError, "needs TASTEMAKER_DATA, .* it is not set"),
        ("ikea-home", "/nowhere", DataError, "'/nowhere' holds no folder ikea-home/"),
        ("folder:/nowhere/shop", None, DataError, "/nowhere/shop is not a folder"),
    ],
)
def test_what_cannot_be_read_is_refused(
    look: object,
    catalog: str,
    data: str | None,
    error: type[TastemakerError],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TASTEMAKER_DATA", raising=False)
    if data:
        monkeypatch.setenv("TASTEMAKER_DATA", data)
    assert callable(look)
    with pytest.raises(error, match=message):
        look(catalog, CONFIG)


@pytest.mark.parametrize("catalog", ["fashion", "ikea-home"])
def test_a_set_without_its_files_names_the_missing_one(
    catalog: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / catalog).mkdir()
    monkeypatch.setenv("TASTEMAKER_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"\.gz is missing"):
        open_source(catalog, CONFIG)


def test_the_demo_digest_follows_its_settings_alone() -> None:
    other = CurateConfig(demo=DemoConfig(seed=8))
    looser = CurateConfig(near_duplicate_bits=9)
    assert source_digest("demo", CONFIG) != source_digest("demo", other)
    assert source_digest("demo", CONFIG) == source_digest("demo", looser)


def test_the_digest_of_a_folder_follows_its_files(tmp_path: Path) -> None:
    catalog = f"folder:{tmp_path}"
    (tmp_path / "items.csv").write_text("id,image,title\n1,a.png,lamp\n")
    first = source_digest(catalog, CONFIG)
    assert source_digest(catalog, CONFIG) == first
    os.utime(tmp_path / "items.csv", (1, 1))
    touched = source_digest(catalog, CONFIG)
    assert touched != first
    (tmp_path / "a.png").write_bytes(b"x")
    assert source_digest(catalog, CONFIG) != touched


def test_a_folder_that_is_no_catalogue_is_refused_before_a_digest_is_taken(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no table here")
    with pytest.raises(DataError, match=r"must hold one of items\.csv"):
        source_digest(f"folder:{tmp_path}", CONFIG)
    (tmp_path / "items.csv").write_text("id,title\n1,lamp\n")
    with pytest.raises(DataError, match="image"):
        source_digest(f"folder:{tmp_path}", CONFIG)
