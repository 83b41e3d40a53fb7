"""The router's own tokenizer: one token a word, one token a piece of a call's JSON.

Copying a word needs the same token wherever the word stands: text is lower-cased, white space
is dropped, and every word token decodes with the space before it (none after an opening quote).
A word outside the vocabulary falls back to byte-pair pieces, a letter outside the alphabet to
bytes; a number is written digit by digit, so that any number can be copied.
"""

import json
import string
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

from tastemaker.router.messages import MAX_ITEMS, MAX_LISTS, NOTHING
from tastemaker.router.sentences import SENTENCES

PAD, END, ITEM, TASTE = "<|pad|>", "<|end|>", "<|item|>", "<|taste|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
ASSISTANT = "<|assistant|>"
SPECIAL = (PAD, END, ITEM, TASTE, *ROLES)
HANDLES = tuple(f"@{n}" for n in range(1, MAX_LISTS + 1))
PLACES = tuple(f"#{n}" for n in range(1, MAX_ITEMS + 1))
CALL = ("<tool_call>", "</tool_call>")
JSON_PIECES = (
    '\n{"name": "search_items", "arguments": {"query": "',
    '\n{"name": "similar_items", "arguments": {"item": "',
    '\n{"name": "similar_items", "arguments": {"item": {"list": "',
    '\n{"name": "recommend", "arguments": {"query": "',
    '\n{"name": "recommend", "arguments": {}}\n',
    '\n{"name": "recommend", "arguments": {"outcome": "',
    '\n{"name": "recommend", "arguments": {"diversity": "',
    '\n{"name": "complete_board", "arguments": {"items": "',
    '\n{"name": "shop_room", "arguments": {"item": "',
    '\n{"name": "board_get", "arguments": {"title": "',
    '\n{"name": "board_save", "arguments": {"title": "',
    '\n{"name": "answer", "arguments": {"text": "',
    '", "category": "',
    '", "max_price": ',
    '", "cheaper_than": "',
    ', "cheaper_than": "',
    '", "items": "',
    '", "outcome": "',
    '", "diversity": "',
    '", "query": "',
    '"}, "query": "',
    '", "ref": "',
    '"}}\n',
    '"}}}\n',
    "}}\n",
    '\n{"name": "',
    '", "arguments": {"',
    '": "',
    '", "',
)
_WORD = r"\w+(?:[-'\u2019]\w+)*|[^\w\s]"
_SPACE = "▁"
_NUM_PIECES = 700  # of the byte-pair fallback, letters included
CHAT_TEMPLATE = (Path(__file__).parent / "chat_template.jinja").read_text()


def build_tokenizer(words: Iterable[str]) -> PreTrainedTokenizerFast:
    """Make a tokenizer in which each of the words is one token.

    Args:
        words: Words of the dialogues; order and repetition do not count.

    Returns:
        The tokenizer, with its chat template.
    """
    splitter = _splitter()
    said = {piece for word in words for piece in split_words(word)}
    known = sorted(said | set(string.punctuation) | {NOTHING})
    learner = Tokenizer(BPE(byte_fallback=True))
    learner.normalizer, learner.pre_tokenizer = _normalizer(), splitter
    trainer = BpeTrainer(
        vocab_size=_NUM_PIECES,
        min_frequency=2,
        initial_alphabet=list(string.ascii_lowercase + string.digits + string.punctuation),
        show_progress=False,
    )
    learner.train_from_iterator(known, trainer)
    pieces, merges = _pieces(learner)
    starts = [(_SPACE, digit) for digit in string.digits]  # a number's first digit is one token
    merges = starts + [pair for pair in merges if pair not in starts]
    pieces += ["".join(pair) for pair in starts]
    added = [*SPECIAL, *CALL, *JSON_PIECES, *SENTENCES, *HANDLES, *PLACES]
    names = [*added, *(f"<0x{byte:02X}>" for byte in range(256)), *pieces]
    names += [_SPACE + word for word in known]
    vocabulary = {name: i for i, name in enumerate(dict.fromkeys(names))}
    model = BPE(vocab=vocabulary, merges=merges, byte_fallback=True, ignore_merges=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer, tokenizer.pre_tokenizer = _normalizer(), splitter
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace(_SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Replace(Regex('(?<=": ") '), ""),
        ]
    )
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in SPECIAL])
    plain = added[len(SPECIAL) :]
    tokenizer.add_tokens([AddedToken(t, normalized=False, special=False) for t in plain])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
    )


def split_words(text: str) -> list[str]:
    """The words of a text as the tokenizer sees them: lower case, punctuation apart."""
    normal = _normalizer().normalize_str(text)
    return [w.removeprefix(_SPACE) for w, _ in _splitter().pre_tokenize_str(normal)]


def canonical(text: str) -> str:
    """A text as the router would write it: its words with single spaces between."""
    return " ".join(split_words(text))


def _normalizer() -> normalizers.Normalizer:
    return normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])


def _splitter() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\s+"), behavior="removed"),
            pre_tokenizers.Split(Regex(_WORD), behavior="isolated"),
            pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="always", split=False),
        ]
    )


def _pieces(learner: Tokenizer) -> tuple[list[str], list[tuple[str, str]]]:
    """Pieces in the order they were learnt, and the merges that make them."""
    model = json.loads(learner.to_str())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    return sorted(model["vocab"], key=model["vocab"].get), merges
