"""Model files of each environment: chart, schemas, agreement, bundles."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from tastemaker.core.errors import ConfigError, NotFound, SpaceMismatch, TastemakerError
from tastemaker.core.home import Home
from tastemaker.deployment.check_charts import object_faults, of_error
from tastemaker.deployment.faults import Fault
from tastemaker.deployment.model_files import Environment, ModelFile, common, read_model
from tastemaker.deployment.root import find
from tastemaker.deployment.schemas import Schemas
from tastemaker.promotion.model_file import MODELS, PINS

LOCAL = "local"
EXAMPLE = "0" * 16  # of a model that is not live yet: the files below its promoted one still count


@dataclass
class EnvironmentReport:
    """What became of an environment's check.

    Attributes:
        faults: What must be mended.
        notes: What could not be checked here, and why.
    """

    faults: list[Fault]
    notes: list[str]


def environments() -> list[str]:
    """Names of the environments in `manifests/models/`."""
    folders = find("manifests/models").iterdir()
    return sorted(path.name for path in folders if path.is_dir() and path.name != "base")


def check_environment(home: Home, environment: str, schemas: Schemas) -> EnvironmentReport:
    """Check an environment's model files together.

    Args:
        home: The home of `local`, whose promoted files and bundles it holds.
        environment: Its name.
        schemas: Of the rendered kinds.
    """
    report = EnvironmentReport([], [])
    read: dict[str, ModelFile] = {}
    for model in MODELS:
        try:
            read[model] = _read(home, environment, model, report)
        except (ConfigError, NotFound) as error:
            report.faults.append(Fault("", f"{environment}/{model}", "", str(error)))
    for model, file in read.items():
        report.faults += _rendered(environment, model, file, schemas)
    if not report.faults and not _is_example(read["encoder"]):
        found = Environment(environment, read)
        report.faults += list(_agreement(found))
        report.faults += list(_bundles(home, found, report))
    return report


def _read(home: Home, environment: str, model: str, report: EnvironmentReport) -> ModelFile:
    try:
        return read_model(home, environment, model)
    except NotFound:
        if environment != LOCAL:
            raise
        report.notes.append(f"{environment}/{model}: nothing is live in {home.location} yet")
        example = ("(example)", dict.fromkeys(PINS, EXAMPLE))
        return ModelFile(model, (*common(home, environment, model), example))


def _is_example(file: ModelFile) -> bool:
    return file.files[-1] == "(example)"


def _rendered(environment: str, model: str, file: ModelFile, schemas: Schemas) -> list[Fault]:
    try:
        objects = file.render()
    except ConfigError as error:
        return of_error(error, file.files[-1], f"{environment}/{model}")
    return list(object_faults(objects, file.files[-1], schemas))


def _agreement(environment: Environment) -> Iterator[Fault]:
    for model in environment.models:
        try:
            environment.check_agreement(model)
        except (SpaceMismatch, ConfigError) as error:
            yield _fault(environment, model, error)


def _bundles(home: Home, environment: Environment, report: EnvironmentReport) -> Iterator[Fault]:
    location = str(environment.models["encoder"].values["home"])
    opened = home if environment.name == LOCAL else _reachable(location)
    if opened is None:
        report.notes.append(
            f"{environment.name}: bundles in {location} not looked at: no AWS_ACCESS_KEY_ID here"
        )
        return
    for model in environment.models:
        try:
            environment.check_bundle(opened, model)
        except TastemakerError as error:
            yield _fault(environment, model, error)


def _reachable(location: str) -> Home | None:
    if location.startswith("s3://") and not os.environ.get("AWS_ACCESS_KEY_ID"):
        return None
    return Home.open(location)


def _fault(environment: Environment, model: str, error: TastemakerError) -> Fault:
    """`file: field: rule` of a message, with the model that it is about."""
    file = environment.models[model].files[-1]
    text = str(error).removeprefix(f"{file}: ")
    field, separator, rule = text.partition(": ")
    if not separator or " " in field:
        field, rule = "", text
    return Fault(file, f"{environment.name}/{model}", field, rule)
