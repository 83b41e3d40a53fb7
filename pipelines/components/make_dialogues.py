"""Component `make_dialogues`: a signature and one call."""

from kfp import dsl

from pipelines.components.image import TRAIN


@dsl.component(base_image=TRAIN, install_kfp_package=False)
def make_dialogues(dataset: str, encoder: str, sequence: str, settings: str = "") -> str:
    """Catalogue, boards and users to dialogues."""
    from tastemaker.jobs import steps

    return steps.make_dialogues(dataset, encoder, sequence, settings)
