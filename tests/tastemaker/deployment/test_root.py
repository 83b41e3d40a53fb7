"""Finding the files that are not part of the package."""

from pathlib import Path

import pytest

from tastemaker.core.errors import ConfigError
from tastemaker.deployment.root import find

CHECKOUT = Path(__file__).parents[3]


def test_the_checkout_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TASTEMAKER_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    assert find("helm/model") == CHECKOUT / "helm" / "model"


def test_the_working_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TASTEMAKER_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "helm" / "model").mkdir(parents=True)
    assert find("helm/model") == tmp_path / "helm" / "model"


def test_a_named_root_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASTEMAKER_ROOT", str(tmp_path))
    with pytest.raises(ConfigError, match=rf"helm/model not found \(tried {tmp_path}/helm/model\)"):
        find("helm/model")
