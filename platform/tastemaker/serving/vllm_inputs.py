"""How item lists and the user vector of a chat message reach the model inside vLLM.

vLLM's chat endpoint knows two modalities that carry tensors: `image` holds an item list (n, item
width), one prompt token an item; `audio` holds the user vector (1, user width), one token.
Whatever a client can get wrong is a `ValueError` here, which vLLM answers with 400: in the engine
the same fault would end the process.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from vllm.config.multimodal import MultiModalDummyOptions
from vllm.inputs import MultiModalDataDict
from vllm.multimodal.inputs import MultiModalFieldConfig, MultiModalKwargsItems
from vllm.multimodal.parse import (
    AudioEmbeddingItems,
    EmbeddingItems,
    ImageEmbeddingItems,
    MultiModalDataItems,
    MultiModalDataParser,
)
from vllm.multimodal.processing import (
    BaseDummyInputsBuilder,
    BaseMultiModalProcessor,
    BaseProcessingInfo,
    PromptReplacement,
    PromptUpdate,
)


def checked_vectors(data: Any, *, what: str, width: int, max_rows: int) -> list[torch.Tensor]:
    """Item lists or user vectors of one prompt, checked and as float32.

    One type for all requests, because the engine stacks the vectors of a batch.

    Args:
        data: A (parts, rows, width) tensor or a list of (rows, width) tensors.
        what: Named in messages: "item list" or "user vector".
        width: Numbers in a vector.
        max_rows: Most vectors in one part, >= 1.

    Raises:
        ValueError: Anything else, with the shape found and the rule.
    """
    parts = list(data) if isinstance(data, list | tuple | torch.Tensor) else [data]
    for part in parts:
        if not isinstance(part, torch.Tensor):
            raise ValueError(f"{what} must be an embedding, got {type(part).__name__}")
        if not part.is_floating_point():
            raise ValueError(f"{what} must hold floating point numbers, got {part.dtype}")
        if part.ndim != 2 or part.shape[1] != width:
            raise ValueError(f"{what} must have shape (n, {width}), got {tuple(part.shape)}")
        if not 1 <= part.shape[0] <= max_rows:
            raise ValueError(f"{what} must have 1 to {max_rows} rows, got {part.shape[0]}")
        if not torch.isfinite(part).all():
            raise ValueError(f"{what} holds values that are not finite")
    return [part.to(torch.float32) for part in parts]


class VectorParser(MultiModalDataParser):  # type: ignore[misc]
    """Takes vectors of the router's own widths, and nothing but vectors."""

    def __init__(self, *, item_dim: int, user_dim: int, max_items: int) -> None:
        super().__init__()
        self.item_dim, self.user_dim, self.max_items = item_dim, user_dim, max_items

    def _parse_image_data(self, data: Any) -> EmbeddingItems | None:
        if data is None or len(data) == 0:
            return None
        rows = self.max_items
        lists = checked_vectors(data, what="item list", width=self.item_dim, max_rows=rows)
        return ImageEmbeddingItems(lists)

    def _parse_audio_data(self, data: Any) -> EmbeddingItems | None:
        if data is None or len(data) == 0:
            return None
        users = checked_vectors(data, what="user vector", width=self.user_dim, max_rows=1)
        return AudioEmbeddingItems(users)


class RouterInfo(BaseProcessingInfo):  # type: ignore[misc]
    """Widths and limits, from the extra keys of the model's config.json."""

    def get_data_parser(self) -> VectorParser:
        """The parser with this model's widths."""
        c = self.get_hf_config()
        return VectorParser(
            item_dim=c.item_dim, user_dim=c.user_dim, max_items=len(c.item_index_token_ids)
        )

    def get_supported_mm_limits(self) -> Mapping[str, int | None]:
        """Any number of item lists, one user."""
        return {"image": None, "audio": 1}

    def get_mm_max_tokens_per_item(
        self, seq_len: int, mm_counts: Mapping[str, int]
    ) -> Mapping[str, int]:
        """Known without profiling: one token an item."""
        return {"image": min(seq_len, len(self.get_hf_config().item_index_token_ids)), "audio": 1}

    def get_supported_mm_processor_kwargs(self) -> dict[str, set[str]]:
        """There is no processor to pass anything to."""
        return {}


class RouterDummyInputs(BaseDummyInputsBuilder[RouterInfo]):  # type: ignore[misc]
    """Inputs that vLLM warms up with."""

    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        """One placeholder for each list and user."""
        c, tokenizer = self.info.get_hf_config(), self.info.get_tokenizer()
        item, user = tokenizer.convert_ids_to_tokens([c.item_token_id, c.user_token_id])
        return str(user * mm_counts.get("audio", 0) + item * mm_counts.get("image", 0))

    def get_dummy_mm_data(
        self,
        seq_len: int,
        mm_counts: Mapping[str, int],
        mm_options: Mapping[str, MultiModalDummyOptions],
    ) -> MultiModalDataDict:
        """Zeros of the right shapes."""
        c, data = self.info.get_hf_config(), {}
        rows = min(seq_len, len(c.item_index_token_ids))
        if num := mm_counts.get("image", 0):
            data["image"] = torch.zeros(num, rows, c.item_dim)
        if num := mm_counts.get("audio", 0):
            data["audio"] = torch.zeros(num, 1, c.user_dim)
        return data


class RouterProcessor(BaseMultiModalProcessor[RouterInfo]):  # type: ignore[misc]
    """Passes vectors through and widens each placeholder to one token an item."""

    def _get_mm_fields_config(
        self, hf_inputs: Any, hf_processor_mm_kwargs: Mapping[str, object]
    ) -> Mapping[str, MultiModalFieldConfig]:
        return {
            "image_embeds": MultiModalFieldConfig.batched("image"),
            "audio_embeds": MultiModalFieldConfig.batched("audio"),
        }

    def _get_prompt_updates(
        self,
        mm_items: MultiModalDataItems,
        hf_processor_mm_kwargs: Mapping[str, object],
        out_mm_kwargs: MultiModalKwargsItems,
    ) -> Sequence[PromptUpdate]:
        c = self.info.get_hf_config()

        def item_tokens(index: int) -> list[int]:
            lists = mm_items.get_items("image", ImageEmbeddingItems)
            return [c.item_token_id] * int(lists.get_feature_size(index))

        return [
            PromptReplacement(modality="image", target=[c.item_token_id], replacement=item_tokens),
            PromptReplacement(
                modality="audio", target=[c.user_token_id], replacement=[c.user_token_id]
            ),
        ]

    def _maybe_apply_prompt_updates(self, mm_items: MultiModalDataItems, mm_res: Any) -> Any:
        # A placeholder typed as text would take the place of a list.
        c = self.info.get_hf_config()
        for modality, token in (("image", c.item_token_id), ("audio", c.user_token_id)):
            found = mm_res.prompt_ids.count(token)
            given = mm_items.get_count(modality, strict=False)
            if found != given:
                raise ValueError(
                    f"the prompt holds {found} placeholder tokens for {modality}_embeds, but "
                    f"{given} were given: placeholders must not be written as text"
                )
        return super()._maybe_apply_prompt_updates(mm_items, mm_res)
