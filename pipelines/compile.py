"""Compile every pipeline to `compiled/`: for this machine, for each cluster preset, as objects.

python -m pipelines.compile [--check]
python -m pipelines.compile --only NAME --cluster PRESET [--set KEY=VALUE ...] [--objects] --to FILE
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from kfp import compiler
from kfp.compiler.compiler_utils import KubernetesManifestOptions
from kfp.dsl.graph_component import GraphComponent

from pipelines.cluster import on_cluster
from pipelines.drift import drift
from pipelines.full_stack import full_stack
from pipelines.gate import gate
from pipelines.ingest import ingest
from pipelines.materialise import materialise
from pipelines.retrain import retrain
from tastemaker import __version__
from tastemaker.core import digests
from tastemaker.core.config import load_preset, presets
from tastemaker.core.errors import ConfigError
from tastemaker.jobs.cluster_config import ClusterConfig

COMPILED = Path(__file__).parent / "compiled"
PIPELINES = {
    "drift": drift,
    "full_stack": full_stack,
    "gate": gate,
    "ingest": ingest,
    "materialise": materialise,
    "retrain": retrain,
}


def compile_text(pipeline: GraphComponent, *, objects: bool = False, namespace: str = "") -> str:
    """A pipeline's IR, or its Pipeline and PipelineVersion objects, as YAML.

    Args:
        pipeline: As decorated, or made by `on_cluster`.
        objects: Kubernetes objects in place of the IR.
        namespace: Of the objects; empty: whichever they are applied in.
    """
    options = None
    if objects:  # a version is immutable, so its name says its content
        digest = digests.of_bytes([compile_text(pipeline).encode()])[:8]
        options = KubernetesManifestOptions(
            pipeline_name=pipeline.name,
            pipeline_version_name=f"{pipeline.name}-{__version__}-{digest}",
            namespace=namespace or None,
            include_pipeline_manifest=True,
        )
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(
            pipeline,
            str(made),
            kubernetes_manifest_format=objects,
            kubernetes_manifest_options=options,
        )
        return made.read_text()


def all_texts() -> Iterator[tuple[str, str]]:
    """Each file below `compiled/` with what belongs in it."""
    for name, pipeline in PIPELINES.items():
        yield f"{name}.yaml", compile_text(pipeline)
        for preset in presets("cluster"):
            placed = on_cluster(pipeline, load_preset(ClusterConfig, "cluster", preset))
            yield f"{preset}/{name}.yaml", compile_text(placed)
            yield f"{preset}/{name}.objects.yaml", compile_text(placed, objects=True)


def main(arguments: Sequence[str]) -> int:
    """Returns 1 where `--check` finds a file that is not what its pipeline compiles to."""
    parser = argparse.ArgumentParser(prog="pipelines.compile")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--only", choices=PIPELINES)
    parser.add_argument("--cluster", default="default")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--objects", action="store_true")
    parser.add_argument("--namespace", default="")
    parser.add_argument("--to", type=Path)
    given = parser.parse_args(arguments)
    if given.only:
        return _compile_one(given)
    stale = [file for file, text in all_texts() if not _keep(COMPILED / file, text, given.check)]
    for file in stale:
        sys.stderr.write(f"{COMPILED / file} is not current: run `tastemaker pipeline compile`\n")
    return 1 if stale else 0


def _compile_one(given: argparse.Namespace) -> int:
    try:
        config = load_preset(ClusterConfig, "cluster", given.cluster, given.set)
        placed = on_cluster(PIPELINES[given.only], config)
    except ConfigError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    given.to.write_text(compile_text(placed, objects=given.objects, namespace=given.namespace))
    return 0


def _keep(target: Path, text: str, check: bool) -> bool:
    if check:
        return target.is_file() and target.read_text() == text
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    sys.stdout.write(f"{target}\n")
    return True


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
