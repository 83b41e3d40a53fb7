"""Train the router on its dialogues, from scratch."""

import json
from pathlib import Path

import torch

from tastemaker.core import digests
from tastemaker.core.config import from_settings, to_settings
from tastemaker.core.home import Home
from tastemaker.layers.data_parallel import ALONE, Group
from tastemaker.promotion.bundle import Card, write_bundle
from tastemaker.router.batches import encode
from tastemaker.router.config import RouterConfig
from tastemaker.router.dialogue_files import open_dialogues
from tastemaker.router.model import RouterModel, model_config, write_model
from tastemaker.router.tokenizer import build_tokenizer
from tastemaker.router.training import Trainer
from tastemaker.training.device import training_device
from tastemaker.training.loop import fit


def run(home: Home, dialogues: str, settings: RouterConfig) -> str:
    """Train and write a bundle whose folder `model/` the engine loads.

    Args:
        home: Where everything lives.
        dialogues: Digest of the dialogues.
        settings: Size and training.

    Returns:
        The bundle's digest.

    Raises:
        NotFound: No such dialogues.
    """
    if settings.workers == 1:
        return train(home, dialogues, settings, ALONE)
    from tastemaker.jobs import ray_train
    from tastemaker.jobs.ray_job_config import RayJobConfig
    from tastemaker.training.launch import spawn

    job = RayJobConfig.from_environment()
    if job is not None:
        return ray_train.submit(home, dialogues, settings, job)
    with home.staging() as folder:
        result = folder / "bundle"
        spawn(_member, (home.location, dialogues, to_settings(settings), result), settings.workers)
        return result.read_text()


def _member(group: Group, home: str, dialogues: str, settings: str, result: Path) -> None:
    config = from_settings(RouterConfig, settings, family="router")
    digest = train(Home.open(home), dialogues, config, group)
    if group.first:
        result.write_text(digest)


def train(home: Home, dialogues: str, settings: RouterConfig, group: Group) -> str:
    """Be one of the processes that train; returns the bundle's digest in the first, else ""."""
    made = open_dialogues(home.fetch("dialogues", dialogues))
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    tokenizer = build_tokenizer(made.meta["vocabulary"])
    examples = encode(made.read("train"), tokenizer)
    torch.manual_seed(settings.seed)
    shape = model_config(
        settings,
        tokenizer,
        item_dim=made.vectors.items_ND.shape[1],
        user_dim=made.vectors.users_UD.shape[1],
    )
    model = RouterModel(shape).train().to(training_device(group.rank))
    trainer = Trainer(
        model, tokenizer, examples, made.vectors, made.meta["item_texts"], settings, group
    )
    key = digests.of_json([dialogues, to_settings(settings)])
    checkpoint = home.restore("checkpoints", f"train_router-{key}.pt")
    history = fit(
        trainer.step,
        {"model": model, "muon": trainer.muon, "adamw": trainer.adamw},
        num_steps=trainer.num_steps,
        checkpoint=checkpoint,
        keep=home.keep,
        checkpoint_every=settings.checkpoint_every,
        seed=settings.seed,
        label="train the router",
        group=group,
    )
    torch.set_num_threads(threads)
    if not group.first:
        return ""
    curve = [round(h["loss"], 4) for h in history if "loss" in h]
    parents = dict(made.meta["parents"])

    def write(folder: Path) -> None:
        write_model(model.cpu().eval(), tokenizer, folder / "model")
        (folder / "curve.json").write_text(json.dumps(curve))

    card = Card(
        family="router",
        config=settings.model_dump(mode="json"),
        parents={"dialogues": dialogues, **parents},
        reads=(parents["encoder"],),
        metrics={"final_loss": sum(curve[-20:]) / len(curve[-20:])},
    )
    bundle = write_bundle(home, card, write)
    home.remove("checkpoints", checkpoint.name)
    return bundle.digest
