"""Training examples: batches of items with their queries, as a function of the step number.

Shape suffixes: N = training items, B = rows of a batch, V = attribute values, P = side in pixels.
"""

import random
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from tastemaker.core.errors import DataError
from tastemaker.data import records
from tastemaker.encoder import pictures
from tastemaker.encoder.config import AugmentConfig, EncoderConfig
from tastemaker.encoder.model import item_text
from tastemaker.encoder.words import split_words

CATEGORY = "category"  # counted as an attribute
MAX_VALUES = 400  # an attribute with more (a maker's number, a size) is not named by a head
COMPANIONS_FRAC = 0.25  # of a batch: board neighbours of its first rows
MAX_QUERY_VALUES = 4  # attributes named by one query


@dataclass(frozen=True)
class Batch:
    """Rows of a batch.

    Attributes:
        pixels_B3PP: Varied pictures, -1..1.
        query_words: One query a row, in words.
        item_words: The row's own text, in words; empty where it is withheld.
        fits_BB: Bool: query i also describes item j.
        same_BB: Bool: items i and j have the same title.
        neighbours_BB: Bool: items i and j share a board; the diagonal is False.
        values: Number of each row's value by attribute, -1 for none.
    """

    pixels_B3PP: Tensor
    query_words: list[list[str]]
    item_words: list[list[str]]
    fits_BB: Tensor
    same_BB: Tensor
    neighbours_BB: Tensor
    values: dict[str, Tensor]

    def to(self, device: torch.device) -> "Batch":
        """The same with its tensors on a device."""
        return replace(
            self,
            pixels_B3PP=self.pixels_B3PP.to(device),
            fits_BB=self.fits_BB.to(device),
            same_BB=self.same_BB.to(device),
            neighbours_BB=self.neighbours_BB.to(device),
            values={key: value_B.to(device) for key, value_B in self.values.items()},
        )


