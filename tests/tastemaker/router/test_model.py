from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from tastemaker.router.batches import collate, encode, pad_id, plan_batches, render
from tastemaker.router.config import RouterConfig
from tastemaker.router.dialogue_files import Dialogue, Turn, Vectors
from tastemaker.router.messages import user_message
from tastemaker.router.model import (
    RouterModel,
    generate_greedy,
    load_model,
    read_prompt,
    write_model,
    write_random_model,
)
from tastemaker.router.scoring import score_calls
from tastemaker.router.training import Trainer, bag_loss, rate


def test_rendering_equals_the_chat_template(
    dialogues: list[Dialogue], vectors: Vectors, tokenizer: PreTrainedTokenizerFast
) -> None:
    for dialogue in dialogues:
        messages = dialogue.to_messages(vectors)
        text = tokenizer.apply_chat_template(messages, tokenize=False)
        assert tokenizer(render(dialogue))["input_ids"] == tokenizer(text)["input_ids"]


def test_prompt_has_one_token_an_item_and_one_a_user(
    dialogues: list[Dialogue],
    vectors: Vectors,
    tokenizer: PreTrainedTokenizerFast,
    model: RouterModel,
) -> None:
    for dialogue, example in zip(dialogues[:30], encode(dialogues[:30], tokenizer), strict=True):
        prompt = read_prompt(dialogue.to_messages(vectors), tokenizer, model.config)
        assert prompt.ids[:-1] == example.ids.tolist()  # the last opens the next call
        np.testing.assert_array_equal(prompt.items_MD, vectors.items_ND[example.rows])
        assert prompt.places == example.places.tolist()
        assert len(prompt.users_MD) == (dialogue.user is not None)


def test_targets_are_the_calls(
    dialogues: list[Dialogue], tokenizer: PreTrainedTokenizerFast
) -> None:
    for dialogue, example in zip(dialogues[:30], encode(dialogues[:30], tokenizer), strict=True):
        calls = [turn for turn in dialogue.turns if turn.role == "assistant"]
        assert len(calls) == len(example.calls)
        for turn, (begin, end) in zip(calls, example.calls, strict=True):
            text = tokenizer.decode(example.ids[begin:end].tolist())
            assert text.startswith('<tool_call>\n{"name": "' + turn.name)
            assert text.endswith("</tool_call><|end|>")


def test_batches_hold_each_example_once_and_keep_to_the_budget(
    dialogues: list[Dialogue], tokenizer: PreTrainedTokenizerFast
) -> None:
    examples = encode(dialogues, tokenizer)
    plan = plan_batches(examples, batch_tokens=600, seed=1, epoch=0)
    assert sorted(i for batch in plan for i in batch) == list(range(len(examples)))
    sizes = [len(b) * max(len(examples[i].ids) for i in b) for b in plan if len(b) > 1]
    assert max(sizes) <= 600
    assert plan == plan_batches(examples, batch_tokens=600, seed=1, epoch=0)
    assert plan != plan_batches(examples, batch_tokens=600, seed=1, epoch=1)


def test_padding_and_company_change_nothing(
    dialogues: list[Dialogue],
    vectors: Vectors,
    tokenizer: PreTrainedTokenizerFast,
    model: RouterModel,
) -> None:
    examples = encode(dialogues[:6], tokenizer)
    pad = pad_id(tokenizer)

    def hidden(chosen: list[int]) -> torch.Tensor:
        b = collate([examples[i] for i in chosen], vectors, pad)
        return model.eval()(b.ids_BT, b.items_MD, b.places_M, b.users_MD)

    with torch.inference_mode():
        together = hidden(list(range(6)))
        for i, example in enumerate(examples):
            alone = hidden([i])[0]
            torch.testing.assert_close(together[i, : len(example.ids)], alone, atol=1e-4, rtol=1e-4)


