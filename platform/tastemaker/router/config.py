"""Configuration of the router: its dialogues, its size and its training."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tastemaker.core.config import Config


class DialoguesConfig(Config):
    """How many dialogues are made, and of what."""

    train: int = Field(default=36_000, ge=1)  # dialogues
    val: int = Field(default=300, ge=1)
    test: int = Field(default=1_000, ge=1)
    turns_max: int = Field(default=3, ge=1, le=6)  # user turns of one dialogue
    list_items: int = Field(default=10, ge=1, le=50)  # items of a tool's result
    plain_frac: float = Field(default=0.2, ge=0, le=1)  # single plain searches: pure copying
    free_words_frac: float = Field(default=0.45, ge=0, le=1)  # of queries: words at random
    heldout_frac: float = Field(default=0.12, gt=0, lt=0.5)  # of compositions, test split only
    simple: bool = False  # few wordings and kinds of turn: for tests
    seed: int = 17


class RouterConfig(Config):
    """Size and training of the router."""

    hidden: int = Field(default=192, ge=32)
    layers: int = Field(default=4, ge=1)
    heads: int = Field(default=6, ge=1)
    kv_heads: int = Field(default=3, ge=1)
    head_dim: int = 32  # 32, 64, 80, 96, 112, 128: what the engine's CPU kernel takes
    mlp: int = Field(default=512, ge=32)
    max_positions: int = Field(default=4096, ge=256)
    steps: int = Field(default=1200, ge=1)
    batch_tokens: int = Field(default=4096, ge=256)  # of one step, padding included
    lr_matrices: float = Field(default=4e-3, gt=0)  # Muon
    lr_rest: float = Field(default=2e-3, gt=0)  # AdamW: embeddings, norms, biases
    warmup_frac: float = Field(default=0.03, ge=0, lt=1)
    decay_frac: float = Field(default=0.4, gt=0, le=1)  # last part of training: rate down to 0
    alignment_steps: int = Field(default=200, ge=0)  # of the item projector, before training
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 where it is native
    workers: int = Field(default=1, ge=1)  # processes, each on a share of every batch
    threads: int = Field(default=1, ge=1)  # of each; two are slower unless both cores are free
    checkpoint_every: int = Field(default=100, ge=1)
    seed: int = 19

    @model_validator(mode="after")
    def _heads_share_kv(self) -> Self:
        if self.heads % self.kv_heads:
            raise ValueError(f"heads {self.heads} is not a multiple of kv_heads {self.kv_heads}")
        if self.head_dim not in (32, 64, 80, 96, 112, 128):
            raise ValueError(f"head_dim {self.head_dim}: the engine takes 32, 64, 80, 96, 112, 128")
        return self
