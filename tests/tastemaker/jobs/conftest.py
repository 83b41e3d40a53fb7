from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """A Ray cluster on this machine, the only one of a test run; gives its address."""
    import ray

    from tastemaker.jobs import ray_embed

    with ray_embed.local_ray(2):
        yield ray.get_runtime_context().gcs_address
