import pytest
import torch

from tastemaker.core.errors import ConfigError
from tastemaker.training.device import CHOICE, training_device


def test_a_process_without_a_gpu_uses_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CHOICE, raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert training_device() == torch.device("cpu")


def test_each_process_of_a_machine_takes_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CHOICE, raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [training_device(rank).index for rank in range(3)] == [0, 1, 0]
    monkeypatch.setenv(CHOICE, "cpu")
    assert training_device(1) == torch.device("cpu")


@pytest.mark.parametrize("chosen", ["tpu-9", "meta", "cuda:2"])
def test_a_device_that_is_not_there_is_refused(
    chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CHOICE, chosen)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match=rf"{CHOICE}='{chosen}'"):
        training_device()
