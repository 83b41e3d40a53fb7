"""From the model files of an environment to the services that one machine runs.

The same files and charts make a cluster's objects: what a cluster would refuse is refused here, in
the same words.

python -m tastemaker.serving.model_services --home .tastemaker     (prints them as JSON)
"""

import argparse
import json
import os
import re
import sys
from contextlib import suppress
from pathlib import Path

from tastemaker.core.errors import ConfigError, TastemakerError
from tastemaker.core.home import Home
from tastemaker.deployment.model_files import ModelFile, load_environment
from tastemaker.deployment.root import find
from tastemaker.promotion import checkout
from tastemaker.promotion.bundle import load_bundle
from tastemaker.promotion.environment import read_file
from tastemaker.promotion.model_file import MODELS
from tastemaker.serving import containers
from tastemaker.serving.asked import Asked
from tastemaker.serving.gateway_service import gateway
from tastemaker.serving.services import Service, to_json

_BUNDLE = re.compile(r".*/bundles/(?P<digest>[0-9a-f]{16})(?P<rest>/.*)?")


def ports(first: int) -> dict[str, int]:
    """Stable port by name: the gateway's, then the models'."""
    return {name: first + offset for offset, name in enumerate(("gateway", *MODELS))}


def services(home: Home, environment: str, port: int, settings: str = "") -> list[Service]:
    """The processes that serve what is live in an environment.

    Args:
        home: Where the bundles lie.
        environment: Its name.
        port: The gateway's; encoder, retrieval, recommender and router take the four after it.
        settings: The gateway's configuration as JSON; empty: its default preset.

    Raises:
        NotFound: A model is not live, or its bundle is gone or of another family.
        ConfigError: A model file that the chart refuses, or that needs a cluster.
        SpaceMismatch: A live model reads another space than the live encoder writes.
        ServiceError: No environment with vLLM.
    """
    live = load_environment(home, environment)
    at = ports(port)
    found = [one for name in MODELS for one in _of_model(home, live.models[name], at[name])]
    return [*found, gateway(home, live, at["gateway"], settings)]


def _of_model(home: Home, model: ModelFile, port: int) -> list[Service]:
    try:
        return [_service(home, model, one, port) for one in containers.of_model(model.render())]
    except ConfigError as error:
        raise ConfigError(f"{model.files[-1]}: {error}") from None


def _service(home: Home, model: ModelFile, one: containers.Rendered, port: int) -> Service:
    folders = {path: _folder(home, uri) for path, uri in one.mounts.items()}
    return Service(
        model.name,
        containers.command(one.container, folders),
        port,
        containers.health(one.container),
        containers.environment(one.container, scratch=home.root),
        bundle=one.bundle,
        space=model.space,
        weight=one.weight,
        canary=one.canary,
        liveness=containers.liveness(one.container),
    )


def _folder(home: Home, uri: str) -> Path:
    """A bundle's local folder; fetched where the home lies elsewhere."""
    found = _BUNDLE.fullmatch(uri)
    assert found is not None, uri
    return Path(f"{load_bundle(home, found['digest']).path}{found['rest'] or ''}")


def contents(home: Home, environment: str) -> list[str]:
    """What the files hold that say what is wanted; a change of it is a change to make."""
    found = []
    for name in ("all", *MODELS):
        found.append(f"{name}\0{read_file(home, environment, name) or ''}")
        for path in (f"base/{name}.yaml", f"{environment}/{name}.yaml"):
            with suppress(ConfigError):  # not every file is there
                found.append(find(f"manifests/models/{path}").read_text())
    return found


def main() -> None:
    """Print the services that the last `up` asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", required=True)
    home = Home.open(parser.parse_args().home)
    asked = Asked.read(home)
    try:
        if tree := checkout.read(home):  # all files of one commit, whatever is switched meanwhile
            os.environ[checkout.MANIFESTS] = str(tree.folder)
        found = services(home, asked.environment, asked.port, asked.settings)
    except TastemakerError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None
    sys.stdout.write(json.dumps(to_json(found)))


if __name__ == "__main__":
    main()
