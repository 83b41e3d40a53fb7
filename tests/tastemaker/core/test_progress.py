"""The time left is judged by what this run did."""

import re
from types import SimpleNamespace

import pytest

from tastemaker.core import progress
from tastemaker.core.progress import Progress


@pytest.mark.parametrize(
    ("before", "done", "left_s"),
    [
        (0, 500, 10),  # in blocks: half of it took ten seconds
        (400, 500, 50),  # gone on with: a hundred of them took ten seconds
        (500, 500, 5000),  # nothing yet: as if one was done
    ],
)
def test_the_time_left(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    before: int,
    done: int,
    left_s: int,
) -> None:
    now = iter((100.0, 110.0))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(now)))
    Progress("fill", 1000, done=before).update(done)
    (found,) = re.findall(r"500/1000 .* 10s, (\d+)s left", capsys.readouterr().err)
    assert int(found) == left_s
