"""The router's messages in OpenAI chat form: how items and users travel as content parts.

Needs numpy and the standard library only, so that the gateway, the training code and the engine's
environment share it. An item list is one `image_embeds` part (base64 of a `.npy` float16 array,
one row an item), announced by its handle `@1`, `@2`, ... in order of appearance in the
conversation; the user embedding is one `audio_embeds` part (base64 of torch's file format, which
is all that the engine takes there).
"""

import base64
import io
import json
import math
import re
import unicodedata
import zipfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

NOTHING = "nothing"  # content of a tool message without items
MAX_LISTS = 32  # handles @1 ... @32 are known to the router
MAX_ITEMS = 200  # and #1 ... #200 within a list

Message = dict[str, Any]
Part = dict[str, Any]

_RESERVED = re.compile(r"<\|[^|<>]*\|>|</?tool_call>", re.IGNORECASE)
_HANDLE = re.compile(r"^@([1-9]\d*)(?:#([1-9]\d*))?$")


def clean_text(text: str) -> str:
    """What a person wrote, without the marks that only the chat template may write."""
    text = unicodedata.normalize("NFKC", text)
    while _RESERVED.search(text):
        text = _RESERVED.sub(" ", text)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def encode_items(vectors_ND: np.ndarray) -> Part:
    """An item list as a content part.

    Args:
        vectors_ND: N >= 1 item vectors of width D, rounded to float16 on the way.

    Raises:
        ValueError: Not two-dimensional, empty, or longer than `MAX_ITEMS`.
    """
    if vectors_ND.ndim != 2 or not 1 <= len(vectors_ND) <= MAX_ITEMS:
        raise ValueError(f"an item list is (1..{MAX_ITEMS}, dim), got shape {vectors_ND.shape}")
    half_ND = np.ascontiguousarray(vectors_ND, dtype=np.float16)
    raw = _npy_head(half_ND.shape) + half_ND.tobytes()
    return {"type": "image_embeds", "image_embeds": base64.b64encode(raw).decode()}


def decode_items(part: Part) -> np.ndarray:
    """Vectors of an item list part, (N, D) float32."""
    raw = base64.b64decode(part["image_embeds"])
    return np.load(io.BytesIO(raw), allow_pickle=False).astype(np.float32)


def encode_user(vector_D: np.ndarray) -> Part:
    """A user embedding as a content part; `vector_D` is kept as float32 of shape (1, D)."""
    row = np.ascontiguousarray(vector_D, dtype="<f4").reshape(-1)
    return {"type": "audio_embeds", "audio_embeds": _torch_file(row.tobytes(), row.size)}


def decode_user(part: Part) -> np.ndarray:
    """The user embedding of a part that `encode_user` made, (D,) float32."""
    raw = base64.b64decode(part["audio_embeds"])
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return np.frombuffer(archive.read("archive/data/0"), dtype="<f4").copy()


def system_message(user_D: np.ndarray | None) -> list[Message]:
    """The conversation's head: the user embedding where one is known, else nothing."""
    return [] if user_D is None else [{"role": "system", "content": [encode_user(user_D)]}]


def user_message(text: str, lists: Mapping[int, np.ndarray] | None = None) -> Message:
    """What a person says, after the item lists that they bring (a board, items on show).

    Args:
        text: Their words.
        lists: Vectors by the number of the list's handle.
    """
    parts: list[Part] = []
    for number, vectors in (lists or {}).items():
        parts += [_handle(number), encode_items(vectors)]
    return {"role": "user", "content": [*parts, {"type": "text", "text": clean_text(text)}]}


def assistant_message(call_id: str, name: str, arguments: Mapping[str, Any]) -> Message:
    """One tool call of the router."""
    text = json.dumps(dict(arguments), ensure_ascii=False)
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}
    return {"role": "assistant", "tool_calls": [call]}


def tool_message(call_id: str, number: int, vectors_ND: np.ndarray) -> Message:
    """A tool's result: the list `@number`, or `NOTHING` where it is empty (no number is spent)."""
    parts: list[Part] = [{"type": "text", "text": NOTHING}]
    if len(vectors_ND):
        parts = [_handle(number), encode_items(vectors_ND)]
    return {"role": "tool", "tool_call_id": call_id, "content": parts}


def told_message(call_id: str, text: str) -> Message:
    """A tool's result in words: that a board is saved, or what was wrong with the call."""
    content = [{"type": "text", "text": clean_text(text) or NOTHING}]
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def parse_handle(handle: str) -> tuple[int, int | None]:
    """Read `@2` or `@2#3`.

    Returns:
        The list's number and the item's place in it, both from 1; None for the whole list.

    Raises:
        ValueError: Anything else.
    """
    found = _HANDLE.match(handle)
    if not found:
        raise ValueError(f"{handle!r} is not a handle; handles look like @1 or @1#2")
    return int(found[1]), int(found[2]) if found[2] else None


def read_call(message: Message) -> tuple[str, dict[str, Any]]:
    """Name and arguments of an assistant message's one call.

    Raises:
        ValueError: No call, several calls, or arguments that are not a JSON object.
    """
    calls: Sequence[Any] = message.get("tool_calls") or []
    if len(calls) != 1:
        raise ValueError(f"a router turn is exactly one call, got {len(calls)}")
    function = calls[0]["function"]
    arguments = function["arguments"]
    arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
    if not isinstance(arguments, dict):
        raise ValueError(f"arguments are a JSON object, got {arguments!r}")
    return function["name"], arguments


def _handle(number: int) -> Part:
    if not 1 <= number <= MAX_LISTS:
        raise ValueError(f"a conversation holds lists @1 to @{MAX_LISTS}, not @{number}")
    return {"type": "text", "text": f"@{number}"}


@lru_cache(maxsize=MAX_ITEMS)
def _npy_head(shape: tuple[int, ...]) -> bytes:
    """What comes before the values in a `.npy` file of a float16 array."""
    out = io.BytesIO()
    np.save(out, np.empty(shape, np.float16), allow_pickle=False)
    return out.getvalue()[: -2 * math.prod(shape)]


@lru_cache(maxsize=1024)  # a user's is the same until the next event: every step sends it
def _torch_file(row: bytes, width_D: int) -> str:
    """What `torch.save` writes for a float32 tensor (1, D), made without torch, in base64."""
    width = _pickled_int(width_D)
    pickled = (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage"
        b"ctorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
        + (width + b"tQK\x00K\x01" + width + b"\x86" + width + b"K\x01\x86")
        + b"\x89ccollections\nOrderedDict\n)RtR."
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in (
            ("archive/data.pkl", pickled),
            ("archive/byteorder", b"little"),
            ("archive/data/0", row),
            ("archive/version", b"3\n"),
        ):
            archive.writestr(zipfile.ZipInfo(name), content)
    return base64.b64encode(out.getvalue()).decode()


def _pickled_int(value: int) -> bytes:
    return b"J" + value.to_bytes(4, "little")
