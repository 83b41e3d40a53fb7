"""The command that serves the router with vLLM's own OpenAI server, in its own environment."""

import json
import os
import sys
from pathlib import Path

from tastemaker.core.errors import ServiceError

MAX_MODEL_LEN = 4096  # tokens of a whole conversation, item tokens included
KV_CACHE_BYTES = 1 << 28  # a tiny router's 4096 tokens take a few MiB; explicit skips profiling
MAX_LISTS = 200  # item lists in one prompt


def llm_python() -> str:
    """The interpreter that has vLLM: `TASTEMAKER_LLM_PYTHON`, else `.venv-llm` beside `.venv`.

    Raises:
        ServiceError: None is found.
    """
    if given := os.environ.get("TASTEMAKER_LLM_PYTHON"):
        candidates = [Path(given)]
    else:
        folders = (Path.cwd(), Path(sys.prefix).parent)
        candidates = [folder / ".venv-llm" / "bin" / "python" for folder in folders]
    for candidate in candidates:
        if candidate.is_file():
            return str(candidate)
    tried = ", ".join(map(str, candidates))
    raise ServiceError(
        f"no Python with vLLM found (tried {tried}); run `make setup`, or set TASTEMAKER_LLM_PYTHON"
    )


def router_command(python: str, model_dir: Path, port: int) -> list[str]:
    """Arguments of vLLM's server; `python -m` because the CPU wheel's own script does not start."""
    command = [python, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(model_dir), "--served-model-name", "router"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--uvicorn-log-level", "warning"]
    command += ["--dtype", "float32", "--max-model-len", str(MAX_MODEL_LEN), "--enforce-eager"]
    # Blocks of 32: with the default of 128, prompts below that never hit the prefix cache.
    command += ["--kv-cache-memory-bytes", str(KV_CACHE_BYTES), "--block-size", "32"]
    command += ["--enable-mm-embeds", "--limit-mm-per-prompt"]
    command += [json.dumps({"image": MAX_LISTS, "audio": 1})]
    command += ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    command += ["--override-generation-config", json.dumps({"temperature": 0.0})]
    return command


def router_environment(cache: Path) -> dict[str, str]:
    """Variables of the router's process: offline, one thread, few processes.

    Args:
        cache: Folder that vLLM keeps what it found out about the model's class in; it makes the
            next start faster.
    """
    return {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CACHE_ROOT": str(cache),
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_PLUGINS": "tastemaker",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
