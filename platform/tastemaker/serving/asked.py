"""What `tastemaker up` asked for: run/asked.json, which the reconciler reads again and again."""

import json
import uuid
from dataclasses import asdict, dataclass, field

from tastemaker.core.home import Home, write_text
from tastemaker.serving.services import Service, from_json, to_json
from tastemaker.serving.surroundings import Timing


@dataclass(frozen=True)
class Asked:
    """One `up`.

    Attributes:
        environment: Whose model files count.
        port: The gateway's.
        settings: The gateway's configuration as JSON; empty: its default preset.
        services: What to run instead of an environment; None: the environment.
        timing: How patient to be.
        id: Tells one `up` from the next.
    """

    environment: str = "local"
    port: int = 8400
    settings: str = ""
    services: tuple[Service, ...] | None = None
    timing: Timing = field(default_factory=Timing)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def write(self, home: Home) -> None:
        """Replace the file at once."""
        value = asdict(self)
        value["services"] = None if self.services is None else to_json(self.services)
        write_text(home.path("run", "asked.json"), json.dumps(value, indent=1))

    @classmethod
    def read(cls, home: Home) -> "Asked":
        """What was asked last."""
        value = json.loads(home.path("run", "asked.json").read_text())
        services = value["services"]
        value["services"] = None if services is None else tuple(from_json(services))
        return cls(**{**value, "timing": Timing(**value["timing"])})
