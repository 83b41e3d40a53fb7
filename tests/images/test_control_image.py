"""The Dockerfile's scripts for real: control's environment, and how it runs in a container."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cyclonedx import schema
from jsonschema_rs import Registry, validator_for  # the library's own validator takes minutes

from images.install_package import install_package
from images.make_venv import make_venv
from images.sbom import write_sbom
from images.trim import size, trim
from locks.resolve import pinned
from tests.images.container import container, missing
from tests.images.test_dockerfile import STAGES

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
in_container = pytest.mark.skipif(bool(missing()), reason=missing() or "namespaces")


@pytest.fixture(scope="module")
def built() -> Iterator[Path]:
    """Folder with `venv` (trimmed, our package in it) and `sbom.json`; not in /tmp, see drills."""
    with TemporaryDirectory(dir="/var/tmp", prefix="tastemaker-image-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        tools = folder / "tools"
        make_venv("control", "cpu", folder / "venv", tools)
        (folder / "before").write_text(str(size(folder / "venv")))
        trim(folder / "venv")
        write_sbom("control", "cpu", folder / "venv", folder / "sbom.json", tools)
        install_package(folder / "venv", folder / "package", tools, ROOT)
        copy = ["cp", "-a", f"{folder}/package/.", f"{folder}/venv/"]  # COPY --from=package
        subprocess.run(copy, check=True)
        yield folder


def environment(**more: str) -> dict[str, str]:
    """The variables that the Dockerfile sets."""
    found = dict(re.findall(r"(\w+)=(\S*)", " ".join(STAGES["runtime"].all("ENV"))))
    return found | more


def inside(built: Path, *command: str) -> subprocess.CompletedProcess[str]:
    binds = [ROOT / "images", ROOT / "helm", ROOT / "manifests"]
    variables = environment(PYTHONPATH="/srv", TASTEMAKER_ROOT="/srv")
    full = container(built / "venv", command, variables, binds)
    return subprocess.run(full, capture_output=True, text=True, check=False)


def test_it_holds_what_the_lock_lists_our_package_and_no_installer(built: Path) -> None:
    (site,) = (built / "venv").glob("lib/python3.*/site-packages")
    found = {path.name.split("-")[0].replace("_", "-").lower() for path in site.glob("*.dist-info")}
    assert "tastemaker" in found
    assert len(found) == len(pinned(ROOT / "locks" / "control.lock")) + 1
    programs = {path.name for path in (built / "venv" / "bin").iterdir()}
    assert "tastemaker" in programs
    assert not {"pip", "pip3", "uv", "hatchling", "cyclonedx-py"} & programs


def test_trimming_frees_a_good_part_and_leaves_what_is_imported(built: Path) -> None:
    assert size(built / "venv") < int((built / "before").read_text()) - 60e6
    (site,) = (built / "venv").glob("lib/python3.*/site-packages")
    assert (site / "numpy" / "testing").is_dir()
    assert not (site / "pandas" / "tests").exists()


def test_bytecode_is_there_and_not_checked_against_times(built: Path) -> None:
    (code,) = (built / "venv").glob("lib/python3.*/site-packages/tastemaker/__pycache__/cli.*.pyc")
    assert int.from_bytes(code.read_bytes()[4:8], "little") == 0b01  # by hash, unchecked


def cyclonedx_faults(document: object) -> list[str]:
    """What is wrong with a bill of materials by the schema that CycloneDX publishes."""
    folder = Path(schema.__file__).parent / "_res"
    texts = {p.name: json.loads(p.read_text()) for p in folder.glob("*.SNAPSHOT.schema.json")}
    known = [(f"http://cyclonedx.org/schema/{name}", text) for name, text in texts.items()]
    validator = validator_for(texts["bom-1.6.SNAPSHOT.schema.json"], registry=Registry(known))
    return [error.message for error in validator.iter_errors(document)]


def test_the_bill_of_materials_is_valid_and_names_us_and_the_lock(built: Path) -> None:
    document = json.loads((built / "sbom.json").read_text())
    assert document["specVersion"] == "1.6"
    assert cyclonedx_faults(document) == []
    assert cyclonedx_faults(document | {"components": [{"name": "x", "type": "wrong"}]})
    assert document["metadata"]["component"]["name"] == "tastemaker"
    assert document["metadata"]["component"]["version"] == "0.1.0"
    properties = {p["name"]: p["value"] for p in document["metadata"]["properties"]}
    assert properties["tastemaker:lock"] == "control.lock"
    listed = {c["name"].lower().replace("_", "-").replace(".", "-") for c in document["components"]}
    assert listed == pinned(ROOT / "locks" / "control.lock").keys()


@in_container
def test_the_image_check_passes_as_its_user_on_a_read_only_root(built: Path) -> None:
    done = inside(built, "python", "-m", "images.check_image", "control", "cpu")
    ours = [line for line in done.stderr.splitlines() if line.startswith("image control:")]
    # The host's own compilers and tools lie in /usr/bin here; the image's base has none.
    assert [line for line in ours if not line.endswith("is in the image")] == []
    assert ours or done.returncode == 0, done.stderr


@in_container
def test_nothing_can_be_written_but_tmp_and_the_home(built: Path) -> None:
    code = (
        "import os, pathlib, tempfile\n"
        "assert os.getuid() == 10001\n"
        "for place in ('/opt/venv', '/srv', '/etc', '/usr/local', '/var/tmp'):\n"
        "    try: pathlib.Path(place, 'x').write_text('x')\n"
        "    except OSError: continue\n"
        "    raise SystemExit(f'{place} can be written')\n"
        "for place in ('/tmp', os.environ['HOME']): pathlib.Path(place, 'x').write_text('x')\n"
    )
    done = inside(built, "python", "-c", code)
    assert done.returncode == 0, done.stderr


@in_container
def test_charts_render_in_the_container(built: Path) -> None:
    code = (
        "from tastemaker.deployment import charts, root\n"
        "import yaml\n"
        "chart = root.find('helm/model')\n"
        "values = yaml.safe_load(sorted(chart.glob('ci/*.yaml'))[0].read_text())\n"
        "print([d['kind'] for d in charts.render(chart, [values], name='m', namespace='n')])\n"
    )
    done = inside(built, "python", "-c", code)
    assert done.returncode == 0, done.stderr
    assert "Service" in done.stdout


@in_container
def test_health_of_a_job_sees_a_home_that_cannot_be_written(built: Path) -> None:
    assert inside(built, "python", "/srv/images/health.py").returncode == 0
    full = container(
        built / "venv",
        ["python", "/srv/images/health.py"],
        environment(HOME="/opt"),
        [ROOT / "images"],
    )
    done = subprocess.run(full, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "/opt" in done.stderr
