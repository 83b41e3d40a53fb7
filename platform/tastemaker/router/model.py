"""The router's model: a Qwen3 decoder whose item and user tokens are projected vectors.

The files that `write_model` makes are what the engine's plug-in loads; `generate_greedy` is the
forward of training, which the engine must agree with token for token.

Shape suffixes: B = sequences, T = tokens, M = vectors in the batch, H = hidden, D = vector width.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

from tastemaker.router.config import RouterConfig
from tastemaker.router.messages import Message, decode_items, decode_user
from tastemaker.router.projector import Projector
from tastemaker.router.tokenizer import ITEM, PLACES, TASTE

ARCHITECTURE = "ItemQwen3ForCausalLM"


@dataclass(frozen=True)
class Prompt:
    """A conversation as the model takes it.

    Attributes:
        ids: Token ids; one item token for each item of each list.
        items_MD: Item vectors, in the order of their tokens.
        users_MD: User vectors, in the order of their tokens.
        places: Place of each item in its list, from 0.
    """

    ids: list[int]
    items_MD: np.ndarray
    users_MD: np.ndarray
    places: list[int]


class RouterModel(nn.Module):
    """Decoder, item projector and user projector; the head is the embedding, transposed."""

    def __init__(self, config: Qwen3Config) -> None:
        super().__init__()
        self.config = config
        self.model = Qwen3Model._from_config(config, attn_implementation="eager")  # fast when short
        # unit rows: also a word that training hardly shows can win when it is to be copied
        nn.init.normal_(self.model.embed_tokens.weight, std=config.hidden_size**-0.5)
        self.item_projector = Projector(config.item_dim, config.hidden_size)
        self.user_projector = Projector(config.user_dim, config.hidden_size)
        places = torch.tensor(config.item_index_token_ids)
        self.place_ids: Tensor
        self.register_buffer("place_ids", places, persistent=False)

    def embed(self, ids_BT: Tensor, items_MD: Tensor, places_M: Tensor, users_MD: Tensor) -> Tensor:
        """Token embeddings with the vectors' projections in their places."""
        table = self.model.embed_tokens
        embedded_BTH: Tensor = table(ids_BT)
        if len(items_MD):
            at_BT1 = (ids_BT == self.config.item_token_id)[..., None]
            projected_MH = self.item_projector(items_MD) + table(self.place_ids[places_M])
            embedded_BTH = embedded_BTH.masked_scatter(at_BT1, projected_MH.to(embedded_BTH.dtype))
        if len(users_MD):
            at_BT1 = (ids_BT == self.config.user_token_id)[..., None]
            projected_MH = self.user_projector(users_MD)
            embedded_BTH = embedded_BTH.masked_scatter(at_BT1, projected_MH.to(embedded_BTH.dtype))
        return embedded_BTH

    def forward(
        self, ids_BT: Tensor, items_MD: Tensor, places_M: Tensor, users_MD: Tensor
    ) -> Tensor:
        """Hidden states (B, T, H); `head` turns those of interest into logits."""
        embedded_BTH = self.embed(ids_BT, items_MD, places_M, users_MD)
        hidden_BTH: Tensor = self.model(
            inputs_embeds=embedded_BTH, use_cache=False
        ).last_hidden_state
        return hidden_BTH

    def head(self, hidden_MH: Tensor) -> Tensor:
        """Logits over the vocabulary."""
        return hidden_MH @ self.model.embed_tokens.weight.T


