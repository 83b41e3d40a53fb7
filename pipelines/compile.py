"""Compile every pipeline to `compiled/<name>.yaml`, the IR that a cluster takes.

python -m pipelines.compile [--check]
"""

import sys
import tempfile
from pathlib import Path

from kfp import compiler

from pipelines.full_stack import full_stack

COMPILED = Path(__file__).parent / "compiled"
PIPELINES = {"full_stack": full_stack}


def main() -> int:
    """Returns 1 where `--check` finds a file that is not what its pipeline compiles to."""
    stale = []
    for name, pipeline in PIPELINES.items():
        target = COMPILED / f"{name}.yaml"
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / target.name
            compiler.Compiler().compile(pipeline, str(made))
            text = made.read_text()
        if "--check" in sys.argv[1:]:
            if not target.is_file() or target.read_text() != text:
                stale.append(str(target))
        else:
            COMPILED.mkdir(exist_ok=True)
            target.write_text(text)
            sys.stdout.write(f"{target}\n")
    for path in stale:
        sys.stderr.write(f"{path} is not current: run `tastemaker pipeline compile`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