def test_the_order_of_items_counts_and_the_place_is_read(
    tokenizer: PreTrainedTokenizerFast, model: RouterModel, vectors: Vectors
) -> None:
    def last(rows: list[int]) -> torch.Tensor:
        turn = Turn("user", "more like these", ((1, tuple(rows)),))
        example = encode([Dialogue((turn,))], tokenizer)
        b = collate(example, vectors, pad_id(tokenizer))
        with torch.inference_mode():
            return model(b.ids_BT, b.items_MD, b.places_M, b.users_MD)[0, -1]

    assert not torch.allclose(last([1, 2, 3]), last([3, 2, 1]))
    assert not torch.allclose(last([1, 1]), last([1, 1, 1]))


def test_files_round_trip_and_are_what_the_engine_reads(
    tmp_path: Path, model: RouterModel, tokenizer: PreTrainedTokenizerFast, vectors: Vectors
) -> None:
    write_model(model.eval(), tokenizer, tmp_path)
    again, read = load_model(tmp_path)
    messages = [user_message("more like the second", {1: vectors.items_ND[:4]})]
    wanted = generate_greedy(model, tokenizer, messages, max_tokens=12)
    assert generate_greedy(again, read, messages, max_tokens=12) == wanted
    assert again.config.architectures == ["ItemQwen3ForCausalLM"]
    assert len(again.config.item_index_token_ids) == 200
    assert not [name for name in again.state_dict() if "lm_head" in name]


def test_greedy_text_is_the_same_with_and_without_the_cache(
    tmp_path: Path, vectors: Vectors
) -> None:
    write_random_model(tmp_path, item_dim=vectors.items_ND.shape[1], user_dim=4, seed=3)
    model, tokenizer = load_model(tmp_path)
    messages = [user_message("a red sofa", {1: vectors.items_ND[:3]})]
    prompt = read_prompt(messages, tokenizer, model.config)
    text = generate_greedy(model, tokenizer, messages, max_tokens=5)
    ids = list(prompt.ids)
    for _ in range(5):
        with torch.inference_mode():
            hidden = model(
                torch.tensor([ids]),
                torch.from_numpy(prompt.items_MD),
                torch.tensor(prompt.places),
                torch.from_numpy(prompt.users_MD),
            )
            ids.append(int(model.head(hidden[:, -1]).argmax()))
    assert tokenizer.decode(ids[len(prompt.ids) :]) == text


@pytest.mark.slow
def test_a_batch_is_learnt_by_heart(
    dialogues: list[Dialogue],
    vectors: Vectors,
    tokenizer: PreTrainedTokenizerFast,
    model: RouterModel,
    small: RouterConfig,
) -> None:
    config = small.model_copy(update={"steps": 120, "alignment_steps": 0, "batch_tokens": 2000})
    examples = encode(dialogues[:4], tokenizer)
    trainer = Trainer(model, tokenizer, examples, vectors, ["red sofa"] * 48, config)
    losses = [trainer.step(i)["loss"] for i in range(config.steps)]
    assert losses[0] > 3
    assert losses[-1] < 0.1
    scores = score_calls(model.eval(), tokenizer, examples, vectors)
    assert all(score.exact for one in scores for score in one)
    turns = dialogues[0].turns
    wanted = [turn.name for turn in turns if turn.role == "assistant"]
    assert [score.tool for score in scores[0]] == wanted
    place = next(n for n, turn in enumerate(turns) if turn.role == "assistant")
    text = generate_greedy(model, tokenizer, dialogues[0].to_messages(vectors, until=place))
    assert f'"name": "{turns[place].name}"' in text  # what scoring calls exact, greedy writes


def test_alignment_loss_by_hand() -> None:
    words = torch.eye(2) * 0.0
    bags = torch.tensor([[1.0, 0.0]])
    assert bag_loss(torch.ones(1, 2), words, bags).item() == torch.log(torch.tensor(2.0)).item()


def test_rate_rises_stays_and_falls() -> None:
    config = RouterConfig(warmup_frac=0.1, decay_frac=0.5)
    assert [rate(i, 100, config) for i in (0, 9, 49, 75, 99)] == [0.1, 1.0, 1.0, 0.5, 0.02]
