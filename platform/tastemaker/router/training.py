"""Training of the router: alignment of the item projector, then next tokens of the calls.

Shape suffixes: B = items or dialogues, T = tokens, M = target tokens, H = hidden, V = words.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from tastemaker.layers.data_parallel import ALONE, Group
from tastemaker.layers.muon import Muon
from tastemaker.layers.precision import Precision, reduced
from tastemaker.router.batches import Batch, Example, collate, pad_id, plan_batches
from tastemaker.router.config import RouterConfig
from tastemaker.router.dialogue_files import Vectors
from tastemaker.router.model import RouterModel

_ALIGNED_ITEMS = 256  # of one alignment step


class Trainer:
    """Model, optimizers and data of one run; `step` is what the training loop calls.

    Args:
        model: To be trained.
        tokenizer: Its tokenizer.
        examples: Training dialogues.
        vectors: Item and user vectors.
        item_words: For each item its words, for the alignment.
        config: Rates, sizes and lengths.
        group: Processes that train together, each on a share of every batch.
    """

    def __init__(
        self,
        model: RouterModel,
        tokenizer: PreTrainedTokenizerFast,
        examples: Sequence[Example],
        vectors: Vectors,
        item_words: Sequence[str],
        config: RouterConfig,
        group: Group = ALONE,
    ) -> None:
        self.model, self.config, self.group = model, config, group
        self.examples, self.vectors, self.pad = examples, vectors, pad_id(tokenizer)
        matrices = [p for p in model.model.layers.parameters() if p.ndim == 2]
        chosen = {id(p) for p in matrices}
        rest = [p for p in model.parameters() if id(p) not in chosen]
        self.muon = Muon(matrices, lr=config.lr_matrices, precision=config.precision)
        self.adamw = torch.optim.AdamW(rest, lr=config.lr_rest, weight_decay=0.0, betas=(0.9, 0.98))
        self.device = model.place_ids.device
        words_NV, word_ids_V = word_bags(item_words, tokenizer)
        self.words_NV, self.word_ids_V = words_NV, word_ids_V.to(self.device)
        self.epoch, self.plan = -1, [[0]]
        self.per_epoch = 0

    @property
    def num_steps(self) -> int:
        """Alignment and training steps together."""
        return self.config.alignment_steps + self.config.steps

    def step(self, number: int) -> dict[str, float]:
        """Run step `number` of the whole run; returns its loss in nats."""
        if number < self.config.alignment_steps:
            return {"alignment": self._update(*self._alignment_loss(number), 1.0)}
        number -= self.config.alignment_steps
        batch, loss, hit_frac = self._batch(number), None, 0.0
        weight = self.group.weight(int(batch.target_BT.sum()) if batch else 0)
        if batch:
            loss, hit_frac = call_loss(self.model, batch, self.config.precision)
        scale = rate(number, self.config.steps, self.config)
        found = {"loss": self._update(loss, weight, scale)}
        return {**found, "tokens_right": self.group.sum(hit_frac * weight)}

    def _update(self, loss: Tensor | None, weight: float, scale: float) -> float:
        for optimizer, lr in (
            (self.muon, self.config.lr_matrices),
            (self.adamw, self.config.lr_rest),
        ):
            optimizer.zero_grad(set_to_none=True)
            for group in optimizer.param_groups:
                group["lr"] = lr * scale
        if loss is not None:
            (loss * weight).backward()
        self.group.sum_gradients(self.model.parameters())
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.muon.step()
        self.adamw.step()
        return self.group.sum(0.0 if loss is None else loss.item() * weight)

    def _batch(self, number: int) -> Batch | None:
        # the number of batches hardly varies between epochs; epoch 0 says how many make one
        if self.per_epoch == 0:
            self.per_epoch = len(self._planned(0))
        epoch, place = divmod(number, self.per_epoch)
        if epoch != self.epoch:
            self.epoch, self.plan = epoch, self._planned(epoch)
        chosen = self.group.share(self.plan[place % len(self.plan)])
        if not chosen:
            return None  # fewer dialogues than processes
        batch = collate([self.examples[i] for i in chosen], self.vectors, self.pad)
        return batch.to(self.device)

    def _planned(self, epoch: int) -> list[list[int]]:
        return plan_batches(
            self.examples,
            batch_tokens=self.config.batch_tokens,
            seed=self.config.seed,
            epoch=epoch,
        )

    def _alignment_loss(self, number: int) -> tuple[Tensor | None, float]:
        rng = np.random.default_rng((self.config.seed, 1_000_000 + number))
        count = len(self.words_NV)
        drawn = rng.choice(count, size=min(_ALIGNED_ITEMS, count), replace=False)
        rows = np.asarray(self.group.share(drawn.tolist()), np.int64)
        weight = self.group.weight(len(rows))
        if not len(rows):
            return None, weight
        items_BD = torch.from_numpy(self.vectors.items_ND[rows]).to(self.device)
        projected_BH = self.model.item_projector(items_BD)
        words_VH = self.model.model.embed_tokens(self.word_ids_V)
        bag_BV = self.words_NV[rows].to(self.device)
        return bag_loss(projected_BH, words_VH, bag_BV), weight


def call_loss(
    model: RouterModel, batch: Batch, precision: Precision = "auto"
) -> tuple[Tensor, float]:
    """Mean cross-entropy of the calls' tokens, in nats, and the share that is predicted right."""
    with reduced(batch.ids_BT.device, precision):
        hidden_BTH = model(batch.ids_BT, batch.items_MD, batch.places_M, batch.users_MD)
        wanted_BT = batch.target_BT[:, 1:]
        logits_MV = model.head(hidden_BTH[:, :-1][wanted_BT])
    target_M = batch.ids_BT[:, 1:][wanted_BT]
    logits_MV = logits_MV.float()
    hits = (logits_MV.argmax(-1) == target_M).float().mean().item()
    return F.cross_entropy(logits_MV, target_M), hits


