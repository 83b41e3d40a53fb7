"""`tastemaker check`: everything that a cluster will be given, before it is given anything."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tastemaker.core.config import Config
from tastemaker.core.home import Home
from tastemaker.deployment import check_charts, check_code, check_models, crd_files
from tastemaker.deployment.check_charts import shown
from tastemaker.deployment.faults import Fault
from tastemaker.deployment.schemas import Schemas

Say = Callable[[str], None]


@dataclass
class Report:
    """What was checked.

    Attributes:
        num_checked: Files, environments and families looked at.
        faults: What must be mended.
        notes: What could not be checked here, and why.
    """

    say: Say
    num_checked: int = 0
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, what: str, faults: Iterable[Fault]) -> None:
        """Take one thing's faults and say how it went."""
        found = list(faults)
        self.num_checked += 1
        self.faults += found
        self.say(f"{'ok' if not found else f'{len(found)} faults'}  {what}")

    def summary(self) -> str:
        """Notes, faults and a last line."""
        lines = [f"note: {note}" for note in self.notes]
        lines += [str(fault) for fault in self.faults]
        return "\n".join([*lines, f"{self.num_checked} checked, {len(self.faults)} faults"])


def run(
    home: Home,
    presets: Mapping[str, type[Config]],
    say: Say,
    *,
    environments: Sequence[str] = (),
    fetch_schemas: bool = False,
) -> Report:
    """Check charts, manifests, model files, pipelines, features and presets together.

    Args:
        home: Of the `local` environment.
        presets: The configuration class of each family of presets.
        say: Told one line a thing that was checked.
        environments: Only their model files; empty: every environment's.
        fetch_schemas: Download the pinned CRD files first.

    Raises:
        ConfigError: Something to check is nowhere (not in the repository).
        ServiceError: Schemas could not be downloaded.
    """
    report = Report(say)
    if fetch_schemas:
        say(f"schemas in {crd_files.fetch(say)}")
    schemas = Schemas()
    for chart, file in check_charts.variants():
        report.add(shown(file), check_charts.chart_faults(chart, file, schemas))
    patches = check_charts.patch_files()
    for file in check_charts.manifests():
        report.add(shown(file), check_charts.manifest_faults(file, patches, schemas))
    for environment in environments or check_models.environments():
        checked = check_models.check_environment(home, environment, schemas)
        report.add(f"models of {environment}", checked.faults)
        report.notes += checked.notes
    for file in check_code.pipelines():
        report.add(shown(file), check_code.pipeline_faults(file, schemas))
    report.add("Feast definitions", check_code.feature_faults())
    report.add("presets", check_code.preset_faults(presets))
    return report
