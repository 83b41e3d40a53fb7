"""What all tests share: the schemas that rendered objects are checked against."""

import os

import pytest

from tastemaker.deployment import crd_files
from tastemaker.deployment.schemas import Schemas

# Looked for once, from the checkout: a test that works in another folder needs the same ones.
CRD_FOLDERS = crd_files.folders()


@pytest.fixture(scope="session")
def schemas() -> Schemas:
    """Schemas of built-in kinds and CRDs; built once, for a large CRD takes a second.

    A test that needs them without asking (a server that checks what it is sent) uses it, too:
    where no CRD files are, it is skipped.
    """
    if not CRD_FOLDERS:
        assert not os.environ.get("CI"), "CI must have CRD files"
        pytest.skip("no CRD files here: run `tastemaker check --fetch-schemas` once")
    return Schemas(CRD_FOLDERS)
