"""Environments are read from the checkout of the repository, or from a named folder."""

from pathlib import Path

import pytest

from tastemaker.core.errors import ConfigError, NotFound
from tastemaker.core.home import Home
from tastemaker.promotion.environment import file_name, get_live, get_pins, read_file
from tastemaker.promotion.model_file import Canary, Live
from tests.tastemaker.promotion.shop import write_file, write_live

ONE = Live("1" * 16, "d" * 16, "5" * 16)
TWO = Live("2" * 16, "d" * 16, "5" * 16)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("TASTEMAKER_MANIFESTS", raising=False)
    return Home.open(str(tmp_path / "home"))


def test_what_is_written_is_read(home: Home) -> None:
    write_live(home, "local", "router", ONE)
    assert get_live(home, "local", "router") == ONE
    write_live(home, "local", "router", TWO)
    assert get_live(home, "local", "router") == TWO
    with pytest.raises(NotFound, match="no router is live in environment 'staging'"):
        get_live(home, "staging", "router")


def test_reading_makes_no_repository(home: Home) -> None:
    assert read_file(home, "local", "router") is None
    assert not (home.root / "git").exists()


def test_a_broken_file_is_named(home: Home) -> None:
    write_file(home, "local", "router", "bundle: [")
    with pytest.raises(ConfigError, match="not valid YAML") as caught:
        get_live(home, "local", "router")
    assert file_name(home, "local", "router") in str(caught.value)


def test_a_canary_is_read_too(home: Home) -> None:
    text = f'bundle: "{ONE.bundle}"\ndataset: "{ONE.dataset}"\nspace: "{ONE.space}"\n'
    canary = f'canary: {{ bundle: "{TWO.bundle}", space: "{TWO.space}", weight: 5 }}\n'
    write_file(home, "local", "router", text + canary)
    pins = get_pins(home, "local", "router")
    assert (pins.live, pins.canary) == (ONE, Canary(TWO.bundle, TWO.space, 5))
    assert [one.bundle for one in pins.served] == [ONE.bundle, TWO.bundle]


def test_another_folder_of_manifests(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASTEMAKER_MANIFESTS", str(tmp_path / "checkout"))
    write_live(home, "staging", "router", ONE)
    assert file_name(home, "staging", "router") == f"{tmp_path}/checkout/models/staging/router.yaml"
    assert get_live(home, "staging", "router") == ONE
    assert not (home.root / "git").exists()
