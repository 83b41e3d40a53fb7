"""One fault of a deployment: where it stands and which rule it breaks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fault:
    """Something that must be mended before anything is submitted.

    Attributes:
        file: Where to mend it, as a reader would open it.
        object: What is wrong: `Kind/name`, a model, a preset.
        field: Path of the field, `spec.replicas`; empty: the whole.
        rule: What the field holds and what it must hold.
    """

    file: str
    object: str
    field: str
    rule: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.object, self.field, self.rule) if part)


def named(document: Mapping[str, Any]) -> str:
    """`Kind/name` of a Kubernetes object, as messages say it."""
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return f"{document.get('kind', '(no kind)')}/{name or '(no name)'}"


def dotted(path: Iterable[str | int]) -> str:
    """`spec.containers[0].image` from its parts."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
