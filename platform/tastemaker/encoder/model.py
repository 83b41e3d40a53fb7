"""The encoder: an image tower and a text tower that meet in one space of unit vectors.

An item's vector is the normalised sum of its image vector and `text_share` times its text
vector, so that a query's similarity to an item is a weighted mean of its similarities to the
two. An item without text is its image vector.

Shape suffixes: B = batch, D = width of the space, P = side in pixels, W = words, F = features.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tastemaker.core.errors import DataError
from tastemaker.encoder import pictures
from tastemaker.encoder.config import EncoderConfig, ImageConfig, TextConfig
from tastemaker.encoder.statistics import WIDTH, describe
from tastemaker.encoder.words import TextBatch, Vocabulary, split_words

CHUNK = 256  # rows embedded at a time: bounds memory


class Residual(nn.Module):
    """Two 3x3 convolutions around a skip connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)
        nn.init.zeros_(self.second_norm.weight)  # starts as the identity

    def forward(self, x: Tensor) -> Tensor:
        """Same shape out."""
        inner = F.relu(self.first_norm(self.first(x)))
        return F.relu(x + self.second_norm(self.second(inner)))


class ImageTower(nn.Module):
    """Pixels to features: convolutions, beside fixed statistics where the settings ask for them."""

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width, depth in zip(config.widths, config.depths, strict=True):
            layers += [nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
            layers += [Residual(width) for _ in range(depth)]
            before = width
        self.convolutions = nn.Sequential(*layers)
        self.statistics: nn.Module | None = None
        self.num_features = before
        if config.statistics:
            # linear on standardised numbers: what a ridge regression would see
            self.statistics = nn.Sequential(
                nn.BatchNorm1d(WIDTH, affine=False),
                nn.Dropout(config.statistics_dropout_frac),
                nn.Linear(WIDTH, before),
            )
            self.num_features = 2 * before

    def forward(self, pixels_B3PP: Tensor) -> Tensor:
        """Float pixels in -1..1 to (B, num_features)."""
        features: Tensor = self.convolutions(pixels_B3PP).mean((2, 3)).float()
        if self.statistics is None:
            return features
        return torch.cat([features, self.statistics(describe(pixels_B3PP)).float()], 1)


class TextTower(nn.Module):
    """Words to features: attention over the words, then a residual block."""

    def __init__(self, config: TextConfig, num_words: int) -> None:
        super().__init__()
        width = config.width
        self.words = nn.Embedding(num_words + 1, width)
        self.grams = nn.EmbeddingBag(config.buckets, width, mode="mean")
        for table in (self.words, self.grams):
            nn.init.normal_(table.weight, std=0.1)
        with torch.no_grad():
            self.words.weight[0].zero_()  # an unknown word is its n-grams
        self.word_norm = nn.LayerNorm(width)
        self.attention = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))
        self.block = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.num_features = width

    def forward(self, batch: TextBatch) -> Tensor:
        """(B, width); a text without words gives the same features as any other such."""
        B, device = len(batch.starts_B), batch.starts_B.device
        vector_WF = self.words(batch.words_W) + self.grams(batch.grams_G, batch.gram_starts_W)
        vector_WF = self.word_norm(vector_WF)
        ends_B = torch.cat([batch.starts_B[1:], batch.starts_B.new_tensor([len(batch.words_W)])])
        rows_B = torch.arange(B, device=device)
        owner_W = torch.repeat_interleave(rows_B, ends_B - batch.starts_B)
        weight_W = self.attention(vector_WF)[:, 0].clamp(-15, 15).exp()
        total_B = torch.zeros(B, device=device).index_add(0, owner_W, weight_W).clamp_min(1e-9)
        share_W = weight_W / total_B[owner_W]
        empty_BF = torch.zeros(B, self.num_features, device=device)
        pooled = empty_BF.index_add(0, owner_W, vector_WF * share_W[:, None])
        features: Tensor = pooled + self.block(pooled)
        return features


