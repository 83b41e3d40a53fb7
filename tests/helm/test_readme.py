"""The values tables of the charts' READMEs."""

import pytest

from helm import readme

VALUES = """
name: x  # -- What it is called.
# -- How much of it there is;
# more than none.
size: 3
probe:  # -- When it is asked.
  every: 5
  after: 1
flow: {a: 1, b: 2}  # -- All at once.
deep:
  list: [a, b]  # -- One or the other: a|b.
  none: {}  # -- Nothing.
"""


def test_comments_behind_above_and_of_a_whole_mapping() -> None:
    found = readme.rows(VALUES)
    assert [(row.key, row.default, row.text) for row in found] == [
        ("name", "x", "What it is called."),
        ("size", 3, "How much of it there is; more than none."),
        ("probe", {"every": 5, "after": 1}, "When it is asked."),
        ("flow", {"a": 1, "b": 2}, "All at once."),
        ("deep.list", ["a", "b"], "One or the other: a|b."),
        ("deep.none", {}, "Nothing."),
    ]
    assert '| `deep.list` | `["a", "b"]` | One or the other: a\\|b. |' in readme.table(found)


def test_a_key_without_a_comment_is_named() -> None:
    with pytest.raises(readme.Undocumented, match=r"deep\.b: no comment"):
        readme.rows("deep:\n  a: 1  # -- First.\n  b: 2\n")


def test_only_the_place_between_the_lines_changes() -> None:
    page = f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n"
    made = readme.filled(page, "a: 1  # -- First.\n")
    assert made.startswith("before\n")
    assert made.endswith("after\n")
    assert "old" not in made
    assert readme.filled(made, "a: 1  # -- First.\n") == made
    with pytest.raises(readme.Undocumented):
        readme.filled("no place", "a: 1  # -- First.\n")


def test_the_charts_readmes_are_current() -> None:
    assert readme.main(["--check"]) == 0, "run `python helm/readme.py`"
