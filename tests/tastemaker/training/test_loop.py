from pathlib import Path

import pytest
import torch

from tastemaker.training.loop import fit


def run(
    checkpoint: Path, *, die_at: int | None = None
) -> tuple[torch.Tensor, list[dict[str, float]]]:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)

    def step(i: int) -> dict[str, float]:
        if i == die_at:
            raise KeyboardInterrupt
        x = torch.randn(8, 3)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss.item()}

    history = fit(
        step,
        {"model": model, "optimizer": optimizer},
        num_steps=40,
        checkpoint=checkpoint,
        checkpoint_every=7,
        seed=5,
        label="test",
    )
    return model.weight.detach().clone(), history


def test_it_learns(tmp_path: Path) -> None:
    _, history = run(tmp_path / "c.pt")
    assert history[-1]["loss"] < history[0]["loss"] / 10


@pytest.mark.parametrize("die_at", [3, 7, 20, 39])
def test_killed_and_resumed_ends_bit_equal(tmp_path: Path, die_at: int) -> None:
    straight, history = run(tmp_path / "a.pt")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b.pt", die_at=die_at)
    resumed, again = run(tmp_path / "b.pt")
    assert torch.equal(straight, resumed)
    assert history == again
