"""The promote step: a set in one commit; what it refuses leaves the repository as it was."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tastemaker.core.errors import EvidenceError, NotFound, SpaceMismatch
from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, write_table
from tastemaker.jobs import promote
from tastemaker.promotion.bundle import Card, write_bundle
from tastemaker.promotion.environment import get_live
from tastemaker.promotion.model_file import MODELS, Live
from tastemaker.promotion.repository import open_repository
from tests.tastemaker.promotion.shop import signed


def bundle(home: Home, family: str, *, reads: str = "", seed: int = 0, **parents: str) -> str:
    card = Card(
        family=family,
        config={"seed": seed},
        parents=parents,
        reads=(reads,) if reads else (),
        writes_space=family == "encoder",
    )
    return write_bundle(home, card, lambda folder: None).digest


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


ROLES = {"encoder": "encoder", "retrieval": "index", "recommender": "sequence", "router": "router"}


def proven(home: Home, made: dict[str, str], before: dict[str, str] | None = None) -> list[str]:
    """Evidence of each model of a chain."""
    lines = []
    for model, role in ROLES.items():
        live = Live(made[role], made["dataset"], made["encoder"])
        lines.append(signed(home, model, live, (before or {}).get(role, "")))
    return lines


def head(home: Home) -> str:
    return open_repository(home).fetch()


def test_the_four_models_become_live(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    made = chain(home)
    digest = promote.run(home, **made, evidence=proven(home, made))
    live = {model: get_live(home, "local", model) for model in MODELS}
    assert {one.dataset for one in live.values()} == {made["dataset"]}
    assert {one.space for one in live.values()} == {made["encoder"]}
    assert [live[model].bundle for model in MODELS] == [made[role] for role in ROLES.values()]
    before = head(home)
    assert promote.run(home, **made, evidence=[]) == digest
    assert head(home) == before


@pytest.mark.parametrize("role", ["index", "sequence", "router"])
def test_another_space_is_refused_with_both_digests(role: str, tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    made, other = chain(home), chain(home, seed=1)
    with pytest.raises(SpaceMismatch) as caught:
        promote.run(home, **{**made, role: other[role]}, evidence=[])
    assert made["encoder"] in str(caught.value)
    assert other["encoder"] in str(caught.value)


def test_a_router_of_another_user_model_is_refused(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    made = chain(home)
    again = bundle(home, "sequence", reads=made["encoder"], seed=2)
    with pytest.raises(SpaceMismatch, match=f"{made['sequence']}.*{again}"):
        promote.run(home, **{**made, "sequence": again}, evidence=[])


def test_what_was_not_judged_or_not_embedded_is_refused(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    made, other = chain(home), chain(home, seed=1)
    with pytest.raises(NotFound, match="no vectors of embedding space"):
        promote.run(home, **{**made, "dataset": other["dataset"]}, evidence=[])
    with pytest.raises(NotFound, match="family 'sequence', not 'index'"):
        promote.run(home, **{**made, "index": made["sequence"]}, evidence=[])
    evidence = proven(home, made)
    before = head(home)
    with pytest.raises(EvidenceError, match=f"{made['router']} to local: .*no evidence of it"):
        promote.run(home, **made, evidence=evidence[:3])
    assert head(home) == before
    with pytest.raises(NotFound, match="no retrieval is live"):
        get_live(home, "local", "retrieval")


def test_a_set_of_another_space_takes_the_place_of_all_four(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    made, other = chain(home), chain(home, seed=1)
    promote.run(home, **made, evidence=proven(home, made))
    promote.run(home, **other, evidence=proven(home, other, made))
    live = {model: get_live(home, "local", model) for model in MODELS}
    assert [live[model].bundle for model in MODELS] == [other[role] for role in ROLES.values()]
    assert len(open_repository(home).git.commits(head(home))) == 3
