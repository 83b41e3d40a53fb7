"""Processes that train together: what they learn is what one learns alone."""

import os
from pathlib import Path

import pytest
import torch

from tastemaker.core.errors import TastemakerError
from tastemaker.layers.data_parallel import ALONE, Group
from tastemaker.training.launch import spawn
from tastemaker.training.loop import fit

pytestmark = pytest.mark.slow


def learn(group: Group, folder: Path, die_at: int) -> None:
    """Linear regression on batches of seven rows; the bias joins the loss from step 5 on."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)

    def step(i: int) -> dict[str, float]:
        if i == die_at and group.rank == group.size - 1:
            os._exit(9)
        rows = group.share(torch.randn(7, 3).tolist())
        x = torch.tensor(rows)
        bias = model.bias if i >= 5 else torch.zeros(1)
        loss = (x @ model.weight.T + bias - x.sum(1, keepdim=True) - 1).square().mean()
        weight = group.weight(len(rows))
        optimizer.zero_grad()
        (loss * weight).backward()
        group.sum_gradients(model.parameters())
        optimizer.step()
        return {"loss": group.sum(loss.item() * weight)}

    history = fit(
        step,
        {"model": model, "optimizer": optimizer},
        num_steps=20,
        checkpoint=folder / "c.pt",
        checkpoint_every=6,
        seed=5,
        label="test",
        group=group,
    )
    weights = torch.cat([model.weight.detach().reshape(-1), model.bias.detach()])
    losses = torch.tensor([h["loss"] for h in history], dtype=torch.float64)
    torch.save((weights, losses), folder / f"{group.rank}-of-{group.size}.pt")


def result(folder: Path, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.load(folder / f"{name}.pt", weights_only=True)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.Tensor, torch.Tensor]:
    folder = tmp_path_factory.mktemp("alone")
    learn(ALONE, folder, -1)
    return result(folder, "0-of-1")


def test_launched_with_one_process_it_is_the_same_to_the_bit(
    alone: tuple[torch.Tensor, torch.Tensor], tmp_path: Path
) -> None:
    spawn(learn, (tmp_path, -1), 1)
    weights, losses = result(tmp_path, "0-of-1")
    assert torch.equal(weights, alone[0])
    assert torch.equal(losses, alone[1])


def test_two_processes_learn_the_same_and_stay_equal(
    alone: tuple[torch.Tensor, torch.Tensor], tmp_path: Path
) -> None:
    spawn(learn, (tmp_path, -1), 2)
    first, losses = result(tmp_path, "0-of-2")
    assert torch.equal(first, result(tmp_path, "1-of-2")[0])
    torch.testing.assert_close(first, alone[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(losses, alone[1], atol=1e-5, rtol=0)


def test_a_process_that_is_killed_ends_the_run_and_the_next_goes_on(
    alone: tuple[torch.Tensor, torch.Tensor], tmp_path: Path
) -> None:
    with pytest.raises(TastemakerError, match="training on 2 processes failed"):
        spawn(learn, (tmp_path, 14), 2)
    saved = torch.load(tmp_path / "c.pt", weights_only=True)
    assert len(saved["history"]) == 12
    spawn(learn, (tmp_path, -1), 2)
    torch.testing.assert_close(result(tmp_path, "0-of-2")[0], alone[0], atol=1e-5, rtol=0)


def fails(group: Group) -> None:
    raise TastemakerError(f"no dialogues for {group.size}")


def test_what_a_process_says_of_its_failure_is_kept() -> None:
    with pytest.raises(TastemakerError, match="no dialogues for 2"):
        spawn(fails, (), 2)


def test_alone_everything_is_the_identity() -> None:
    assert list(ALONE.share([1, 2, 3])) == [1, 2, 3]
    assert (ALONE.sum(0.5), ALONE.weight(3)) == (0.5, 1.0)
    assert ALONE.from_first(lambda: "made") == "made"
    assert [list(Group(r, 2).share([1, 2, 3])) for r in (0, 1)] == [[1, 3], [2]]
