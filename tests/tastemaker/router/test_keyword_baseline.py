import pytest

from tastemaker.router import sentences
from tastemaker.router.dialogue_files import Turn
from tastemaker.router.keyword_baseline import KeywordRouter

RULES = KeywordRouter({"sofa": "sofa", "sofas": "sofa", "lamp": "lamp"}, ("red", "blue"))
SHOWN = (
    Turn("user", "a red sofa"),
    Turn("assistant", name="search_items", arguments={"query": "red sofa", "category": "sofa"}),
    Turn("tool", lists=((1, (4, 5, 6)),)),
    Turn("assistant", name="answer", arguments={"text": "Here is what I found.", "items": "@1"}),
)


@pytest.mark.parametrize(
    ("text", "call"),
    [
        (
            "can you show me a red sofa under 300 please",
            ("search_items", {"query": "red sofa", "category": "sofa", "max_price": 300}),
        ),
        ("thanks !", ("answer", {"text": "You are welcome."})),
        ("what suits me", ("recommend", {})),
        ("surprise me", ("recommend", {"diversity": "high"})),
        ("what would i buy", ("recommend", {"outcome": "click"})),
        ("which red sofa would i save ?", ("recommend", {"query": "red sofa", "outcome": "save"})),
        ("open my tiny garden board", ("board_get", {"title": "tiny garden"})),
        ("save these as garden", ("answer", {"text": sentences.NO_LIST})),
        ("shop this room", ("answer", {"text": sentences.NO_LIST})),
    ],
)
def test_first_requests(text: str, call: tuple[str, dict[str, object]]) -> None:
    assert RULES.call([Turn("user", text)]) == call


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("more like the second one", "similar_items", {"item": "@1#2"}),
        ("like #3 but in blue", "similar_items", {"item": "@1#3", "query": "in blue"}),
        ("i like the last one", "similar_items", {"item": "@1#3"}),
        ("more like the oak one", "similar_items", {"item": {"list": "@1", "ref": "oak"}}),
        (
            "cheaper ones",
            "search_items",
            {"query": "red sofa", "category": "sofa", "cheaper_than": "@1"},
        ),
        ("what goes with them", "complete_board", {"items": "@1"}),
        ("a lamp to go with these", "complete_board", {"items": "@1", "query": "lamp"}),
        (
            "put them on my 'tiny garden' board",
            "board_save",
            {"title": "tiny garden", "items": "@1"},
        ),
        ("in blue please", "search_items", {"query": "blue sofa", "category": "sofa"}),
    ],
)
def test_follow_ups(text: str, name: str, arguments: dict[str, object]) -> None:
    assert RULES.call([*SHOWN, Turn("user", text)]) == (name, arguments)


@pytest.mark.parametrize(
    ("text", "rows", "name", "arguments"),
    [
        ("what is missing here", (1, 2, 3), "complete_board", {"items": "@1"}),
        ("here is my board , find a lamp that fits", (1, 2), "complete_board",
         {"items": "@1", "query": "lamp"}),
        ("shop this room", (1,), "shop_room", {"item": "@1#1"}),
        ("find the red lamp in this photo", (1,), "shop_room",
         {"item": "@1#1", "query": "red lamp"}),
        ("shop the second picture", (1, 2), "shop_room", {"item": "@1#2"}),
        ("like this but in blue", (1,), "similar_items", {"item": "@1#1", "query": "in blue"}),
    ],
)  # fmt: skip
def test_what_is_brought(
    text: str, rows: tuple[int, ...], name: str, arguments: dict[str, object]
) -> None:
    assert RULES.call([Turn("user", text, lists=((1, rows),))]) == (name, arguments)


def test_an_opened_board_is_completed_when_asked() -> None:
    asked = Turn("user", "find a lamp for my garden board")
    opened = Turn("assistant", name="board_get", arguments={"title": "garden"})
    assert RULES.call([asked]) == ("board_get", {"title": "garden"})
    found = Turn("tool", lists=((1, (1, 2)),))
    wanted = ("complete_board", {"items": "@1", "query": "lamp"})
    assert RULES.call([asked, opened, found]) == wanted
    assert RULES.call([asked, opened, Turn("tool")])[1] == {"text": sentences.EMPTY_BOARD}
    error = Turn("tool", text="error: no such board")
    assert RULES.call([asked, opened, error])[1] == {"text": sentences.NO_BOARD}


def test_a_result_is_shown_or_followed_up() -> None:
    assert RULES.call(SHOWN[:3])[1] == {"text": "Here is what I found.", "items": "@1"}
    asked = Turn("user", "a red sofa and then more like the second")
    assert RULES.call([asked, *SHOWN[1:3]]) == ("similar_items", {"item": "@1#2"})
