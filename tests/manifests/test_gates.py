"""The thresholds that our environments take are there, and are not those of the tests."""

from tastemaker.core.config import presets
from tastemaker.evaluation.gate_config import MODEL_OF, preset_family
from tastemaker.promotion.repository import GATES_FILE
from tastemaker.promotion.verification import parse_gates
from tests.manifests.builds import ROOT


def test_every_named_environment_and_preset_is_there() -> None:
    found = parse_gates((ROOT / GATES_FILE).read_text())
    assert {"staging", "production"} <= set(found)
    for environment, names in found.items():
        assert (ROOT / "manifests" / "models" / environment).is_dir(), environment
        for family in MODEL_OF:
            assert set(names) <= set(presets(preset_family(family))), (environment, family)
        assert "tiny" not in names
