"""YAML as Kubernetes reads it."""

import pytest

from tastemaker.core.errors import ConfigError
from tastemaker.deployment.yaml_files import read_documents, read_values


def test_dates_and_equals_stay_text() -> None:
    assert read_values("a: 2026-01-02\nb: =\n", where="f") == {"a": "2026-01-02", "b": "="}


def test_a_digest_that_go_reads_as_a_number_is_one_here_too() -> None:
    text = 'a: 12345678901234e5\nb: "12345678901234e5"\nc: 1234567890123456\nd: 12a4e5\n'
    values = read_values(text, where="f")
    assert [type(value) for value in values.values()] == [float, str, int, str]


def test_empty_documents_are_left_out() -> None:
    assert read_documents("---\n---\na: 1\n---\n", where="f") == [{"a": 1}]
    assert read_values("# nothing\n", where="f") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "f.yaml: .*key 'c' stands twice in the mapping at line 3"),
        ("a: [", "f.yaml: not valid YAML"),
        ("- a", "f.yaml: must hold one mapping"),
        ("a: 1\n---\nb: 1\n", "f.yaml: must hold one mapping"),
    ],
)
def test_what_is_refused_names_the_file(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_values(text, where="f.yaml")


def test_merge_keys_still_work() -> None:
    assert read_values("x: &x {a: 1}\ny: {<<: *x, b: 2}\n", where="f")["y"] == {"a": 1, "b": 2}
