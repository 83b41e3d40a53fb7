"""The router's arguments, read by vLLM's own parser in its own environment."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.helm.conftest import ROOT, rendered, variants

PYTHON = ROOT / ".venv-llm" / "bin" / "python"
PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = make_arg_parser(FlexibleArgumentParser())
found = [parser.parse_args(args) for args in json.load(sys.stdin)]
print(json.dumps([[one.port, one.model, one.enable_mm_embeds, one.enable_lora] for one in found]))
"""


def arguments(variant: Path) -> list[list[str]]:
    """Arguments of every vLLM container of a variant."""
    objects = rendered("model", [variant], name="router", namespace="models")
    specs = [one["spec"] for one in objects if one["kind"] == "LLMInferenceService"]
    templates = [spec["template"] for spec in specs]
    templates += [spec["prefill"]["template"] for spec in specs if "prefill" in spec]
    return [template["containers"][0]["args"] for template in templates]


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON.is_file(), reason="no .venv-llm here: run `make setup`")
def test_vllm_reads_every_argument() -> None:
    routers = [one for one in variants("model") if one.stem.startswith("router")]
    given = [args for variant in routers for args in arguments(variant)]
    done = subprocess.run(
        [PYTHON, "-c", PARSE], input=json.dumps(given), capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    read = json.loads(done.stdout.splitlines()[-1])
    assert len(read) == len(given) >= 7
    assert {port for port, *_ in read} == {8000, 8001}
    assert {(model, embeds) for _, model, embeds, _ in read} == {("/mnt/models", True)}
    assert [lora for *_, lora in read].count(True) == 1
