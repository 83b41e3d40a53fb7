"""An encoder as files: weights.safetensors, vocabulary.json and encoder.json (its settings)."""

import json
from pathlib import Path

from tastemaker.core.config import from_settings, to_settings
from tastemaker.core.errors import NotFound
from tastemaker.encoder.config import EncoderConfig
from tastemaker.encoder.model import Encoder
from tastemaker.encoder.words import Vocabulary


def save_encoder(encoder: Encoder, folder: Path) -> None:
    """Write an encoder into an existing folder."""
    from safetensors.torch import save_file

    weights = {name: tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    vocabulary = {
        "words": encoder.vocabulary.words,
        "buckets": encoder.vocabulary.buckets,
        "max_words": encoder.vocabulary.max_words,
    }
    (folder / "vocabulary.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    (folder / "encoder.json").write_text(to_settings(encoder.config))


def load_encoder(folder: Path) -> Encoder:
    """Read an encoder, ready to embed.

    Args:
        folder: A bundle's folder, wherever it lies.

    Raises:
        NotFound: The folder does not hold an encoder.
    """
    from safetensors.torch import load_file

    if not (folder / "weights.safetensors").is_file() or not (folder / "encoder.json").is_file():
        raise NotFound(f"{folder} holds no encoder (weights.safetensors and encoder.json)")
    config = from_settings(EncoderConfig, (folder / "encoder.json").read_text(), family="encoder")
    words = json.loads((folder / "vocabulary.json").read_text())
    vocabulary = Vocabulary(tuple(words["words"]), words["buckets"], words["max_words"])
    encoder = Encoder(config, vocabulary)
    encoder.load_state_dict(load_file(folder / "weights.safetensors"))
    return encoder.eval()
