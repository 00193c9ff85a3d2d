"""What every test shares: where the recorded corpus is, and hypothesis without surprises."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from stored_completions.sandbox.server import Sandbox
from synced import synced

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile(
    "default", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def shared() -> Path:
    """The folder of recorded traffic; it is beside the checkout where there is one."""
    return Path(os.environ.get("STORED_COMPLETIONS_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def corpus() -> Path:
    folder = shared() / "corpus"
    if not folder.is_dir():
        pytest.skip(f"NO RECORDED CORPUS at {folder}: the tests on real recorded traffic did not run")
    return folder


@pytest.fixture(scope="module")
def synced_once(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a warehouse of all that the module's own `sandbox` has."""
    folder = tmp_path_factory.mktemp("once")
    synced(sandbox, folder)
    return folder


@pytest.fixture
def folder(synced_once: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    return Path(shutil.copytree(synced_once, tmp_path / "warehouse"))