class Examples:
    """The training items of a dataset version, decoded and split into words.

    Args:
        items: Rows of the items table that the encoder learns from.
        boards: Rows of the boards table whose neighbours it may see.
        config: The encoder's settings.

    Raises:
        DataError: Fewer than two items.
    """

    def __init__(self, items: pa.Table, boards: pa.Table, config: EncoderConfig) -> None:
        if len(items) < 2:
            raise DataError(f"{len(items)} items to train an encoder on; at least 2 are needed")
        self.augment, self.seed = config.augment, config.seed
        self.batch_size = min(config.batch_size, len(items))
        self.pixels_N3PP = pictures.stack(items["image"].to_pylist(), config.image.px)
        self.titles = [split_words(title) for title in items["title"].to_pylist()]
        pairs = zip(items["title"].to_pylist(), items["text"].to_pylist(), strict=True)
        self.texts = [split_words(item_text(title, text)) for title, text in pairs]
        self.title_N = _numbered([" ".join(words) for words in self.titles])
        self.attributes = [
            {CATEGORY: row[CATEGORY], **records.attributes(row["attributes"])}
            for row in items.select([CATEGORY, "attributes"]).to_pylist()
        ]
        self._number_values()
        self._join_boards(items["item_id"].to_pylist(), boards if config.board_weight else None)

    def __len__(self) -> int:
        """Number of items, N."""
        return len(self.titles)

    def corpus(self) -> list[str]:
        """Every training text, for the vocabulary: item texts, and attribute values."""
        named = (" ".join(values.values()) for values in self.attributes)
        return [" ".join(words) for words in self.texts] + list(named)

    @property
    def steps_per_epoch(self) -> int:
        """Batches that see about every item once."""
        return max(1, round(len(self) / self.batch_size))

    def num_values(self) -> dict[str, int]:
        """Number of values of each attribute that can be named."""
        return {key: len(values) for key, values in self.value_numbers.items()}

    def batch(self, step: int) -> Batch:
        """The batch of a step; pictures are varied by torch's global random state."""
        rng = random.Random(self.seed * 1_000_003 + step)
        rows_B = self._rows(step, rng)
        wanted_BV = torch.zeros(len(rows_B), self.values_NV.shape[1])
        queries = [
            self._query(row, rng, wanted) for row, wanted in zip(rows_B, wanted_BV, strict=True)
        ]
        title_B = self.title_N[rows_B]
        same_BB = title_B[:, None] == title_B[None, :]
        named_B = wanted_BV.sum(1)
        held_BB = wanted_BV @ self.values_NV[rows_B].T
        fits_BB = (held_BB == named_B[:, None]) & (named_B[:, None] > 0)
        return Batch(
            pixels_B3PP=pictures.vary(pictures.to_float(self.pixels_N3PP[rows_B]), self.augment),
            query_words=queries,
            item_words=[self._item_words(row, rng) for row in rows_B],
            fits_BB=fits_BB | (same_BB & (named_B[:, None] == 0)),
            same_BB=same_BB,
            neighbours_BB=self._neighbours(rows_B),
            values={key: column_N[rows_B] for key, column_N in self.columns.items()},
        )

    def _number_values(self) -> None:
        keys = sorted({key for values in self.attributes for key in values})
        self.value_numbers: dict[str, dict[str, int]] = {}
        self.columns: dict[str, Tensor] = {}
        flat = sorted({pair for values in self.attributes for pair in values.items() if pair[1]})
        place = {pair: v for v, pair in enumerate(flat)}
        self.place = place
        self.values_NV = torch.zeros(len(self), len(flat))
        for row, values in enumerate(self.attributes):
            held = [place[pair] for pair in values.items() if pair[1]]
            self.values_NV[row, held] = 1
        for key in keys:
            names = [values.get(key, "") for values in self.attributes]
            numbers = {name: n for n, name in enumerate(sorted(set(names) - {""}))}
            if 2 <= len(numbers) <= MAX_VALUES:
                self.value_numbers[key] = numbers
                self.columns[key] = torch.tensor([numbers.get(name, -1) for name in names])

    def _join_boards(self, ids: list[str], boards: pa.Table | None) -> None:
        row_of = {item: row for row, item in enumerate(ids)}
        members = boards["items"].to_pylist() if boards is not None else []
        on_board = [[row_of[item] for item in board if item in row_of] for board in members]
        self.boards_of: dict[int, set[int]] = defaultdict(set)
        for board, rows in enumerate(on_board):
            for row in rows if len(rows) > 1 else ():
                self.boards_of[row].add(board)
        self.members = on_board

    def _rows(self, step: int, rng: random.Random) -> list[int]:
        epoch, at = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self))
        start = at * self.batch_size
        rows = [int(order[(start + k) % len(self)]) for k in range(self.batch_size)]
        if not self.boards_of:
            return rows
        num_companions = int(self.batch_size * COMPANIONS_FRAC)
        chosen = dict.fromkeys(rows[: self.batch_size - num_companions])
        for row in [row for row in chosen if row in self.boards_of][:num_companions]:
            board = rng.choice(sorted(self.boards_of[row]))
            chosen.setdefault(rng.choice(self.members[board]))
        for row in rows:
            if len(chosen) < self.batch_size:
                chosen.setdefault(row)
        return list(chosen)

    def _neighbours(self, rows: list[int]) -> Tensor:
        rows_of_board: dict[int, list[int]] = defaultdict(list)
        for place, row in enumerate(rows):
            for board in self.boards_of.get(row, ()):
                rows_of_board[board].append(place)
        neighbours_BB = torch.zeros(len(rows), len(rows), dtype=torch.bool)
        for places in rows_of_board.values():
            at = torch.tensor(places)
            neighbours_BB[at[:, None], at[None, :]] = True
        return neighbours_BB.fill_diagonal_(False)

    def _query(self, row: int, rng: random.Random, wanted_V: Tensor) -> list[str]:
        values = [(key, value) for key, value in self.attributes[row].items() if value]
        if values and rng.random() < self.augment.attribute_query_frac:
            count = rng.randint(1, min(MAX_QUERY_VALUES, len(values)))
            chosen = rng.sample(values, count)
            if self.attributes[row][CATEGORY] and rng.random() < 0.5:
                chosen = [*{pair: None for pair in chosen if pair[0] != CATEGORY}]
                chosen.append((CATEGORY, self.attributes[row][CATEGORY]))
            for pair in chosen:
                wanted_V[self.place[pair]] = 1
            return [word for _, value in chosen for word in split_words(value)]
        whole = rng.random() < 0.3
        return dropped(self.texts[row] if whole else self.titles[row], rng, self.augment)

    def _item_words(self, row: int, rng: random.Random) -> list[str]:
        if rng.random() < self.augment.blind_item_frac:
            return []
        return dropped(self.texts[row], rng, self.augment)


def dropped(words: list[str], rng: random.Random, config: AugmentConfig) -> list[str]:
    """Leave words out by chance; at least one stays where there was one."""
    kept = [word for word in words if rng.random() >= config.word_dropout_frac]
    return kept or words[:1]


def _numbered(names: list[str]) -> Tensor:
    numbers = {name: n for n, name in enumerate(dict.fromkeys(names))}
    return torch.tensor([numbers[name] for name in names])
