"""deploy: what it refuses leaves every file as it was."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tastemaker.core.errors import NotFound, SpaceMismatch
from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, write_table
from tastemaker.jobs import deploy
from tastemaker.promotion.bundle import Card, write_bundle
from tastemaker.promotion.environment import MODELS, get_live


def bundle(home: Home, family: str, *, reads: str = "", seed: int = 0, **parents: str) -> str:
    card = Card(
        family=family,
        config={"seed": seed},
        parents=parents,
        reads=(reads,) if reads else (),
        writes_space=family == "encoder",
    )
    made = write_bundle(home, card, lambda folder: None)
    evaluation = home.path("evaluations", made.digest, "metrics.json")
    evaluation.parent.mkdir(exist_ok=True)
    evaluation.write_text("{}")
    return made.digest


def chain(home: Home, seed: int = 0) -> dict[str, str]:
    encoder = bundle(home, "encoder", seed=seed)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(4, np.float32)), 2)
    items = pa.table({"item_id": ["a", "b"], f"embedding_{encoder}": vectors})
    tables = {"items": write_table(home, "items", items)}
    spaces = {f"embedding_{encoder}": encoder}
    sequence = bundle(home, "sequence", reads=encoder, seed=seed)
    return {
        "dataset": Dataset(home=home, name="shop", tables=tables, spaces=spaces).save(),
        "encoder": encoder,
        "index": bundle(home, "index", reads=encoder, seed=seed),
        "sequence": sequence,
        "router": bundle(home, "router", reads=encoder, seed=seed, sequence=sequence),
    }


def files(home: Home) -> dict[str, str]:
    return {
        str(path): path.read_text()
        for path in home.root.rglob("manifests/models/*/*.yaml")
        if path.is_file()
    }


def test_the_four_models_become_live(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    made = chain(home)
    digest = deploy.run(home, **made)
    live = {model: get_live(home, "local", model) for model in MODELS}
    assert {one.dataset for one in live.values()} == {made["dataset"]}
    assert {one.space for one in live.values()} == {made["encoder"]}
    assert [live[model].bundle for model in MODELS] == [
        made[role] for role in ("encoder", "index", "sequence", "router")
    ]
    assert deploy.run(home, **made) == digest
    assert deploy.run(home, **made, environment="staging") != digest


@pytest.mark.parametrize("role", ["index", "sequence", "router"])
def test_another_space_is_refused_with_both_digests(role: str, tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    made, other = chain(home), chain(home, seed=1)
    deploy.run(home, **made)
    before = files(home)
    with pytest.raises(SpaceMismatch) as caught:
        deploy.run(home, **{**made, role: other[role]})
    assert made["encoder"] in str(caught.value)
    assert other["encoder"] in str(caught.value)
    assert files(home) == before


def test_a_router_of_another_user_model_is_refused(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    made = chain(home)
    again = bundle(home, "sequence", reads=made["encoder"], seed=2)
    with pytest.raises(SpaceMismatch, match=f"{made['sequence']}.*{again}"):
        deploy.run(home, **{**made, "sequence": again})
    assert files(home) == {}


def test_what_was_not_evaluated_or_not_embedded_is_refused(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    made, other = chain(home), chain(home, seed=1)
    with pytest.raises(NotFound, match="no vectors of embedding space"):
        deploy.run(home, **{**made, "dataset": other["dataset"]})
    with pytest.raises(NotFound, match="family 'sequence', not 'index'"):
        deploy.run(home, **{**made, "index": made["sequence"]})
    home.path("evaluations", made["router"], "metrics.json").unlink()
    with pytest.raises(NotFound, match=rf"{made['router']} has no evaluation"):
        deploy.run(home, **made)
    assert files(home) == {}


def test_a_switch_that_fails_half_way_is_put_back(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    made, other = chain(home), chain(home, seed=1)
    deploy.run(home, **made)
    router = home.path("manifests", "models", "local", "router.yaml")
    router.unlink()
    before = files(home)
    router.mkdir()  # the last of the four files cannot be written
    with pytest.raises(OSError):
        deploy.run(home, **other)
    assert files(home) == before
