"""One training step of the encoder, and all the state that it changes.

Shape suffixes: B = rows of the batch, D = width of the space.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tastemaker.encoder.config import EncoderConfig
from tastemaker.encoder.examples import Batch, Examples
from tastemaker.encoder.losses import contrastive, naming, neighbouring
from tastemaker.encoder.model import Encoder
from tastemaker.encoder.words import Vocabulary
from tastemaker.layers.precision import reduced

WARM_UP_FRAC = 0.08  # of the steps, learning rate rising from 0
_PROCESSOR = torch.device("cpu")
MAX_SCALE = 100.0  # of the similarities: 1 / the lowest temperature


class Trainer:
    """Makes an encoder from examples.

    Args:
        examples: What it learns from.
        config: Its settings.
        device: That trains.
    """

    def __init__(
        self, examples: Examples, config: EncoderConfig, device: torch.device = _PROCESSOR
    ) -> None:
        torch.manual_seed(config.seed)
        text = config.text
        vocabulary = Vocabulary.build(
            examples.corpus(),
            buckets=text.buckets,
            min_count=text.min_count,
            max_words=text.max_words,
        )
        self.examples, self.config, self.device = examples, config, device
        self.encoder = Encoder(config, vocabulary).to(device)
        self.heads = nn.ModuleList(
            nn.Linear(config.dim, count) for count in examples.num_values().values()
        ).to(device)
        self.scales = nn.Parameter(torch.full((3,), -math.log(config.temperature), device=device))
        self.optimizer = torch.optim.AdamW(self._groups(), lr=config.learning_rate)
        self.num_steps = config.epochs * examples.steps_per_epoch

    @property
    def state(self) -> Mapping[str, Any]:
        """What a checkpoint saves, by name."""
        scales = nn.ParameterDict({"scales": self.scales})
        parts = {"encoder": self.encoder, "heads": self.heads, "scales": scales}
        return {**parts, "optimizer": self.optimizer}

    def step(self, i: int) -> dict[str, float]:
        """Train on batch `i`; returns the losses in nats."""
        self.encoder.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * pace(i, self.num_steps)
        losses = self.losses(self.examples.batch(i).to(self.device))
        loss = torch.stack(list(losses.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.encoder.parameters(), 1.0)
        self.optimizer.step()
        return {"loss": loss.item(), **{name: part.item() for name, part in losses.items()}}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The weighted losses of a batch, by name."""
        config = self.config
        with reduced(self.device, config.precision):
            image_BD = self.encoder.image_vectors(batch.pixels_B3PP)
        image_BD = image_BD.float()
        query_BD = self.encoder.text_vectors(batch.query_words)
        own_BD = self.encoder.text_vectors(batch.item_words)
        has_text_B = torch.tensor([bool(w) for w in batch.item_words], device=self.device)
        item_BD = self.encoder.fuse(image_BD, own_BD, has_text_B)
        scales = self.scales.exp().clamp(max=MAX_SCALE)
        losses = {
            "image": config.image_weight
            * contrastive(query_BD, image_BD, batch.fits_BB, scales[0]),
            "item": config.item_weight * contrastive(query_BD, item_BD, batch.fits_BB, scales[1]),
        }
        if config.board_weight and bool(batch.neighbours_BB.any()):
            board = neighbouring(item_BD, batch.neighbours_BB, batch.same_BB, scales[2])
            losses["board"] = config.board_weight * board
        if config.attribute_weight and batch.values:
            named = [
                naming(head(image_BD * scales[0]), value_B)
                for head, value_B in zip(self.heads, batch.values.values(), strict=True)
            ]
            losses["attributes"] = config.attribute_weight * torch.stack(named).mean()
        return losses

    def _groups(self) -> list[dict[str, Any]]:
        """Matrices decay; norms, biases, embeddings of words and temperatures do not."""
        named = [*self.encoder.named_parameters(), *self.heads.named_parameters()]
        tables = ("text.words.weight", "text.grams.weight")
        decays = [p for name, p in named if p.ndim > 1 and name not in tables]
        others = [p for name, p in named if p.ndim <= 1 or name in tables]
        return [
            {"params": decays, "weight_decay": self.config.weight_decay},
            {"params": [*others, self.scales], "weight_decay": 0.0},
        ]


def pace(step: int, num_steps: int) -> float:
    """Learning rate as a fraction of its peak: a linear rise, then half a cosine down to 0."""
    rise = max(1, int(num_steps * WARM_UP_FRAC))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, num_steps - rise)))