class Encoder(nn.Module):
    """Two towers and the space that they share.

    Args:
        config: Sizes.
        vocabulary: Of the text tower.
    """

    def __init__(self, config: EncoderConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config = config
        self.vocabulary = vocabulary
        self.image = ImageTower(config.image)
        self.text = TextTower(config.text, len(vocabulary.words))
        self.image_head = _head(self.image.num_features, config)
        self.text_head = _head(self.text.num_features, config)
        self.share_logit = nn.Parameter(torch.tensor(0.0))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.share_logit.device

    @property
    def text_share(self) -> Tensor:
        """Weight of an item's text beside its image, 0..2, learned; starts at 1."""
        return 2 * torch.sigmoid(self.share_logit)

    def image_vectors(self, pixels_B3PP: Tensor) -> Tensor:
        """Float pixels in -1..1 to unit vectors (B, D)."""
        return F.normalize(self.image_head(self.image(pixels_B3PP)), dim=1)

    def text_vectors(self, texts: Sequence[Sequence[str]]) -> Tensor:
        """Texts as lists of words to unit vectors (B, D)."""
        batch = self.vocabulary.encode(texts).to(self.device)
        return F.normalize(self.text_head(self.text(batch)), dim=1)

    def fuse(self, image_BD: Tensor, text_BD: Tensor, has_text_B: Tensor) -> Tensor:
        """Item vectors from the vectors of their images and texts.

        Args:
            image_BD: Unit vectors.
            text_BD: Unit vectors.
            has_text_B: Bool; False leaves the image alone.
        """
        share_B1 = (self.text_share * has_text_B)[:, None]
        return F.normalize(image_BD + share_B1 * text_BD, dim=1)

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        """Queries or titles to unit vectors.

        Args:
            texts: Any texts; one without a word is embedded as no words.

        Returns:
            (len(texts), dim) float32.
        """
        return self._in_chunks([self._text_chunk(texts[a:b]) for a, b in _chunks(len(texts))])

    def embed_image(self, images: Sequence[bytes]) -> np.ndarray:
        """Encoded image files to unit vectors.

        Args:
            images: JPEG, PNG or any other format that Pillow reads.

        Returns:
            (len(images), dim) float32.

        Raises:
            DataError: One cannot be decoded.
        """
        return self._in_chunks([self._image_chunk(images[a:b]) for a, b in _chunks(len(images))])

    def embed_items(self, images: Sequence[bytes], texts: Sequence[str]) -> np.ndarray:
        """Catalogue items to unit vectors, image and text fused.

        Args:
            images: One encoded image file an item.
            texts: One `item_text` an item; "" where there is none.

        Returns:
            (len(images), dim) float32.

        Raises:
            DataError: The two differ in length, or an image cannot be decoded.
        """
        if len(images) != len(texts):
            raise DataError(f"{len(images)} images and {len(texts)} texts: one of each an item")
        parts = []
        for a, b in _chunks(len(images)):
            has_text_B = torch.tensor([bool(split_words(text)) for text in texts[a:b]])
            with torch.inference_mode():
                image_BD = self._image_chunk(images[a:b])
                text_BD = self._text_chunk(texts[a:b])
                parts.append(self.fuse(image_BD, text_BD, has_text_B.to(self.device)))
        return self._in_chunks(parts)

    @torch.inference_mode()
    def _text_chunk(self, texts: Sequence[str]) -> Tensor:
        return self.text_vectors([split_words(text) for text in texts])

    @torch.inference_mode()
    def _image_chunk(self, images: Sequence[bytes]) -> Tensor:
        pixels_B3PP = pictures.stack(images, self.config.image.px).to(self.device)
        return self.image_vectors(pictures.to_float(pixels_B3PP))

    def _in_chunks(self, parts: list[Tensor]) -> np.ndarray:
        assert not self.training, "embed with a model in eval mode"
        return torch.cat([torch.zeros(0, self.config.dim), *(part.cpu() for part in parts)]).numpy()


def item_text(title: str, text: str) -> str:
    """The text of an item that its vector is made of."""
    return f"{title} {text}".strip()


def _head(num_features: int, config: EncoderConfig) -> nn.Module:
    return nn.Sequential(nn.Dropout(config.dropout_frac), nn.Linear(num_features, config.dim))


def _chunks(total: int) -> list[tuple[int, int]]:
    return [(at, min(at + CHUNK, total)) for at in range(0, total, CHUNK)]
