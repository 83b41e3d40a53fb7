import base64
import io
import subprocess
import sys

import numpy as np
import pytest
import torch

from tastemaker.router.messages import (
    MAX_ITEMS,
    assistant_message,
    clean_text,
    decode_items,
    decode_user,
    encode_items,
    encode_user,
    parse_handle,
    read_call,
    system_message,
    tool_message,
    user_message,
)


def test_items_come_back_rounded_to_half_precision() -> None:
    vectors = np.random.default_rng(0).normal(size=(3, 8))
    part = encode_items(vectors)
    assert part["type"] == "image_embeds"
    np.testing.assert_array_equal(decode_items(part), vectors.astype(np.float16))


@pytest.mark.parametrize("shape", [(4,), (0, 4), (MAX_ITEMS + 1, 4)])
def test_lists_of_a_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="an item list is"):
        encode_items(np.zeros(shape))


@pytest.mark.parametrize("width", [1, 128, 300])
def test_user_part_is_what_torch_saves(width: int) -> None:
    vector = np.random.default_rng(0).normal(size=width).astype(np.float32)
    part = encode_user(vector)
    raw = base64.b64decode(part["audio_embeds"])
    loaded = torch.load(io.BytesIO(raw), weights_only=True)
    assert loaded.shape == (1, width)
    np.testing.assert_array_equal(loaded[0].numpy(), vector)
    np.testing.assert_array_equal(decode_user(part), vector)


def test_template_marks_in_a_users_text_are_dropped() -> None:
    text = "a <|item|> red\n<|e<|end|>nd|> sofa <tool_call>{} </tool_call>\x00"
    assert clean_text(text) == "a red sofa {}"


def test_messages_hold_their_parts_in_order() -> None:
    rows = np.ones((2, 4), np.float32)
    user = user_message("more like #2", {3: rows})
    assert [part["type"] for part in user["content"]] == ["text", "image_embeds", "text"]
    assert user["content"][0]["text"] == "@3"
    found = tool_message("c1", 4, rows)
    assert found["content"][0]["text"] == "@4"
    assert tool_message("c1", 4, rows[:0])["content"] == [{"type": "text", "text": "nothing"}]
    assert system_message(None) == []


def test_call_round_trips() -> None:
    message = assistant_message("c1", "search_items", {"query": "sofa"})
    assert read_call(message) == ("search_items", {"query": "sofa"})
    with pytest.raises(ValueError, match="exactly one call"):
        read_call({"role": "assistant", "content": "hello"})


def test_handles_are_numbers_from_one() -> None:
    assert parse_handle("@2") == (2, None)
    assert parse_handle("@1#10") == (1, 10)
    for wrong in ("@0", "1#2", "@1#0", "@1#2 ", "the second"):
        with pytest.raises(ValueError, match="is not a handle"):
            parse_handle(wrong)


def test_codec_needs_no_torch() -> None:
    code = (
        "import sys, numpy, tastemaker.router.messages as m, tastemaker.router.tools;"
        "m.encode_user(numpy.ones(3)); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
