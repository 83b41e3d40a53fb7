"""Calls as a router writes them by itself: do they name a tool, and follow its schema?"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerFast

from tastemaker.router import tools
from tastemaker.router.batches import Example
from tastemaker.router.dialogue_files import Vectors
from tastemaker.router.model import Prompt, RouterModel, greedy_ids

MAX_TOKENS = 96  # the longest call of the dialogues has fewer
_CALL = re.compile(r"\s*<tool_call>\s*(?P<call>\{.*\})\s*</tool_call>\s*", re.DOTALL)


@dataclass(frozen=True)
class Written:
    """What a router wrote after a history.

    Attributes:
        text: Word for word.
        known_tool: It names no tool that does not exist; what is no call names none.
        fault: What its tool's schema says against it; "" for a valid call.
    """

    text: str
    known_tool: bool
    fault: str


def read_call(text: str) -> Written:
    """Judge what a router wrote."""
    found = _CALL.fullmatch(text)
    try:
        call = json.loads(found["call"]) if found else None
    except ValueError:
        call = None
    if not isinstance(call, dict) or set(call) != {"name", "arguments"}:
        return Written(text, True, "no call of the form <tool_call>{name, arguments}</tool_call>")
    name, arguments = call["name"], call["arguments"]
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return Written(text, True, "name must be text and arguments an object")
    known = any(tool["function"]["name"] == name for tool in tools.TOOLS)
    return Written(text, known, tools.fault(name, arguments))


def write_call(
    model: RouterModel,
    tokenizer: PreTrainedTokenizerFast,
    example: Example,
    call: int,
    vectors: Vectors,
) -> Written:
    """What the model writes by itself in the place of a dialogue's call.

    Args:
        model: In evaluation mode.
        tokenizer: The model's own.
        example: A tokenized dialogue.
        call: Which of its calls, from 0.
        vectors: What its item and user tokens refer to.
    """
    ids = example.ids[: example.calls[call][0]].tolist()
    shown = ids.count(model.config.item_token_id)
    users: Sequence[int] = [] if example.user is None else [example.user]
    prompt = Prompt(
        ids=ids,
        items_MD=vectors.items_ND[example.rows[:shown]],
        users_MD=np.asarray(vectors.users_UD[list(users)]),
        places=example.places[:shown].tolist(),
    )
    words: Any = tokenizer.decode(greedy_ids(model, prompt, MAX_TOKENS))
    return read_call(str(words))
