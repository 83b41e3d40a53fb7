from pathlib import Path

import pytest
from sqlalchemy import Engine

from tastemaker.assistant.boards import MAX_ITEMS, BoardStore, folded
from tastemaker.core.database import open_database
from tastemaker.core.errors import DataError, NotFound


@pytest.fixture
def store(each_database: Engine) -> BoardStore:
    ticks = iter(range(1, 1000))
    return BoardStore(each_database, lambda: float(next(ticks)))


def test_a_board_lives_from_creation_to_deletion(store: BoardStore) -> None:
    board = store.create("ada", "  Blue \n summer ", ["a", "b", "a"])
    assert (board.title, board.items, board.updated_ms) == ("Blue summer", ("a", "b"), 1000)
    assert store.get(board.board_id, "ada") == board
    moved = store.update(board.board_id, "ada", items=["b", "a", "c"])
    assert (moved.title, moved.items) == ("Blue summer", ("b", "a", "c"))
    named = store.update(board.board_id, "ada", title="Autumn")
    assert (named.title, named.items) == ("Autumn", ("b", "a", "c"))
    store.delete(board.board_id, "ada")
    assert store.list("ada") == []


def test_boards_outlive_the_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    made = BoardStore(open_database(url)).create("ada", "x", ["a"])
    assert BoardStore(open_database(url)).get(made.board_id, "ada") == made


def test_the_latest_changed_board_comes_first(store: BoardStore) -> None:
    first, second = store.create("ada", "one", []), store.create("ada", "two", [])
    assert [board.title for board in store.list("ada")] == ["two", "one"]
    store.update(first.board_id, "ada", items=["a"])
    assert [board.title for board in store.list("ada")] == ["one", "two"]
    assert second in store.list("ada")


def test_a_board_of_another_user_is_not_there(store: BoardStore) -> None:
    board = store.create("ada", "secret", ["a"])
    for act in (store.get, store.update, store.delete):
        with pytest.raises(NotFound, match="no board"):
            act(board.board_id, "eve")
    assert store.list("eve") == []
    assert store.like_title("eve", "secret") is None
    assert store.get(board.board_id, "ada") == board


def test_forgetting_a_user_deletes_theirs_alone(store: BoardStore) -> None:
    for user, title in (("ada", "one"), ("ada", "two"), ("eve", "three")):
        store.create(user, title, [])
    assert store.forget("ada") == 2
    assert store.forget("ada") == 0
    assert (store.count("ada"), store.count("eve")) == (0, 1)


@pytest.mark.parametrize("title", ["", " \n ", "x" * 121])
def test_a_title_out_of_range_is_refused(store: BoardStore, title: str) -> None:
    with pytest.raises(DataError, match="1 to 120"):
        store.create("ada", title, [])


def test_a_board_has_a_most(store: BoardStore) -> None:
    with pytest.raises(DataError, match="at most 200"):
        store.create("ada", "x", [str(n) for n in range(MAX_ITEMS + 1)])


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("Blue summer", "Blue summer"),
        ("my blue summer board", "Blue summer"),
        ("summer", "Blue summer"),
        ("blu sumer", "Blue summer"),
        ("kitchen", "Kitchen ideas"),
        ("bathroom", None),
        ("", None),
    ],
)
def test_a_title_is_found_by_words_like_it(
    store: BoardStore, asked: str, found: str | None
) -> None:
    store.create("ada", "Blue summer", [])
    store.create("ada", "Kitchen ideas", [])
    board = store.like_title("ada", asked)
    assert (board and board.title) == found


def test_titles_that_differ_in_case_and_marks_are_one() -> None:
    assert folded("My Blue-Summer board!") == folded("blue summer") == "blue summer"
    assert folded("The Board") == "the board"
