"""The loop's pipelines with their parameters, and `cheap_steps` in place of training."""

from kfp import dsl


@dsl.component(base_image="tastemaker/train:drill", install_kfp_package=False)
def ingest_step(key: str, events_of: str) -> str:
    from tests.pipelines.flows import cheap_steps

    return cheap_steps.ingest(key, events_of)


@dsl.component(base_image="tastemaker/train:drill", install_kfp_package=False)
def train_step(key: str, dataset: str, encoder: str) -> str:
    from tests.pipelines.flows import cheap_steps

    return cheap_steps.train(key, dataset, encoder)


@dsl.component(base_image="tastemaker/train:drill", install_kfp_package=False)
def gate_step(key: str, dataset: str, environment: str, sequence: str) -> str:
    from tests.pipelines.flows import cheap_steps

    return cheap_steps.judge(key, dataset, environment, sequence)


@dsl.pipeline(name="ingest")
def ingest(
    key: str,
    events_of: str,
    encoder: str,
    catalog: str = "",
    source_digest: str = "",
    curate_settings: str = "",
    precompute_embeddings_settings: str = "",
) -> None:
    ingest_step(key=key, events_of=events_of).set_caching_options(False)


@dsl.pipeline(name="retrain")
def retrain(
    key: str,
    dataset: str,
    encoder: str,
    with_router: bool = False,
    build_index_settings: str = "",
    train_sequence_settings: str = "",
    make_dialogues_settings: str = "",
    train_router_settings: str = "",
) -> None:
    train_step(key=key, dataset=dataset, encoder=encoder).set_caching_options(False)


@dsl.pipeline(name="gate")
def gate(
    key: str,
    dataset: str,
    evaluated_on: str,
    environment: str,
    sequence: str,
    gates: str = "",
) -> None:
    judged = gate_step(key=key, dataset=dataset, environment=environment, sequence=sequence)
    judged.set_caching_options(False)


PIPELINES = {"ingest": ingest, "retrain": retrain, "gate": gate}
