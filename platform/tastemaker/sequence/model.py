"""The user-sequence model: a causal transformer over item embeddings and actions.

After SASRec (Kang & McAuley, 2018) with full cross-entropy over the catalogue (Klenitskiy &
Vasilev, 2023), on content embeddings in place of item ids, so that a new item needs no training.

Shape suffixes: B = users, T = events, N = items of the catalogue, E = item embedding width,
D = model width, U = user embedding width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tastemaker.data.records import ACTIONS
from tastemaker.sequence.config import SequenceConfig

PADDING = len(ACTIONS)


class SequenceModel(nn.Module):
    """Reads events, gives a user embedding after each, and scores items against it.

    Args:
        config: Its size.
        item_dim: E, width of the item embeddings.
        num_items: N, for the popularity bias of each item.
    """

    def __init__(self, config: SequenceConfig, item_dim: int, num_items: int) -> None:
        super().__init__()
        self.config = config
        self.read_item = nn.Linear(item_dim, config.width)
        self.read_action = nn.Embedding(len(ACTIONS) + 1, config.width, padding_idx=PADDING)
        self.read_place = nn.Embedding(config.max_events, config.width)
        # Items have unit norm: weights of variance 1 make features of variance 1. Actions and
        # places begin small beside them, or the model learns places first and items late.
        nn.init.normal_(self.read_item.weight)
        for small in (self.read_action, self.read_place):
            nn.init.normal_(small.weight, std=0.1)
        with torch.no_grad():
            self.read_action.weight[PADDING].zero_()
        layer = nn.TransformerEncoderLayer(
            config.width,
            config.heads,
            4 * config.width,
            config.dropout_frac,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.body = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(config.width)
        self.to_user = nn.Linear(config.width, config.user_dim)
        self.to_target = nn.Linear(item_dim, config.user_dim)
        self.item_bias = nn.Parameter(torch.zeros(num_items))
        self.log_scale = nn.Parameter(torch.tensor(2.3))

    def forward(self, items_BTE: Tensor, actions_BT: Tensor) -> Tensor:
        """User embeddings after each event.

        Args:
            items_BTE: Item embeddings, float32, unit norm; zeros at padding.
            actions_BT: Action codes; `PADDING` at padding, which stands on the right.

        Returns:
            (B, T, U), unit norm; position t has seen events 0..t alone.
        """
        num_events = items_BTE.shape[1]
        places = torch.arange(num_events, device=items_BTE.device)
        hidden = self.read_item(items_BTE) + self.read_action(actions_BT) + self.read_place(places)
        mask = nn.Transformer.generate_square_subsequent_mask(num_events)
        hidden = self.body(hidden, mask=mask.to(hidden.device), is_causal=True)
        return F.normalize(self.to_user(self.norm(hidden)), dim=-1)

    def targets(self, items_NE: Tensor) -> Tensor:
        """Items as the user embedding meets them: (N, U), unit norm."""
        return F.normalize(self.to_target(items_NE), dim=-1)

    def scores(self, users_BU: Tensor, targets_NU: Tensor, bias_N: Tensor) -> Tensor:
        """Logits of the next positive item, (B, N), of items with these biases."""
        return users_BU @ targets_NU.T * self.log_scale.exp() + bias_N
