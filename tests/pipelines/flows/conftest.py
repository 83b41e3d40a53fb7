from pathlib import Path

import pytest

from tastemaker.core.home import Home
from tests.pipelines.flows.small_loop import compile_cheap, make_home, variables


@pytest.fixture(scope="session")
def cheap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_cheap(tmp_path_factory.mktemp("pipelines"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home")


@pytest.fixture
def environment(home: Home, cheap: Path) -> dict[str, str]:
    return variables(home, cheap)
