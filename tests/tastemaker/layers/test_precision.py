"""What is multiplied in bfloat16."""

import pytest
import torch

from tastemaker.layers.muon import orthogonal
from tastemaker.layers.precision import Precision, is_reduced, reduced

_CPU = torch.device("cpu")


@pytest.mark.parametrize("native", [False, True])
def test_bfloat16_is_taken_where_it_is_native_or_asked_for(
    native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    wanted: dict[Precision, bool] = {"auto": native, "float32": False, "bfloat16": True}
    for precision, expected in wanted.items():
        assert is_reduced(_CPU, precision) is expected
        with reduced(_CPU, precision):
            product = torch.ones(2, 2) @ torch.ones(2, 2)
        assert product.dtype == (torch.bfloat16 if expected else torch.float32)


def test_the_optimizer_rounds_only_where_it_may() -> None:
    torch.manual_seed(0)
    matrices = torch.randn(1, 16, 40)
    exact, rounded = orthogonal(matrices, "float32"), orthogonal(matrices, "bfloat16")
    assert exact.dtype == rounded.dtype == torch.float32
    assert torch.equal(rounded, rounded.bfloat16().float())
    assert not torch.equal(exact, exact.bfloat16().float())
    assert (exact - rounded).norm() < 0.05 * exact.norm()
