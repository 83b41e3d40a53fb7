from pathlib import Path

import httpx
import pytest

from tastemaker.assistant.ask import ask, first_suggestion
from tastemaker.core.errors import ServiceError
from tests.tastemaker.assistant.conftest import Servers


def test_the_answer_and_a_table_are_printed(
    served: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(first_suggestion(served), user="nobody", url=served)
    printed = capsys.readouterr().out
    picture = next(line for line in printed.splitlines() if "/items/" in line).split()[-1]
    assert httpx.get(picture).content.startswith(b"\xff\xd8")
    assert "Here is what I found." in printed
    assert "note: Nothing is known of you yet" in printed
    assert "20+6 tokens" in printed
    assert " cents)" in printed


def test_item_text_cannot_style_the_terminal(
    served: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = httpx.get(f"{served}/items/demo-00000").json()
    ask(f"{first['attributes']['color']} {first['category']}", url=served)
    assert 'onerror="alert(1)"' in capsys.readouterr().out.replace("\n", "")


def test_a_missing_assistant_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="tastemaker up"):
        ask("pink vase", url="http://127.0.0.1:9")


def test_a_part_that_is_down_is_a_note(
    served: str, servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    servers.down = {"retrieval"}
    ask("pink vase", url=served)
    assert "note: search_items is not available right now." in capsys.readouterr().out
