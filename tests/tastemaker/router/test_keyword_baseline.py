import pytest

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
        ("surprise me", ("recommend", {})),
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
        ("in blue please", "search_items", {"query": "blue sofa", "category": "sofa"}),
    ],
)
def test_follow_ups(text: str, name: str, arguments: dict[str, object]) -> None:
    assert RULES.call([*SHOWN, Turn("user", text)]) == (name, arguments)


def test_a_result_is_shown_or_followed_up() -> None:
    assert RULES.call(SHOWN[:3])[1] == {"text": "Here is what I found.", "items": "@1"}
    asked = Turn("user", "a red sofa and then more like the second")
    assert RULES.call([asked, *SHOWN[1:3]]) == ("similar_items", {"item": "@1#2"})
