from pathlib import Path

import httpx
import pytest

from tastemaker.assistant.ask import ask, first_suggestion
from tastemaker.core.errors import ServiceError
from tests.tastemaker.assistant.conftest import Gateway, Servers, serving


def test_the_answer_and_a_table_are_printed(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(gateway.app) as url:
        ask(first_suggestion(url), user="nobody", url=url)
        printed = capsys.readouterr().out
        picture = next(line for line in printed.splitlines() if "/items/" in line).split()[-1]
        assert httpx.get(picture).content.startswith(b"\xff\xd8")
    assert "Here is what I found." in printed
    assert "note: Unknown user 'nobody'" in printed
    assert "20+6 tokens" in printed


def test_item_text_cannot_style_the_terminal(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    first = gateway.http.get("/items/demo-00000").json()
    with serving(gateway.app) as url:
        ask(f"{first['attributes']['color']} {first['category']}", url=url)
    assert 'onerror="alert(1)"' in capsys.readouterr().out.replace("\n", "")


def test_a_missing_assistant_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="tastemaker up"):
        ask("pink vase", url="http://127.0.0.1:9")


def test_a_failing_server_is_named(gateway: Gateway, servers: Servers) -> None:
    servers.down = {"retrieval"}
    with serving(gateway.app) as url, pytest.raises(ServiceError, match="retrieval"):
        ask("pink vase", url=url)
