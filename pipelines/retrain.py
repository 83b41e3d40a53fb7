"""Models that read events, trained anew on a dataset version; the embedding space stays.

What it makes is not live: gates and a promotion are the business of the flow that runs it.
"""

from kfp import dsl

from pipelines.components.build_index import build_index
from pipelines.components.evaluate_router import evaluate_router
from pipelines.components.evaluate_sequence import evaluate_sequence
from pipelines.components.keep_result import keep_result
from pipelines.components.make_dialogues import make_dialogues
from pipelines.components.train_router import train_router
from pipelines.components.train_sequence import train_sequence


@dsl.pipeline(name="retrain")
def retrain(
    key: str,
    dataset: str,
    encoder: str,
    with_router: bool = True,
    build_index_settings: str = "",
    train_sequence_settings: str = "",
    make_dialogues_settings: str = "",
    train_router_settings: str = "",
) -> None:
    """From a dataset version in the live space to evaluated bundles.

    Args:
        key: Of the flow that runs it; names its result.
        dataset: With events, and vectors of the encoder's space.
        encoder: Encoder bundle that is live.
        with_router: Train the router too: its user token is the user model's.
        build_index_settings: IndexConfig.
        train_sequence_settings: SequenceConfig.
        make_dialogues_settings: DialoguesConfig.
        train_router_settings: RouterConfig.
    """
    index = build_index(dataset=dataset, encoder=encoder, settings=build_index_settings)
    sequence = train_sequence(dataset=dataset, encoder=encoder, settings=train_sequence_settings)
    evaluated = evaluate_sequence(dataset=dataset, sequence=sequence.output)
    with dsl.If(with_router == True):  # noqa: E712 - kfp records the comparison
        dialogues = make_dialogues(
            dataset=dataset,
            encoder=encoder,
            sequence=sequence.output,
            settings=make_dialogues_settings,
        )
        router = train_router(dialogues=dialogues.output, settings=train_router_settings)
        kept = keep_result(
            key=key,
            dataset=dataset,
            index=index.output,
            sequence=evaluated.output,
            dialogues=dialogues.output,
            router=evaluate_router(dialogues=dialogues.output, router=router.output).output,
        )
        kept.set_caching_options(False)  # its result is a file, not what it returns
    with dsl.Else():
        alone = keep_result(key=key, dataset=dataset, index=index.output, sequence=evaluated.output)
        alone.set_caching_options(False)