def model_config(
    config: RouterConfig, tokenizer: PreTrainedTokenizerFast, *, item_dim: int, user_dim: int
) -> Qwen3Config:
    """The `config.json` of a router: a Qwen3 decoder's, with what the plug-in needs besides."""
    return Qwen3Config(
        architectures=[ARCHITECTURE],
        vocab_size=-(-len(tokenizer) // 64) * 64,
        hidden_size=config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads,
        head_dim=config.head_dim,
        intermediate_size=config.mlp,
        max_position_embeddings=config.max_positions,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        tie_word_embeddings=True,
        use_cache=True,
        dtype="float32",
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        item_dim=item_dim,
        user_dim=user_dim,
        item_token_id=tokenizer.convert_tokens_to_ids(ITEM),
        user_token_id=tokenizer.convert_tokens_to_ids(TASTE),
        item_index_token_ids=tokenizer.convert_tokens_to_ids(list(PLACES)),
    )


def write_model(model: RouterModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write `config.json`, `model.safetensors`, the tokenizer and its chat template."""
    folder.mkdir(parents=True, exist_ok=True)
    content = model.config.to_dict()
    content.pop("_name_or_path", None)
    (folder / "config.json").write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    generation = {"eos_token_id": tokenizer.eos_token_id, "temperature": 0.0}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(str(folder))


def load_model(folder: Path) -> tuple[RouterModel, PreTrainedTokenizerFast]:
    """Read what `write_model` wrote; the model is in evaluation mode, float32."""
    config = Qwen3Config.from_pretrained(str(folder))
    model = RouterModel(config)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model.eval(), AutoTokenizer.from_pretrained(str(folder))


def write_random_model(
    folder: Path,
    *,
    item_dim: int = 128,
    user_dim: int = 128,
    words: Sequence[str] = (),
    seed: int = 0,
    config: RouterConfig | None = None,
) -> None:
    """Write a router with random weights, in the form that a trained one has."""
    from tastemaker.router.tokenizer import build_tokenizer

    torch.manual_seed(seed)
    tokenizer = build_tokenizer(["show me a red sofa please", *words])
    chosen = config or RouterConfig(hidden=64, layers=2, heads=2, kv_heads=2, mlp=128)
    settings = model_config(chosen, tokenizer, item_dim=item_dim, user_dim=user_dim)
    write_model(RouterModel(settings), tokenizer, folder)


def read_prompt(
    messages: Sequence[Message],
    tokenizer: PreTrainedTokenizerFast,
    config: Qwen3Config,
    tools: Sequence[dict[str, Any]] | None = None,
) -> Prompt:
    """Render messages with the chat template and find the vectors that they carry."""
    text = tokenizer.apply_chat_template(
        list(messages), tools=tools, tokenize=False, add_generation_prompt=True
    )
    parts = [part for m in messages if isinstance(m.get("content"), list) for part in m["content"]]
    lists = [decode_items(part) for part in parts if part["type"] == "image_embeds"]
    users = [decode_user(part)[None] for part in parts if part["type"] == "audio_embeds"]
    left = iter(lists)
    ids: list[int] = []
    for token in tokenizer(text, add_special_tokens=False)["input_ids"]:
        ids += [token] * (len(next(left)) if token == config.item_token_id else 1)
    return Prompt(
        ids=ids,
        items_MD=np.concatenate([np.zeros((0, config.item_dim), np.float32), *lists]),
        users_MD=np.concatenate([np.zeros((0, config.user_dim), np.float32), *users]),
        places=[place for one in lists for place in range(len(one))],
    )


@torch.inference_mode()
def generate_greedy(
    model: RouterModel,
    tokenizer: PreTrainedTokenizerFast,
    messages: Sequence[Message],
    tools: Sequence[dict[str, Any]] | None = None,
    max_tokens: int = 96,
) -> str:
    """What the model writes next, token by token, the most likely one each time.

    Args:
        model: In evaluation mode.
        tokenizer: The model's own.
        messages: OpenAI chat messages with item and user parts.
        tools: Given to the chat template, like the engine does.
        max_tokens: Where to stop at the latest.

    Returns:
        The text without the end mark, `<tool_call>...</tool_call>` when trained.
    """
    return tokenizer.decode(
        greedy_ids(model, read_prompt(messages, tokenizer, model.config, tools), max_tokens)
    )


@torch.inference_mode()
def greedy_ids(model: RouterModel, prompt: Prompt, max_tokens: int) -> list[int]:
    """Ids that follow a prompt, without the end mark."""
    ids_1T = torch.tensor([prompt.ids])
    embedded_1TH = model.embed(
        ids_1T,
        torch.from_numpy(prompt.items_MD),
        torch.tensor(prompt.places, dtype=torch.long),
        torch.from_numpy(prompt.users_MD),
    )
    cache, written = None, []
    for _ in range(max_tokens):
        out = model.model(inputs_embeds=embedded_1TH, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        token = int(model.head(out.last_hidden_state[:, -1]).argmax())
        if token == model.config.eos_token_id:
            break
        written.append(token)
        embedded_1TH = model.model.embed_tokens(torch.tensor([[token]]))
    return written
