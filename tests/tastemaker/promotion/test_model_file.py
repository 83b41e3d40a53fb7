"""Model files as text: promotions write their keys, and what people wrote stays."""

import pytest

from tastemaker.core.errors import ConfigError
from tastemaker.promotion.model_file import Canary, Live, Pins, parse, with_canary, with_live

ONE = Live("1" * 16, "d" * 16, "5" * 16)
TWO = Live("2" * 16, "d" * 16, "5" * 16)
TRIED = Canary("3" * 16, "5" * 16, 10)


def test_what_is_written_is_read() -> None:
    text = with_canary(with_live("", ONE), TRIED)
    assert parse(text, "file") == Pins(ONE, TRIED)
    assert parse(with_canary(text, None), "file") == Pins(ONE)


def test_digests_are_quoted_for_yaml_reads_some_as_numbers() -> None:
    numbers = Live("1234567890123456", "12345678901234e5", "0" * 16)
    text = with_live("", numbers)
    assert parse(text, "file").live == numbers
    assert 'dataset: "12345678901234e5"' in text


def test_other_keys_and_comments_stay() -> None:
    text = (
        '# ours\nbundle: "1111111111111111"  # of May\nreplicas: { min: 2, max: 2 }\n'
        "dataset: '0000000000000000'\nenv:\n  A: b"
    )
    assert with_live(text, TWO) == (
        '# ours\nbundle: "2222222222222222"  # of May\nreplicas: { min: 2, max: 2 }\n'
        'dataset: "dddddddddddddddd"\nenv:\n  A: b\nspace: "5555555555555555"\n'
    )


@pytest.mark.parametrize(
    "canary", ["canary: { bundle: x, weight: 10 }\n", "canary:\n  bundle: x\n\n  weight: 10\n"]
)
def test_a_canary_ends_with_the_bundle_that_it_was_compared_with(canary: str) -> None:
    text = f'bundle: "{ONE.bundle}"\n{canary}replicas: {{ min: 2 }}\n'
    assert canary in with_live(text, ONE)
    after = with_live(text, TWO)
    assert "canary" not in after
    assert "replicas: { min: 2 }" in after


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bundle: [", "not valid YAML"),
        ("- a\n", "must hold one mapping"),
        ("", "must hold one mapping"),
        ("bundle: 1\ndataset: '2'\n", "bundle: must be a digest in quotes, got 1"),
        ("bundle: '1'\n", "dataset: must be a digest in quotes, got ''"),
        ("bundle: '1'\nbundle: '2'\ndataset: '3'\n", "bundle: stands in it twice"),
        ("bundle: '1'\ndataset: '2'\ncanary: 3\n", "canary: must be a mapping"),
        ("bundle: '1'\ndataset: '2'\ncanary: {bundle: '3', weight: '4'}\n", "a whole weight"),
    ],
)
def test_a_broken_file_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^the file: .*{message}"):
        parse(text, "the file")


def test_an_empty_canary_is_none() -> None:
    assert parse("bundle: '1'\ndataset: '2'\ncanary: {bundle: ''}\n", "file").canary is None