def bag_loss(projected_BH: Tensor, words_VH: Tensor, bag_BV: Tensor) -> Tensor:
    """Cross-entropy of an item's words under its projection, in nats.

    Args:
        projected_BH: Item tokens.
        words_VH: Embeddings of all items' words.
        bag_BV: 1 where a word is the item's.

    Returns:
        Mean over items; log(V) for an uninformative projection.
    """
    normed_BH = F.rms_norm(projected_BH, (projected_BH.shape[-1],))
    log_p_BV = F.log_softmax(normed_BH @ words_VH.T, dim=-1)
    share_BV = bag_BV / bag_BV.sum(-1, keepdim=True).clamp_min(1)
    return -(share_BV * log_p_BV).sum(-1).mean()


def word_bags(
    item_words: Sequence[str], tokenizer: PreTrainedTokenizerFast
) -> tuple[Tensor, Tensor]:
    """Which of all items' word tokens each item has.

    Returns:
        (N, V) float bags and the V token ids.
    """
    all_ids = tokenizer(list(item_words), add_special_tokens=False)["input_ids"]
    kinds = sorted({token for ids in all_ids for token in ids})
    column = {token: v for v, token in enumerate(kinds)}
    bags_NV = torch.zeros(len(all_ids), len(kinds))
    for n, ids in enumerate(all_ids):
        bags_NV[n, [column[token] for token in ids]] = 1.0
    return bags_NV, torch.tensor(kinds)


def rate(number: int, steps: int, config: RouterConfig) -> float:
    """Learning rate of a step as a share of its peak: a ramp up, a plateau, a ramp down to 0."""
    warmup, decay = max(1.0, config.warmup_frac * steps), config.decay_frac * steps
    return min(1.0, (number + 1) / warmup, (steps - number) / decay)
