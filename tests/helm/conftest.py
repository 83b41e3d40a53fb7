"""What tests of charts share: renders and golden files."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tastemaker.deployment import charts

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
Objects = list[dict[str, Any]]


def variants(chart: str) -> list[Path]:
    """The values files of a chart's `ci/`."""
    return sorted((ROOT / "helm" / chart / "ci").glob("*-values.yaml"))


def rendered(chart: str, files: Sequence[Path], *, name: str, namespace: str) -> Objects:
    """A chart's objects with values files, the last one winning."""
    return charts.render(
        ROOT / "helm" / chart, charts.layers(files), name=name, namespace=namespace
    )


@pytest.fixture
def matches_golden() -> Callable[[str, Objects], None]:
    """Compare a render with its file; UPDATE_GOLDEN=1 writes the file instead."""

    def compare(name: str, objects: Objects) -> None:
        path = GOLDEN / f"{name}.yaml"
        text = yaml.safe_dump_all(objects, sort_keys=False, width=1000)
        if os.environ.get("UPDATE_GOLDEN"):
            path.write_text(text)
        assert path.is_file(), f"no {path}: run with UPDATE_GOLDEN=1 and review it"
        assert text == path.read_text(), (
            f"{path} differs: run with UPDATE_GOLDEN=1, review the diff"
        )

    return compare
