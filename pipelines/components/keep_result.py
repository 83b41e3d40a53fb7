"""Component `keep_result`: a signature and one call."""

from kfp import dsl

from pipelines.components.image import TRAIN


@dsl.component(base_image=TRAIN, install_kfp_package=False)
def keep_result(
    key: str,
    dataset: str = "",
    index: str = "",
    sequence: str = "",
    dialogues: str = "",
    router: str = "",
    features: str = "",
) -> str:
    """Digests of what a run made, kept for the flow that started it."""
    from tastemaker.jobs import loop_steps

    return loop_steps.keep_result(key, dataset, index, sequence, dialogues, router, features)
