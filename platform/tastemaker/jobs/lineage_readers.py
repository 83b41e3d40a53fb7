"""How things of a home are read for their lineage: one function a kind."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import yaml
from sqlalchemy import Engine, column, inspect, select, table

from tastemaker.core.errors import NotFound, TastemakerError
from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.evaluation import tracking
from tastemaker.jobs import step_records
from tastemaker.jobs.lineage import Node, Ref
from tastemaker.jobs.lineage_commits import Commits
from tastemaker.promotion.bundle import load_bundle
from tastemaker.promotion.evidence import read_unverified

_TURNS = table("turns", column("turn_id"), column("time_ms"), column("record"))
_KINDS = {"dataset": "dataset", "dialogues": "dialogues"}  # of a parent's role; else a bundle
_UNNAMED = (
    "the turn's record names no bundle: it is of an older version, or the model servers did not "
    "say theirs"
)
_SPOKEN = ("question", "text")  # of a record: what the user and the assistant said


@dataclass(frozen=True)
class Reader:
    """Reads things of a home.

    Attributes:
        home: Where they lie.
        engine: The operational database, for turns.
        environment: Where turns were answered.
        with_text: Whether a turn's question and answer are told.
    """

    home: Home
    engine: Engine | None
    environment: str = "local"
    with_text: bool = False
    _evidence: dict[str, list[str]] = field(default_factory=dict)

    def __call__(self, ref: Ref) -> Node:
        """Read one; what is broken is missing, with the reason."""
        kinds: Mapping[str, Callable[[str], Node]] = {
            "turn": self.turn,
            "bundle": self.bundle,
            "dataset": self.dataset,
            "dialogues": self.dialogues,
            "features": self.features,
            "evaluation": self.evaluation,
            "evidence": self.evidence,
            "commit": self.commits.read,
            "run": self.run,
            "servers": lambda name: Node(missing=_UNNAMED),
            "source": lambda name: Node(),
            "prices": lambda name: Node(),
        }
        try:
            return kinds[ref.kind](ref.id)
        except NotFound as error:
            return Node(missing=str(error))
        except (TastemakerError, OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
            return Node(missing=f"cannot be read: {error}")

    @cached_property
    def commits(self) -> Commits:
        """The promotion repository's commits."""
        return Commits(self.home)

    def turn(self, turn_id: str) -> Node:
        """An answer: what it was made of and by."""
        row = self._turn_row(turn_id)
        if row is None:
            return Node(missing=f"no turn {turn_id} in the operational database")
        record = json.loads(row["record"])
        steps = ", ".join(str(step["tool"]) for step in record.get("steps") or ())
        facts = {
            "at": _utc(row["time_ms"]),
            "status": record.get("status", ""),
            "steps": f"({steps})" if steps else "",
            "ms": f"{record.get('ms', 0):g}",
            "cents": f"{record.get('cents', 0):g}",
            "trace": record.get("trace", ""),
        }
        if self.with_text:
            facts |= {name: json.dumps(record.get(name, "")) for name in _SPOKEN}
        links = [
            (model, Ref("bundle", bundle))
            for model, found in (record.get("bundles") or {}).items()
            for bundle in found
        ]
        kinds = {
            "dataset": "dataset",
            "space": "bundle",
            "features": "features",
            "prices": "prices",
        }
        versions = record.get("versions") or {}
        links += [(role, Ref(kinds[role], versions[role])) for role in kinds if versions.get(role)]
        live = self.commits.live_at(self.environment, row["time_ms"])
        links += [("live by", Ref("commit", commit)) for commit in live]
        if not record.get("bundles"):
            links.append(("bundles", Ref("servers", turn_id)))
        return Node(facts, tuple(links))

    def bundle(self, digest: str) -> Node:
        """A trained model or an index."""
        links = tuple(self._of_bundle(digest))
        try:
            card = load_bundle(self.home, digest).card
        except NotFound as error:
            return Node(links=links, missing=str(error))
        facts = {"family": card.family, "version": card.code_version}
        facts |= {name: f"{value:.4g}" for name, value in (card.metrics or {}).items()}
        parents = [
            (role, Ref(_KINDS.get(role, "bundle"), parent)) for role, parent in card.parents.items()
        ]
        return Node(facts, (*parents, *links))

    def _of_bundle(self, digest: str) -> Iterator[tuple[str, Ref]]:
        """What is told of a bundle elsewhere than in it."""
        yield from self._runs(digest)
        for name in self.home.names("evaluations", digest):
            if self.home.read_text("evaluations", digest, name, "metrics.json") is not None:
                yield "evaluation", Ref("evaluation", f"{digest}/{name}")
        for found in self._evidence_of(digest):
            yield "evidence", Ref("evidence", found)
        for commit in self.commits.that_brought(digest):
            yield "promoted by", Ref("commit", commit)

    def dataset(self, digest: str) -> Node:
        """A dataset version; one without parents comes from the source catalogue."""
        data = load_dataset(self.home, digest)
        facts = {"of": data.name}
        facts |= {name: f"{at.rows}" for name, at in data.tables.items()}
        links = [("parent", Ref("dataset", parent)) for parent in data.parents]
        links += [("vectors of", Ref("bundle", encoder)) for encoder in data.spaces.values()]
        links += self._runs(digest)
        if not data.parents:
            curated = step_records.longest(self.home, digest, "curate")
            named = curated.inputs if curated else {}
            source = named.get("catalog", data.name)
            known = f" (digest {named['source_digest']})" if named.get("source_digest") else ""
            links.append(("source", Ref("source", f"{source}{known}")))
        return Node(facts, tuple(links))

    def dialogues(self, digest: str) -> Node:
        """The router's dialogues."""
        path = self.home.fetch("dialogues", digest) / "meta.json"
        if not path.is_file():
            raise NotFound(f"no dialogues {digest!r} in {self.home.location}")
        meta = json.loads(path.read_text())
        links = [
            (role, Ref(_KINDS.get(role, "bundle"), parent))
            for role, parent in meta["parents"].items()
        ]
        sizes = {name: str(meta["config"].get(name, "")) for name in ("train", "val", "test")}
        return Node(sizes, (*links, *self._runs(digest)))

    def features(self, digest: str) -> Node:
        """A generation of features; what the live one came from is in its own file."""
        text = self.home.read_text("features", "current.yaml")
        found = yaml.safe_load(text) if text else {}
        made = step_records.longest(self.home, digest, "materialise_features")
        if found.get("tables") == digest:
            names = {"dataset": found["dataset"], "sequence": found["sequence"]}
            facts = {"since": _utc(found["written_ms"])}
        elif made is not None:
            names, facts = dict(made.inputs), {"until": "another generation"}
        else:
            raise NotFound(
                f"features/current.yaml is of another generation, and there is no "
                f"{step_records.FOLDER}/{digest}.json"
            )
        links = [
            (role, Ref(_KINDS.get(role, "bundle"), names[role]))
            for role in ("dataset", "sequence")
            if names.get(role)
        ]
        return Node(facts, (*links, *self._runs(digest)))

    def evaluation(self, name: str) -> Node:
        """Figures of a bundle on a dataset version or dialogues."""
        bundle, _, dataset = name.partition("/")
        found = tracking.find(self.home, bundle, dataset)
        if found is None:
            raise NotFound(f"no evaluations/{name} in {self.home.location}")
        shown = list(found.metrics.items())[:6]
        kind = "dialogues" if self.home.holds("dialogues", dataset) else "dataset"
        facts = {key: f"{value:.4g}" for key, value in shown}
        return Node(facts, ((kind, Ref(kind, dataset)),))

    def evidence(self, digest: str) -> Node:
        """What the gates signed."""
        text = self.home.read_text("evidence", f"{digest}.json")
        text = text or self.commits.evidence.get(digest)
        if text is None:
            raise NotFound(f"no evidence/{digest}.json in {self.home.location}")
        found = read_unverified(text)
        passed = sum(gate.passed for gate in found.gates)
        facts = {
            "for": f"{found.model} in {found.environment}",
            "gates": f"{passed}/{len(found.gates)} passed",
            "baseline": found.baseline or "none",
            "made": found.created,
            "run": found.run,
        }
        return Node(facts, (("dataset", Ref("dataset", found.dataset)),))

    def run(self, name: str) -> Node:
        """A run of a step: by the record that it left, else by a local pipeline's folder."""
        made, recorded, number = name.partition("#")
        folder = self._folders.get(made, "")
        if not recorded and not folder:
            raise NotFound(
                f"no {step_records.FOLDER}/{made}.json, and no folder below kfp/runs gave {made}"
            )
        if not recorded:
            return Node({"folder": folder})
        done = step_records.of(self.home, made)[int(number)]
        facts = {"ended": done.ended, "took": f"{done.seconds:g} s", "cpu": f"{done.cpu_s:g} s"}
        facts |= {"pipeline run": done.run, "code": done.code, "version": done.version}
        return Node({"step": done.step, **facts, "folder": folder})

    def _runs(self, digest: str) -> list[tuple[str, Ref]]:
        """The runs that made something, for each step the one that did the work."""
        done = step_records.of(self.home, digest)
        longest: dict[str, int] = {}
        for place, one in enumerate(done):
            if not one.step.startswith("evaluate"):
                before = longest.setdefault(one.step, place)
                longest[one.step] = max(before, place, key=lambda n: done[n].seconds)
        names = [f"{digest}#{place}" for place in longest.values()] or [digest]
        return [("made by", Ref("run", name)) for name in names]

    @cached_property
    def _folders(self) -> dict[str, str]:
        """By what it gave, the newest folder of a local pipeline's step."""
        found = {}
        for file in sorted(self.home.root.glob("kfp/runs/*/*/executor_output.json")):
            given = json.loads(file.read_text()).get("parameterValues", {}).get("Output", "")
            found[str(given)] = str(file.parent.relative_to(self.home.root))
        return found

    def _evidence_of(self, bundle: str) -> list[str]:
        if not self._evidence:
            for name in self.home.names("evidence"):
                if name.endswith(".json"):
                    self._index(name.removesuffix(".json"))
            self._evidence.setdefault("", [])
        return self._evidence.get(bundle, [])

    def _index(self, digest: str) -> None:
        text = self.home.read_text("evidence", f"{digest}.json")
        try:
            found = read_unverified(text or "").bundle
        except TastemakerError:
            found = ""
        self._evidence.setdefault(found, []).append(digest)

    def _turn_row(self, turn_id: str) -> Mapping[str, Any] | None:
        if self.engine is None or not inspect(self.engine).has_table("turns"):
            return None
        rows = select(_TURNS).where(_TURNS.c.turn_id == turn_id)
        with self.engine.connect() as connection:
            row = connection.execute(rows).mappings().one_or_none()
        return None if row is None else dict(row)


def _utc(time_ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
