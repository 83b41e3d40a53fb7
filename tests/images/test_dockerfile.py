"""The Dockerfile: only scripts run, nothing is fetched by it, images are labelled and not root."""

import ast
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

from images.roles import ROLES

ROOT = Path(__file__).parents[2]
SCRIPT = re.compile(
    r"(?:python -m images\.(?P<module>\w+)|sh /images/(?P<shell>\w+\.sh))[ \w./${}-]*"
)


@dataclass
class Stage:
    """One FROM and what follows, as (instruction, value) pairs."""

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [value for name, value in self.steps if name == instruction]


def parse() -> tuple[list[tuple[str, str]], dict[str, Stage]]:
    """Instructions before the first FROM, and the stages by name."""
    parser = DockerfileParser(str(ROOT / "Dockerfile"))
    before: list[tuple[str, str]] = []
    stages: dict[str, Stage] = {}
    steps = before
    for one in parser.structure:
        if one["instruction"] == "FROM":
            base, _, name = one["value"].partition(" AS ")
            stages[name] = Stage(name, base)
            steps = stages[name].steps
        elif one["instruction"] != "COMMENT":
            steps.append((one["instruction"], one["value"]))
    return before, stages


BEFORE, STAGES = parse()


def chain(name: str) -> list[Stage]:
    """A stage and those below it, itself last."""
    stage = STAGES[name]
    return [*(chain(stage.base) if stage.base in STAGES else []), stage]


def script(run: str) -> re.Match[str]:
    """The script that a RUN calls, mounts and variables left out."""
    words = re.sub(r"--mount=\S+", "", run)
    words = re.sub(r"^\s*(?:[A-Z_]+=\S+\s+)+", "", words).strip()
    match = SCRIPT.fullmatch(words)
    assert match, f"RUN {run}: more than one call of a script of images/"
    return match


def test_there_is_a_target_for_each_role() -> None:
    assert set(ROLES) <= STAGES.keys()


def test_the_base_is_pinned_and_takes_a_digest() -> None:
    arguments = dict(value.split("=", 1) for _, value in BEFORE)
    assert re.fullmatch(r"docker\.io/library/python:3\.11\.\d+-slim-\w+", arguments["BASE"])
    assert arguments["VARIANT"] == "cpu"
    outside = {s.base for s in STAGES.values()} - STAGES.keys()
    assert outside == {"scratch", "${BASE}${BASE_DIGEST}"}


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())
def test_runs_call_one_script_each_and_nothing_is_added_from_outside(stage: Stage) -> None:
    assert stage.all("ADD") == []
    for run in stage.all("RUN"):
        found = script(run)
        path = f"{found['module']}.py" if found["module"] else found["shell"]
        assert (ROOT / "images" / path).is_file(), path


def test_every_script_of_a_stage_finds_what_it_imports() -> None:
    for stage in STAGES.values():
        copied = [value for s in chain(stage.name) for value in s.all("COPY")]
        there = {source for value in copied for source in value.split()[:-1]}
        for run in stage.all("RUN"):
            if (module := script(run)["module"]) and "source=images" not in run:
                assert needed(f"images/{module}.py") <= there, f"{stage.name}: {run}"


def needed(path: str) -> set[str]:
    """A script and those of ours that it imports, as paths."""
    found = {path}
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            ("images.", "locks.")
        ):
            found |= needed(f"{(node.module or '').replace('.', '/')}.py")
    return found


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())
def test_what_is_copied_exists_and_is_let_through(stage: Stage) -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert next(line for line in ignore if line and line[0] != "#") == "*"
    allowed = [line[1:] for line in ignore if line.startswith("!")]
    for value in stage.all("COPY"):
        words = value.split()
        if words[0].startswith("--from="):
            assert words[0].removeprefix("--from=") in STAGES
            continue
        for source in words[:-1]:
            assert (ROOT / source).exists(), source
            assert any(source == a or source.startswith(f"{a}/") for a in allowed), source


def test_no_argument_or_variable_could_hold_a_secret() -> None:
    names = [value for _, value in BEFORE]
    for stage in STAGES.values():
        names += stage.all("ARG") + stage.all("ENV")
        assert not [run for run in stage.all("RUN") if "type=secret" in run]
    assert not re.search(r"(?i)secret|token|passw|credential|api_?key", " ".join(names))


@pytest.mark.parametrize("role", ROLES)
def test_an_image_runs_as_nobody_special_and_says_what_it_is(role: str) -> None:
    stage, stages = STAGES[role], chain(role)
    assert stage.all("USER") == ["10001:10001"]
    assert [value for s in stages for value in s.all("STOPSIGNAL")] == ["SIGTERM"]
    (entry,) = [value for s in stages for value in s.all("ENTRYPOINT")]
    assert json.loads(entry) == ["/usr/bin/tini", "--"]  # PID 1: passes signals on, reaps
    assert all(isinstance(word, str) for word in json.loads(stage.all("CMD")[-1]))
    (health,) = stage.all("HEALTHCHECK")
    assert json.loads(health.split("CMD ")[1]) == ["python", "/opt/tastemaker/health.py"]
    labels = stage.all("LABEL")[-1]
    for name in ("title", "description", "source", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{name}=" in labels


@pytest.mark.parametrize("role", ROLES)
def test_the_environment_comes_before_our_code_and_settings_last(role: str) -> None:
    steps = [f"{name} {value}" for name, value in STAGES[role].steps]
    order = [
        "COPY --from=venv-",
        "COPY --from=package",
        "COPY --from=files",
        "ARG VERSION",
        "LABEL",
    ]
    places = [next(i for i, s in enumerate(steps) if s.startswith(one)) for one in order]
    assert places == sorted(places)
    assert any("images.check_image" in run for run in STAGES[role].all("RUN"))


def test_every_cache_is_in_tmp() -> None:
    variables = dict(re.findall(r"(\w+)=(\S+)", " ".join(STAGES["runtime"].all("ENV"))))
    caches = {
        k: v for k, v in variables.items() if re.search(r"CACHE|CONFIG|_HOME$|TMPDIR|_DIR$", k)
    }
    assert len(caches) >= 10
    assert {k: v for k, v in caches.items() if not v.startswith("/tmp")} == {}
    assert variables["TASTEMAKER_ROOT"] == "/opt/tastemaker"
    assert variables["HOME"] == "/home/tastemaker"


def test_the_bake_file_builds_the_same_targets() -> None:
    text = (ROOT / "images" / "docker-bake.hcl").read_text()
    listed = re.findall(r"\[((?:\"\w+\"(?:, )?)+)\]", text)
    assert [set(json.loads(f"[{names}]")) for names in listed[:2]] == [set(ROLES)] * 2
    declared = {value.split("=")[0] for value in STAGES["control"].all("ARG")} | {"BASE_DIGEST"}
    assert set(re.findall(r"^    (\w+) += ", text, re.M)) == declared
