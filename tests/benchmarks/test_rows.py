import subprocess
from pathlib import Path

from benchmarks.rows import commit_of


def test_a_row_names_changes_of_code_but_not_results_that_were_just_written(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        command = ["git", "-C", str(tmp_path), *who, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    code, result = tmp_path / "model.py", tmp_path / "benchmarks" / "results" / "load.json"
    result.parent.mkdir(parents=True)
    for path in (code, result):
        path.write_text("1")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "--short", "HEAD")

    result.write_text("2")
    assert commit_of(tmp_path) == commit
    code.write_text("2")
    assert commit_of(tmp_path) == f"{commit}+changes"
