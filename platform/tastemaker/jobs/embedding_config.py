"""How items are embedded; apart from the job, so that reading it needs no torch."""

from pydantic import Field, PositiveInt

from tastemaker.core.config import Config


class EmbeddingsConfig(Config):
    """How the items are embedded; the vectors do not depend on it."""

    batch_size: PositiveInt = 256  # items
    part_rows: PositiveInt = 20_000  # items whose vectors are written together
    ray_above_items: int = Field(default=50_000, ge=0)  # more than this many go through Ray
    ray_actors: PositiveInt = 2  # processes on this machine, one thread each
