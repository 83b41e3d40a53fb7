"""Steps of the chain on a home on S3: the digests of a folder, and another machine goes on."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tastemaker.core.config import load_preset
from tastemaker.core.home import Home
from tastemaker.data.curation import CurateConfig
from tastemaker.data.dataset import load_dataset
from tastemaker.data.simulated_users import UsersConfig
from tastemaker.encoder.config import EncoderConfig
from tastemaker.encoder.trainer import Trainer
from tastemaker.evaluation.tracking import find, record
from tastemaker.jobs import (
    build_index,
    curate,
    precompute_embeddings,
    simulate_users,
    train_encoder,
)
from tastemaker.jobs.embedding_config import EmbeddingsConfig
from tastemaker.promotion.bundle import load_bundle
from tastemaker.retrieval.index import IndexConfig, ItemIndex
from tests.tastemaker.core.s3_server import Server, conditional

pytestmark = pytest.mark.slow
ENCODER = load_preset(EncoderConfig, "encoder", "tiny", ["epochs=1", "checkpoint_every=2"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with conditional(tmp_path_factory.mktemp("conditional")) as server:
        yield server


def chain(home: Home) -> list[str]:
    """Digests of: catalogue, with events, encoder, with vectors, index."""
    dataset = curate.run(home, "demo", load_preset(CurateConfig, "curate", "tiny"))
    events = simulate_users.run(home, dataset, load_preset(UsersConfig, "users", "tiny"))
    encoder = train_encoder.run(home, events, ENCODER)
    embedded = precompute_embeddings.run(home, events, encoder, EmbeddingsConfig())
    return [
        dataset,
        events,
        encoder,
        embedded,
        build_index.run(home, embedded, encoder, IndexConfig()),
    ]


def test_the_chain_on_s3_makes_what_it_makes_in_a_folder(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = chain(Home.open(str(tmp_path / "local")))
    home = Home.open(server.set(monkeypatch, tmp_path / "cache"))
    assert killed_and_taken_up(home, monkeypatch) == here
    shutil.rmtree(tmp_path / "cache")  # a machine that was not there
    home = Home.open(home.location)
    *_, encoder, embedded, index = here
    column = load_dataset(home, embedded).vector_column(encoder)
    assert len(load_dataset(home, embedded).read("items", [column])) > 0
    assert ItemIndex(load_bundle(home, index, family="index").path).space == encoder
    assert home.names("checkpoints") == []


def killed_and_taken_up(home: Home, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The chain, killed while it trains, its machine lost."""
    step = Trainer.step
    seen: list[int] = []

    def dies(trainer: Trainer, i: int) -> dict[str, float]:
        seen.append(i)
        if i == 2 and seen.count(2) == 1:
            raise KeyboardInterrupt
        return step(trainer, i)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", dies)
        with pytest.raises(KeyboardInterrupt):
            chain(home)
        shutil.rmtree(home.root)
        found = chain(Home.open(home.location))
    assert seen == [0, 1, 2, 2], "it goes on from the checkpoint after two of three steps"
    return found


def test_an_evaluation_is_kept_with_and_without_a_tracking_server(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import mlflow

    home = Home.open(f"{server.set(monkeypatch, tmp_path / 'cache')}/tracked")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def recorded(bundle: str) -> None:
        record(
            home,
            bundle_digest=bundle,
            family="encoder",
            dataset="dd",
            metrics={"r@1": 0.5},
            cases={"r@1": {"a": 1.0, "b": 0.0}},
            params={},
            report_html="<p>",
        )
        assert home.read_text("evaluations", bundle, "dd", "report.html") == "<p>"
        found = find(home, bundle, "dd")
        assert found is not None
        assert found.cases["r@1"] == {"a": 1.0, "b": 0.0}

    recorded("aa")
    assert "MLFLOW_TRACKING_URI is not set: aa is not registered" in caplog.text
    tracking = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    recorded("bb")
    (version,) = mlflow.MlflowClient(tracking).search_model_versions("name='tastemaker-encoder'")
    assert version.source == f"{home.location}/bundles/bb"
