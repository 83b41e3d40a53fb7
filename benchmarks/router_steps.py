"""How long a training step of the router takes, against torch's Muon and bfloat16 throughout.

    TASTEMAKER_HOME=... python -m benchmarks.router_steps        (after the chain; 2 minutes)

The live router's own dialogues and size. Both trainers take the same batches in turns, on one
thread; medians. On a processor that multiplies bfloat16 itself the difference is the optimizer's.
"""

import time

import numpy as np
import torch

from benchmarks.rows import row, save
from tastemaker.core.home import Home
from tastemaker.promotion.bundle import load_bundle
from tastemaker.promotion.environment import get_live
from tastemaker.router.batches import encode
from tastemaker.router.config import RouterConfig
from tastemaker.router.dialogue_files import open_dialogues
from tastemaker.router.model import RouterModel, model_config
from tastemaker.router.tokenizer import build_tokenizer
from tastemaker.router.training import Trainer

COMMAND = "python -m benchmarks.router_steps"
STEPS, WARM_UP = 15, 3


def main() -> None:
    """Time both and write the row."""
    home = Home.open()
    bundle = load_bundle(home, get_live(home, "local", "router").bundle, family="router")
    made = open_dialogues(home.fetch("dialogues", bundle.card.parents["dialogues"]))
    tokenizer = build_tokenizer(made.meta["vocabulary"])
    examples = encode(made.read("train"), tokenizer)
    settings = RouterConfig.model_validate(bundle.card.config)

    def trainer(config: RouterConfig) -> Trainer:
        torch.manual_seed(config.seed)
        items, users = made.vectors.items_ND, made.vectors.users_UD
        shape = model_config(config, tokenizer, item_dim=items.shape[1], user_dim=users.shape[1])
        model = RouterModel(shape).train()
        words = made.meta["item_texts"]
        return Trainer(model, tokenizer, examples, made.vectors, words, config)

    torch.set_num_threads(1)
    ours = trainer(settings)
    theirs = trainer(settings.model_copy(update={"precision": "bfloat16"}))
    theirs.muon = torch.optim.Muon(  # type: ignore[assignment]
        theirs.muon.param_groups[0]["params"],
        lr=settings.lr_matrices,
        weight_decay=0.0,
        adjust_lr_fn="match_rms_adamw",
    )
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    for number in range(WARM_UP + STEPS):
        for name, one in (("ours", ours), ("theirs", theirs)):
            start = time.perf_counter()
            one.step(settings.alignment_steps + number)
            seconds[name].append(time.perf_counter() - start)
    value, baseline = (float(np.median(seconds[name][WARM_UP:])) for name in ("ours", "theirs"))
    print(f"a step takes {value:.2f} s; {baseline:.2f} s with torch's Muon and bfloat16")
    what = f"router, a training step of {settings.batch_tokens} tokens, one thread"
    rows = [
        row(
            f"{what} (baseline: torch's Muon, bfloat16)",
            value,
            baseline=baseline,
            goal=None,
            unit="s",
            seeds=1,
            command=COMMAND,
        )
    ]
    save("router_steps", rows)


if __name__ == "__main__":
    main()
