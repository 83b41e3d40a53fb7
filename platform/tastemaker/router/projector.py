"""From an embedding space into the router's hidden space: shared by training and the engine."""

import torch
from torch import Tensor, nn


class Projector(nn.Module):
    """LayerNorm, then a two-layer MLP; one token's embedding for each vector.

    Args:
        in_dim: Width of the vectors.
        hidden_dim: Width of the router.
    """

    def __init__(self, in_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(in_dim)
        self.up = nn.Linear(in_dim, 2 * hidden_dim)
        self.down = nn.Linear(2 * hidden_dim, hidden_dim)

    def forward(self, vectors: Tensor) -> Tensor:
        """Project (..., in_dim) vectors to (..., hidden_dim)."""
        gate = nn.functional.gelu(self.up(self.norm(vectors)), approximate="none")
        projected: Tensor = self.down(gate)
        return projected


def item_embeddings(projector: Projector, vectors_ND: Tensor, index_embeddings: Tensor) -> Tensor:
    """Embeddings of one list's item tokens: what the item is plus its place, `#1` first.

    Args:
        projector: From item vectors to the hidden space.
        vectors_ND: The list's item vectors.
        index_embeddings: Token embeddings of `#1` ... `#N`, (N, hidden).

    Raises:
        ValueError: More items than index embeddings.
    """
    if len(vectors_ND) > len(index_embeddings):
        raise ValueError(f"a list of {len(vectors_ND)} items; {len(index_embeddings)} is the most")
    projected: Tensor = projector(vectors_ND.to(torch.float32))
    return projected + index_embeddings[: len(vectors_ND)]
