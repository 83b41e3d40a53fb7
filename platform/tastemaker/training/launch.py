"""A launcher around the one training loop: the same function in several processes.

`spawn` starts them on this machine; `platform/tastemaker/jobs/ray_train.py` on the nodes of a Ray
cluster. A process that dies ends the others, and the next start goes on from the checkpoint.
"""

import datetime
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from tastemaker.core.errors import TastemakerError
from tastemaker.layers.data_parallel import Group

_SILENT_S = 1800  # a process that says nothing for so long is taken for dead


@contextmanager
def joined(rank: int, size: int, meeting: str) -> Iterator[Group]:
    """Be one of `size` processes until the block ends.

    Args:
        rank: Of this one, from 0.
        size: How many there are.
        meeting: Where they find each other: `file:///path` or `tcp://host:port`.
    """
    torch.distributed.init_process_group(
        "gloo",
        init_method=meeting,
        rank=rank,
        world_size=size,
        timeout=datetime.timedelta(seconds=_SILENT_S),
    )
    try:
        yield Group(rank, size)
    finally:
        torch.distributed.destroy_process_group()


def spawn(work: Callable[..., None], arguments: tuple[Any, ...], size: int) -> None:
    """Call `work(group, *arguments)` in `size` processes of this machine.

    Args:
        work: A function of a module; its arguments travel by pickle.
        arguments: The same for all.
        size: Processes, >= 1.

    Raises:
        TastemakerError: One failed or was killed; the others are ended.
    """
    from torch.multiprocessing.spawn import (
        ProcessExitedException,
        ProcessRaisedException,
        start_processes,
    )

    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{Path(folder) / 'meeting'}"
        try:
            start_processes(
                _member, args=(work, arguments, size, meeting), nprocs=size, start_method="spawn"
            )
        except ProcessRaisedException as error:
            last = str(error).strip().splitlines()[-1]
            raise TastemakerError(f"training on {size} processes failed: {last}") from None
        except ProcessExitedException as error:
            raise TastemakerError(f"training on {size} processes failed: {error}") from None


def _member(
    rank: int, work: Callable[..., None], arguments: tuple[Any, ...], size: int, meeting: str
) -> None:
    with joined(rank, size, meeting) as group:
        work(group, *arguments)
