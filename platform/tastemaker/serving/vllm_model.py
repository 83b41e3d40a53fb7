"""The router's model in vLLM: Qwen3 plus item and user projectors.

Item k of a list enters as `item_projector(x_k) + embedding("#k")`, the user vector as
`user_projector(u)`: the same sum, by the same projector class, as in training.

Shape suffixes: N = items of one list, E = width of a vector, W = width of the decoder.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from vllm.config import VllmConfig
from vllm.model_executor.models.interfaces import MultiModalEmbeddings, SupportsMultiModal
from vllm.model_executor.models.module_mapping import MultiModelKeys
from vllm.model_executor.models.qwen3 import Qwen3ForCausalLM
from vllm.model_executor.models.utils import AutoWeightsLoader, _merge_multimodal_embeddings
from vllm.multimodal import MULTIMODAL_REGISTRY

from tastemaker.router.projector import Projector, item_embeddings
from tastemaker.serving.vllm_inputs import RouterDummyInputs, RouterInfo, RouterProcessor


@MULTIMODAL_REGISTRY.register_processor(
    RouterProcessor, info=RouterInfo, dummy_inputs=RouterDummyInputs
)
class ItemQwen3ForCausalLM(Qwen3ForCausalLM, SupportsMultiModal):  # type: ignore[misc]
    """Qwen3 that reads item and user vectors; config.json names the widths and token ids."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__(vllm_config=vllm_config, prefix=prefix)
        c = vllm_config.model_config.hf_config
        self.item_projector = Projector(c.item_dim, c.hidden_size)
        self.user_projector = Projector(c.user_dim, c.hidden_size)
        index_ids = torch.tensor(c.item_index_token_ids)
        self.register_buffer("item_index_token_ids", index_ids, persistent=False)
        self.configure_mm_token_handling(c.vocab_size, [c.item_token_id, c.user_token_id])

    @classmethod
    def get_placeholder_str(cls, modality: str, i: int) -> str | None:
        """The chat template writes the placeholders."""
        return None

    def embed_multimodal(
        self, image_embeds: Any = None, audio_embeds: Any = None, **_: object
    ) -> MultiModalEmbeddings:
        """Vectors to decoder inputs, one (N, W) tensor for each list or user, in order."""
        lists = [self._items(x_NE) for x_NE in (image_embeds if image_embeds is not None else ())]
        users = [self._user(u_1E) for u_1E in (audio_embeds if audio_embeds is not None else ())]
        return lists + users

    def _items(self, x_NE: Tensor) -> Tensor:
        places_NW = self.model.embed_input_ids(self.item_index_token_ids[: len(x_NE)])
        return item_embeddings(self.item_projector, x_NE, places_NW)

    def _user(self, u_1E: Tensor) -> Tensor:
        projected_1W: Tensor = self.user_projector(u_1E)
        return projected_1W

    def embed_input_ids(
        self,
        input_ids: Tensor,
        multimodal_embeddings: MultiModalEmbeddings | None = None,
        *,
        is_multimodal: Tensor | None = None,
    ) -> Tensor:
        """Token embeddings, with the placeholders' places taken by projected vectors."""
        embedded: Tensor = self.model.embed_input_ids(input_ids)
        if multimodal_embeddings is None or len(multimodal_embeddings) == 0:
            return embedded
        merged: Tensor = _merge_multimodal_embeddings(
            inputs_embeds=embedded,
            multimodal_embeddings=multimodal_embeddings,
            is_multimodal=is_multimodal,
        )
        return merged

    def get_mm_mapping(self) -> MultiModelKeys:
        """Which parts are which, for LoRA adapters."""
        return MultiModelKeys.from_string_field(
            language_model="model", connector=["item_projector", "user_projector"], tower_model=[]
        )

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """Load a training checkpoint; projectors may be kept inside its backbone."""
        renamed = (
            (name.removeprefix("model.") if "_projector." in name else name, weight)
            for name, weight in weights
        )
        loaded: set[str] = AutoWeightsLoader(self).load_weights(renamed)
        return loaded
