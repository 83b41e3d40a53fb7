import pytest

from tastemaker.router.written import read_call


def call(text: str) -> str:
    return f"<tool_call>\n{text}\n</tool_call>"


def test_a_call_that_follows_its_schema_is_valid() -> None:
    found = read_call(call('{"name": "search_items", "arguments": {"query": "lamp"}}'))
    assert (found.known_tool, found.fault) == (True, "")


@pytest.mark.parametrize(
    ("text", "known", "fault"),
    [
        (call('{"name": "delete_all", "arguments": {}}'), False, "unknown tool 'delete_all'"),
        (call('{"name": "search_items", "arguments": {}}'), True, "lacks 'query'"),
        (call('{"name": "recommend", "arguments": {"outcome": "buy"}}'), True, "may not be 'buy'"),
        (call('{"name": "recommend", "arguments": []}'), True, "arguments an object"),
        (call('{"name": "recommend", "arguments": {'), True, "no call"),
        (call('{"name": "recommend"}'), True, "no call"),
        ("a blue lamp", True, "no call"),
        ("", True, "no call"),
    ],
)
def test_what_is_wrong_is_named(text: str, known: bool, fault: str) -> None:
    found = read_call(text)
    assert found.known_tool is known
    assert fault in found.fault
