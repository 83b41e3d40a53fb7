"""Training on the nodes of a Ray cluster, as a RayJob's driver starts it."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from tastemaker.core.config import to_settings
from tastemaker.core.errors import TastemakerError
from tastemaker.core.home import Home
from tastemaker.deployment.schemas import Schemas
from tastemaker.jobs import make_dialogues, ray_train, train_router
from tastemaker.jobs.ray_job_config import ENVIRONMENT, RayJobConfig
from tastemaker.promotion.bundle import load_bundle
from tests.tastemaker.jobs.kubernetes_server import ApiServer, kubeconfig, operate, serving
from tests.tastemaker.jobs.test_router_jobs import DIALOGUES, ROUTER, new_home

TOGETHER = ROUTER.model_copy(update={"workers": 2, "steps": 6})


def curve(home: Home, bundle: str) -> np.ndarray:
    path = load_bundle(home, bundle, family="router").path / "curve.json"
    return np.array(json.loads(path.read_text()))


@pytest.mark.slow
def test_a_step_with_two_workers_trains_in_a_ray_job(
    ray_address: str, schemas: Schemas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, *parents = new_home(tmp_path / "home")
    dialogues = make_dialogues.run(home, *parents, DIALOGUES)
    alone = train_router.run(home, dialogues, TOGETHER.model_copy(update={"workers": 1}))
    job = RayJobConfig(image="registry.acme.io/tastemaker/train:1", config_map="home")
    monkeypatch.setenv(ENVIRONMENT, to_settings(job))
    server = ApiServer(schemas)
    with serving(server):
        kubeconfig(tmp_path / "kubeconfig", server.port, monkeypatch)
        operator = threading.Thread(target=operate, args=(server, ray_address))
        operator.start()
        made = train_router.run(home, dialogues, TOGETHER)
        operator.join()
    np.testing.assert_allclose(curve(home, made), curve(home, alone), rtol=0.02)
    assert home.names(ray_train.RESULTS) == []


@pytest.mark.slow
def test_a_member_that_fails_says_why(ray_address: str, tmp_path: Path) -> None:
    home = Home.open(str(tmp_path / "home"))
    run = ray_train.Run(home.location, "0" * 16, to_settings(TOGETHER))
    with pytest.raises(TastemakerError, match=r"on 2 Ray actors failed: .*"):
        ray_train.train_on_ray(run)
