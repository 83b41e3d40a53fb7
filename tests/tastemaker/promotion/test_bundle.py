from pathlib import Path

import pytest

from tastemaker.core.errors import NotFound, SpaceMismatch
from tastemaker.core.home import Home
from tastemaker.promotion.bundle import Card, load_bundle, write_bundle


def card(**changes: object) -> Card:
    values: dict = {"family": "sequence", "config": {"width": 3}, "parents": {}, "reads": ("aa",)}
    return Card(**{**values, **changes})


def weights(text: str):
    return lambda folder: (folder / "weights").write_text(text)


def test_the_same_content_is_the_same_bundle(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    one = write_bundle(home, card(), weights("w"))
    two = write_bundle(home, card(), weights("w"))
    other = write_bundle(home, card(config={"width": 4}), weights("w"))
    assert one.digest == two.digest != other.digest
    assert load_bundle(home, one.digest).card == card(metrics={})


def test_a_failed_write_leaves_no_bundle(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))

    def fail(folder: Path) -> None:
        (folder / "weights").write_text("half")
        raise OSError("no disk space")

    with pytest.raises(OSError, match="no disk space"):
        write_bundle(home, card(), fail)
    assert not list((tmp_path / "bundles").glob("*")) if (tmp_path / "bundles").exists() else True


def test_another_space_is_refused_with_both_digests(tmp_path: Path) -> None:
    bundle = write_bundle(Home.open(str(tmp_path)), card(), weights("w"))
    bundle.check_space("aa")
    with pytest.raises(SpaceMismatch, match=r"space aa.*space bb"):
        bundle.check_space("bb")


def test_unknown_bundle_and_wrong_family(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    bundle = write_bundle(home, card(), weights("w"))
    with pytest.raises(NotFound, match="no bundle 'ffff'"):
        load_bundle(home, "ffff")
    with pytest.raises(NotFound, match="family 'sequence', not 'encoder'"):
        load_bundle(home, bundle.digest, family="encoder")


def test_whoever_may_list_a_bundle_may_read_its_files(tmp_path: Path) -> None:
    def private(folder: Path) -> None:
        (folder / "model").mkdir()
        (folder / "model" / "weights").write_text("w")
        (folder / "model" / "weights").chmod(0o600)

    bundle = write_bundle(Home.open(str(tmp_path)), card(), private)
    readable = bundle.path.stat().st_mode & 0o444
    assert (bundle.path / "model" / "weights").stat().st_mode & 0o777 == 0o600 | readable
