"""The whole chain: a catalogue goes in; encoder, index, user model and router come out, live.

Artifacts stay in the home; what flows between steps is the digest of each, so a cache key is
always a content key. `*_settings` are resolved configurations as JSON (empty: the default
preset); `tastemaker pipeline run full_stack` fills them in from one preset.
"""

from kfp import dsl

from pipelines.components.build_index import build_index
from pipelines.components.curate import curate
from pipelines.components.evaluate_encoder import evaluate_encoder
from pipelines.components.evaluate_router import evaluate_router
from pipelines.components.evaluate_sequence import evaluate_sequence
from pipelines.components.gate import gate
from pipelines.components.make_dialogues import make_dialogues
from pipelines.components.materialise_features import materialise_features
from pipelines.components.precompute_embeddings import precompute_embeddings
from pipelines.components.promote import promote
from pipelines.components.simulate_users import simulate_users
from pipelines.components.train_encoder import train_encoder
from pipelines.components.train_router import train_router
from pipelines.components.train_sequence import train_sequence

ROLES = {"encoder": "encoder", "index": "retrieval", "sequence": "recommender", "router": "router"}
RUN = {
    "run_name": dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
    "run_id": dsl.PIPELINE_JOB_ID_PLACEHOLDER,
}


@dsl.pipeline(name="full-stack")
def full_stack(
    catalog: str = "demo",
    source_digest: str = "",
    environment: str = "local",
    gates: str = "default",
    curate_settings: str = "",
    simulate_users_settings: str = "",
    train_encoder_settings: str = "",
    precompute_embeddings_settings: str = "",
    build_index_settings: str = "",
    train_sequence_settings: str = "",
    materialise_features_settings: str = "",
    make_dialogues_settings: str = "",
    train_router_settings: str = "",
) -> None:
    """From a catalogue to live models.

    Args:
        catalog: demo, fashion, ikea-home or folder:/path.
        source_digest: Digest of what the source holds; empty: not checked.
        environment: Where the models become live.
        gates: Preset of the thresholds.
        curate_settings: CurateConfig.
        simulate_users_settings: UsersConfig.
        train_encoder_settings: EncoderConfig.
        precompute_embeddings_settings: EmbeddingsConfig.
        build_index_settings: IndexConfig.
        train_sequence_settings: SequenceConfig.
        materialise_features_settings: FeatureConfig.
        make_dialogues_settings: DialoguesConfig.
        train_router_settings: RouterConfig.
    """
    items = curate(catalog=catalog, source_digest=source_digest, settings=curate_settings)
    data = simulate_users(dataset=items.output, settings=simulate_users_settings)
    encoder = train_encoder(dataset=data.output, settings=train_encoder_settings)
    embedded = precompute_embeddings(
        dataset=data.output, encoder=encoder.output, settings=precompute_embeddings_settings
    )
    index = build_index(
        dataset=embedded.output, encoder=encoder.output, settings=build_index_settings
    )
    sequence = train_sequence(
        dataset=embedded.output, encoder=encoder.output, settings=train_sequence_settings
    )
    features = materialise_features(
        dataset=embedded.output,
        sequence=sequence.output,
        settings=materialise_features_settings,
    )
    dialogues = make_dialogues(
        dataset=embedded.output,
        encoder=encoder.output,
        sequence=sequence.output,
        settings=make_dialogues_settings,
    )
    router = train_router(dialogues=dialogues.output, settings=train_router_settings)
    made = {
        "encoder": evaluate_encoder(dataset=embedded.output, encoder=encoder.output).output,
        "index": index.output,
        "sequence": evaluate_sequence(dataset=embedded.output, sequence=sequence.output).output,
        "router": evaluate_router(dialogues=dialogues.output, router=router.output).output,
    }
    evidence = {}
    for role, model in ROLES.items():
        judged = gate(
            model=model,
            bundle=made[role],
            dataset=embedded.output,
            environment=environment,
            preset=gates,
            **made,
            **RUN,
        )
        judged.set_caching_options(False)  # it compares with what is live
        evidence[f"{role}_evidence"] = judged.output
    live = promote(
        dataset=embedded.output,
        features=features.output,
        environment=environment,
        features_settings=materialise_features_settings,
        **made,
        **evidence,
        **RUN,
    )
    live.set_caching_options(False)  # it moves a branch: another run may have moved it since
