"""Muon against torch's own, and what it is made of."""

import pytest
import torch

from tastemaker.layers.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(24, 24), (16, 40), (40, 16)])
def test_singular_values_end_near_one_and_the_vectors_stay(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrices = torch.randn(3, *shape)
    for matrix, found in zip(matrices, orthogonal(matrices), strict=True):
        left, values, right = torch.linalg.svd(matrix, full_matrices=False)
        mixed = left.T @ found @ right.T  # diagonal where the singular vectors are the same
        seen = values / values.max() > 0.1  # the smallest take more rounds
        assert (mixed.diagonal()[seen] > 0.6).all()
        assert (mixed.diagonal() < 1.3).all()
        assert (mixed - mixed.diagonal().diag()).abs().max() < 0.05


def test_updates_are_those_of_torch_up_to_its_bfloat16() -> None:
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in ((8, 20), (8, 20), (20, 8))]
    theirs = [torch.nn.Parameter(p.detach().clone()) for p in ours]
    start = [p.detach().clone() for p in ours]
    one = Muon(ours, lr=0.01)
    other = torch.optim.Muon(
        theirs, lr=0.01, weight_decay=0.0, adjust_lr_fn="match_rms_adamw", momentum=0.95
    )
    for _ in range(4):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        one.step()
        other.step()
    for p, q, begun in zip(ours, theirs, start, strict=True):
        moved, wanted = p - begun, q - begun
        assert (moved - wanted).norm() < 0.05 * wanted.norm()


def test_a_matrix_without_a_gradient_stays_and_a_vector_is_refused() -> None:
    still, moved = torch.nn.Parameter(torch.eye(3)), torch.nn.Parameter(torch.eye(3))
    moved.grad = torch.ones(3, 3)
    Muon([still, moved], lr=0.1).step()
    assert torch.equal(still, torch.eye(3))
    assert not torch.equal(moved, torch.eye(3))
    with pytest.raises(ValueError, match=r"\(4,\)"):
        Muon([torch.nn.Parameter(torch.ones(4))], lr=0.1)


def test_a_restored_state_goes_on_as_if_never_stopped() -> None:
    torch.manual_seed(0)
    gradients = [torch.randn(6, 6) for _ in range(4)]

    def walk(stop: int | None) -> torch.Tensor:
        p = torch.nn.Parameter(torch.zeros(6, 6))
        optimizer = Muon([p], lr=0.1)
        for i, gradient in enumerate(gradients):
            if i == stop:
                saved = optimizer.state_dict()
                optimizer = Muon([p], lr=0.1)
                optimizer.load_state_dict(saved)
            p.grad = gradient.clone()
            optimizer.step()
        return p.detach()

    assert torch.equal(walk(None), walk(2))
