"""Words: from a text to word numbers and hashed letter n-grams.

A word of the vocabulary has a vector of its own; each word, known or not, also has the mean of
its n-grams' vectors, so that plurals, typing errors and new compounds land near what they mean.
"""

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

_WORD = re.compile(r"[^\W_]+")
UNKNOWN = 0  # number of a word outside the vocabulary
GRAM_LENGTHS = (3, 4)  # letters, with < and > at the word's ends


def split_words(text: str) -> list[str]:
    """Lower-case words and numbers of a text, accents folded away.

    >>> split_words("Crème-coloured SOFA, 2.5 seats")
    ['creme', 'coloured', 'sofa', '2', '5', 'seats']
    """
    folded = unicodedata.normalize("NFKD", text.lower())
    return _WORD.findall("".join(c for c in folded if not unicodedata.combining(c)))


@lru_cache(maxsize=1 << 16)
def letter_grams(word: str, buckets: int) -> tuple[int, ...]:
    """Buckets of a word's letter n-grams; the same on every machine."""
    marked = f"<{word}>"
    grams = (marked[i : i + n] for n in GRAM_LENGTHS for i in range(len(marked) - n + 1))
    return tuple(zlib.crc32(gram.encode()) % buckets for gram in grams)


@dataclass(frozen=True)
class TextBatch:
    """Texts as numbers: B texts, W words in all, G n-grams in all.

    Attributes:
        words_W: Word numbers, all texts one after another.
        starts_B: Where each text starts in `words_W`.
        grams_G: Buckets, all words one after another.
        gram_starts_W: Where each word starts in `grams_G`.
    """

    words_W: Tensor
    starts_B: Tensor
    grams_G: Tensor
    gram_starts_W: Tensor

    def to(self, device: torch.device) -> "TextBatch":
        """The same on a device."""
        columns = (self.words_W, self.starts_B, self.grams_G, self.gram_starts_W)
        return TextBatch(*(column.to(device) for column in columns))


@dataclass(frozen=True)
class Vocabulary:
    """The words that have a vector of their own.

    Attributes:
        words: In the order of their numbers, from 1.
        buckets: Of the letter n-grams.
        max_words: Words read of a text; the rest is cut off.
    """

    words: tuple[str, ...]
    buckets: int
    max_words: int

    @classmethod
    def build(
        cls, texts: Iterable[str], *, buckets: int, min_count: int, max_words: int
    ) -> "Vocabulary":
        """Take the words that stand in at least `min_count` of the texts."""
        counts = Counter(word for text in texts for word in set(split_words(text)))
        kept = sorted(word for word, count in counts.items() if count >= min_count)
        return cls(tuple(kept), buckets, max_words)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, 1)}

    def encode(self, texts: Sequence[Sequence[str]]) -> TextBatch:
        """Encode texts that are split into words already; an empty one gives no words."""
        words: list[int] = []
        starts: list[int] = []
        grams: list[int] = []
        gram_starts: list[int] = []
        for text in texts:
            starts.append(len(words))
            for word in text[: self.max_words]:
                words.append(self._numbers.get(word, UNKNOWN))
                gram_starts.append(len(grams))
                grams.extend(letter_grams(word, self.buckets))
        return TextBatch(
            *(torch.tensor(x, dtype=torch.long) for x in (words, starts, grams, gram_starts))
        )
