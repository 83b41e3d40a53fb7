"""Model files: what is live, written beside what people wrote."""

from pathlib import Path

import pytest

from tastemaker.core.errors import ConfigError, NotFound
from tastemaker.core.home import Home
from tastemaker.promotion.environment import Live, file_name, get_live, set_live, switch

ONE = Live("1" * 16, "d" * 16, "5" * 16)
TWO = Live("2" * 16, "d" * 16, "5" * 16)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("TASTEMAKER_MANIFESTS", raising=False)
    return Home.open(str(tmp_path / "home"))


def test_what_is_written_is_read(home: Home) -> None:
    set_live(home, "local", "router", ONE)
    assert get_live(home, "local", "router") == ONE
    set_live(home, "local", "router", TWO)
    assert get_live(home, "local", "router") == TWO
    with pytest.raises(NotFound, match="no router is live in environment 'staging'"):
        get_live(home, "staging", "router")


def test_digests_are_quoted_for_yaml_reads_some_as_numbers(home: Home) -> None:
    numbers = Live("1234567890123456", "12345678901234e5", "0" * 16)
    set_live(home, "local", "router", numbers)
    assert get_live(home, "local", "router") == numbers
    text = home.root.joinpath("manifests/models/local/router.yaml").read_text()
    assert 'dataset: "12345678901234e5"' in text


def test_other_keys_and_comments_stay(home: Home) -> None:
    path = home.path("manifests", "models", "local", "router.yaml")
    path.write_text(
        '# ours\nbundle: "1111111111111111"  # of May\nreplicas: { min: 2, max: 2 }\n'
        "dataset: '0000000000000000'\nenv:\n  A: b"
    )
    set_live(home, "local", "router", TWO)
    assert path.read_text() == (
        '# ours\nbundle: "2222222222222222"  # of May\nreplicas: { min: 2, max: 2 }\n'
        'dataset: "dddddddddddddddd"\nenv:\n  A: b\nspace: "5555555555555555"\n'
    )


@pytest.mark.parametrize(
    "canary", ["canary: { bundle: x, weight: 10 }\n", "canary:\n  bundle: x\n\n  weight: 10\n"]
)
def test_a_canary_ends_with_the_bundle_that_it_was_compared_with(home: Home, canary: str) -> None:
    path = home.path("manifests", "models", "local", "router.yaml")
    path.write_text(f'bundle: "{ONE.bundle}"\n{canary}replicas: {{ min: 2 }}\n')
    set_live(home, "local", "router", ONE)
    assert canary in path.read_text()
    set_live(home, "local", "router", TWO)
    assert "canary" not in path.read_text()
    assert "replicas: { min: 2 }" in path.read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bundle: [", "not valid YAML"),
        ("- a\n", "must hold one mapping"),
        ("bundle: 1\ndataset: '2'\n", "bundle: must be a digest in quotes, got 1"),
        ("bundle: '1'\n", "dataset: must be a digest in quotes, got ''"),
    ],
)
def test_a_broken_file_is_named(home: Home, text: str, message: str) -> None:
    path = home.path("manifests", "models", "local", "router.yaml")
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        get_live(home, "local", "router")
    assert str(path) in str(caught.value)


def test_another_folder_of_manifests(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASTEMAKER_MANIFESTS", str(tmp_path / "checkout"))
    switch(home, "staging", {"router": ONE})
    assert (tmp_path / "checkout/models/staging/router.yaml").is_file()
    assert file_name(home, "staging", "router") == f"{tmp_path}/checkout/models/staging/router.yaml"
    assert get_live(home, "staging", "router") == ONE
    assert not (home.root / "manifests").exists()


def test_a_switch_that_fails_restores_every_file_to_the_letter(home: Home) -> None:
    encoder = home.path("manifests", "models", "local", "encoder.yaml")
    text = f"# ours\nbundle: '{ONE.bundle}'\ncanary: {{ weight: 1 }}\n"
    encoder.write_text(text)
    home.path("manifests", "models", "local", "router.yaml").mkdir()  # cannot be written
    with pytest.raises(OSError):
        switch(home, "local", {"encoder": TWO, "retrieval": TWO, "router": TWO})
    assert encoder.read_text() == text
    assert not encoder.with_name("retrieval.yaml").exists()
