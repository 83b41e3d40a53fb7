"""A trained sequence model over its catalogue: what servers and evaluation call."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tastemaker.core.config import parse
from tastemaker.sequence.config import SequenceConfig
from tastemaker.sequence.histories import History
from tastemaker.sequence.model import PADDING, SequenceModel


class Recommender:
    """User embeddings and next-item candidates.

    Args:
        model: A trained model.
        item_ids: The catalogue, in the order of `items_NE`.
        items_NE: Item embeddings, float32, unit norm, in the space that the bundle reads.
        popularity_N: Positive events of each item in training, for users without a history.
    """

    def __init__(
        self, model: SequenceModel, item_ids: Sequence[str], items_NE: Tensor, popularity_N: Tensor
    ) -> None:
        self.model = model.eval()
        self.item_ids = list(item_ids)
        self.row_of = {item_id: row for row, item_id in enumerate(self.item_ids)}
        self.items_NE = items_NE
        self.popularity_N = popularity_N
        with torch.inference_mode():
            self.targets_NU = model.targets(items_NE)

    def user_embeddings(self, histories: Sequence[History]) -> np.ndarray:
        """(B, U) float32, unit norm; zeros for a user without events."""
        config = self.model.config
        out = np.zeros((len(histories), config.user_dim), np.float32)
        known = [i for i, history in enumerate(histories) if len(history.items)]
        for begin in range(0, len(known), 64):
            part = known[begin : begin + 64]
            cut = [(histories[i].items[-config.max_events :], histories[i].actions) for i in part]
            width = max(len(items) for items, _ in cut)
            rows = torch.zeros(len(part), width, dtype=torch.int64)
            actions = torch.full((len(part), width), PADDING)
            for b, (items, codes) in enumerate(cut):
                rows[b, : len(items)] = torch.from_numpy(items)
                actions[b, : len(items)] = torch.from_numpy(codes[-config.max_events :])
            with torch.inference_mode():
                padded = (actions == PADDING).unsqueeze(-1)
                users = self.model(self.items_NE[rows].masked_fill(padded, 0.0), actions)
            ends = torch.tensor([len(items) - 1 for items, _ in cut])
            out[part] = users[torch.arange(len(part)), ends].numpy()
        return out

    def user_embedding(self, history: History) -> np.ndarray:
        """(U,) float32, unit norm; zeros for a user without events."""
        vector: np.ndarray = self.user_embeddings([history])[0]
        return vector

    def scores(self, histories: Sequence[History]) -> np.ndarray:
        """Logits of every item for every user, (B, N); popularity for users without events."""
        users = torch.from_numpy(self.user_embeddings(histories))
        with torch.inference_mode():
            scores = self.model.scores(users, self.targets_NU, self.model.item_bias)
            cold = users.abs().sum(1) == 0
        result: np.ndarray = scores.numpy()
        result[cold.numpy()] = self.popularity_N.log1p().numpy()
        return result

    def recommend(
        self, history: History, k: int, exclude: Sequence[str] = ()
    ) -> list[tuple[str, float]]:
        """The k best items that the user has not met, best first.

        Args:
            history: The user's events; empty: popular items.
            k: How many, >= 1.
            exclude: Item ids that are left out as well.
        """
        scores = self.scores([history])[0].copy()
        scores[history.items] = -np.inf
        scores[[self.row_of[i] for i in exclude if i in self.row_of]] = -np.inf
        best = np.argsort(-scores, kind="stable")[:k]
        return [
            (self.item_ids[row], float(scores[row])) for row in best if np.isfinite(scores[row])
        ]


def save_sequence(recommender: Recommender, folder: Path) -> None:
    """Write weights, item vectors and item ids."""
    state = {f"model.{k}": v.contiguous() for k, v in recommender.model.state_dict().items()}
    state["items"] = recommender.items_NE.contiguous()
    state["popularity"] = recommender.popularity_N.contiguous()
    save_file(state, str(folder / "weights.safetensors"))
    (folder / "item_ids.json").write_text(json.dumps(recommender.item_ids))
    (folder / "config.json").write_text(recommender.model.config.model_dump_json())


def load_sequence(folder: Path) -> Recommender:
    """Read `save_sequence` back."""
    config = parse(
        SequenceConfig, json.loads((folder / "config.json").read_text()), where=str(folder)
    )
    state = load_file(str(folder / "weights.safetensors"))
    items, popularity = state.pop("items"), state.pop("popularity")
    model = SequenceModel(config, items.shape[1], len(items))
    model.load_state_dict({k.removeprefix("model."): v for k, v in state.items()})
    item_ids = json.loads((folder / "item_ids.json").read_text())
    return Recommender(model, item_ids, items, popularity)
