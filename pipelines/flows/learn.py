"""Flow `learn`: the whole loop, from new events to the promotion of what was learnt from them."""

from prefect import flow

from pipelines.flows.evaluate_and_gate import evaluate_and_gate
from pipelines.flows.ingest_and_curate import ingest_and_curate
from pipelines.flows.loop import PRESET, call, open_loop
from pipelines.flows.materialise_features import materialise_features
from pipelines.flows.open_promotion import open_promotion
from pipelines.flows.retrain import retrain


@flow(name="learn", timeout_seconds=30 * 3600)
def learn(preset: str = PRESET, force: bool = False, again: bool = False) -> str:
    """Chain the flows; each does nothing where its key is done, so a second run goes on.

    Args:
        preset: Of the loop.
        force: Retrain on new data even where it is not due.
        again: Also what was given up.

    Returns:
        Where it ended, and why.
    """
    from tastemaker.jobs import retrain as job

    with open_loop(preset) as loop:
        taken = call(ingest_and_curate, preset=preset, again=again)
        if not taken.done:
            return str(taken.text)
        dataset = taken.record.result["dataset"]
        due = job.due(loop.home, dataset, loop.config, force=force)
        loop.say(due.text)
        if not due.due:
            return due.text
        trained = call(retrain, dataset=dataset, preset=preset, again=again)
        if not trained.done:
            return str(trained.text)
        made = dict(trained.record.result)
        judged = call(evaluate_and_gate, made=made, preset=preset, again=again)
        if not judged.done or not judged.record.result["passed"]:
            return f"stopped at the gates: {judged.record.result.get('failed') or judged.text}"
        evidence = dict(judged.record.result["evidence"])
        opened = call(open_promotion, made=made, evidence=evidence, preset=preset, again=again)
        if opened.done and not opened.record.result["canary"]:
            # live at once: what is known of users has to come from the new user model
            call(materialise_features, preset=preset, again=again)
        return f"{opened.text}: {dict(opened.record.result)}"
