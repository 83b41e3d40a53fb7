import json
from pathlib import Path

import pytest
from tokenizers.decoders import DecodeStream
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tastemaker.router.tokenizer import build_tokenizer, canonical, split_words

CALL = '<tool_call>\n{"name": "search_items", "arguments": {"query": "red sofa"}}\n</tool_call>'


def test_a_word_is_the_same_token_in_prose_and_in_a_call(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    said = tokenizer("Show me a RED sofa")["input_ids"]
    called = tokenizer(CALL)["input_ids"]
    assert said[-2:] == called[2:4]
    assert len(called) == 6  # mark, opening, red, sofa, closing, mark


def test_calls_decode_exactly_also_when_streamed(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = tokenizer(CALL)["input_ids"]
    assert tokenizer.decode(ids) == CALL
    stream, text = DecodeStream(skip_special_tokens=False), ""
    for token in ids:
        text += stream.step(tokenizer.backend_tokenizer, token) or ""
    assert text == CALL


def test_numbers_are_digits(tokenizer: PreTrainedTokenizerFast) -> None:
    said, called = tokenizer("under 317")["input_ids"], tokenizer('"max_price": 317')["input_ids"]
    assert len(said) == 1 + 3
    assert said[1:] == called[-3:]


def test_a_call_with_every_argument_is_pieces_and_words(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    arguments = '{"query": "lamp", "max_price": 5, "cheaper_than": "@1"}'
    call = '\n{"name": "search_items", "arguments": ' + arguments + "}\n"
    assert json.loads(tokenizer.decode(tokenizer(call)["input_ids"])) == json.loads(call)


@pytest.mark.parametrize(
    ("call", "num_tokens"),
    [
        ('{"name": "recommend", "arguments": {"query": "lamp", "outcome": "closeup"}}', 5),
        ('{"name": "recommend", "arguments": {"diversity": "high"}}', 3),
        ('{"name": "complete_board", "arguments": {"items": "@1", "query": "lamp"}}', 5),
        ('{"name": "shop_room", "arguments": {"item": "@1#1"}}', 4),
        ('{"name": "board_get", "arguments": {"title": "lamp"}}', 3),
        ('{"name": "board_save", "arguments": {"title": "lamp", "items": "@2"}}', 5),
    ],
)
def test_each_tool_begins_with_one_token(
    call: str, num_tokens: int, tokenizer: PreTrainedTokenizerFast
) -> None:
    ids = tokenizer(f"\n{call}\n")["input_ids"]
    assert len(ids) == num_tokens
    assert tokenizer.decode(ids) == f"\n{call}\n"


@pytest.mark.parametrize("word", ["zblorfy", "t-shirt", "don't", "1234567", "größe", "沙发", "🛋"])
def test_any_word_survives_the_round_trip(word: str, tokenizer: PreTrainedTokenizerFast) -> None:
    ids = tokenizer(f"a {word} b")["input_ids"]
    assert tokenizer.decode(ids).strip() == f"a {word} b"


def test_white_space_and_case_do_not_count(tokenizer: PreTrainedTokenizerFast) -> None:
    same = {tuple(tokenizer(t)["input_ids"]) for t in ("red sofa", " Red\n sofa ", "RED  SOFA")}
    assert len(same) == 1


def test_words_are_split_from_punctuation() -> None:
    assert split_words("Mid-century SOFA, for £300!") == [
        "mid-century", "sofa", ",", "for", "£", "300", "!",
    ]  # fmt: skip
    assert canonical("  Red   Sofa ") == "red sofa"


def test_equal_words_make_an_equal_tokenizer(tmp_path: Path) -> None:
    words = ["velvet sofa", "oak table", "lamp", "lamps"]
    one, two = build_tokenizer(words), build_tokenizer(reversed(words))
    assert one.backend_tokenizer.to_str() == two.backend_tokenizer.to_str()
    one.save_pretrained(str(tmp_path))
    again = AutoTokenizer.from_pretrained(str(tmp_path))
    assert again(CALL)["input_ids"] == one(CALL)["input_ids"]
    assert again.chat_template == one.chat_template
