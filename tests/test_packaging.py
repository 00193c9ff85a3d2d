"""The wheel and the sdist, built for real from a checkout that has secrets and data lying about."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
MARKER = "sk" + "-planted-where-no-archive-may-carry-it"  # in two, as this file is in the sdist
PLANTED = (
    ".dlt/secrets.toml",
    ".dlt/secrets.toml~",
    ".stored_completions/pages/page.json",
    "completions.duckdb",
    "completions.duckdb.wal",
    "pipelines/stored_completions/completions.duckdb",
    "sql/marts/completions.duckdb",
    "tests/.stored_completions/page.json",
)
WHEEL_OWN = {
    f"stored_completions-{{version}}.dist-info/{name}"
    for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
}
SDIST_FILES = {
    ".ci/run",
    ".dlt/config.toml",
    ".dlt/secrets.toml.example",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "constraints.txt",
    "pyproject.toml",
}
SDIST_FOLDERS = ("bench", "schedules", "reference", "pipelines", "sql", "tests")


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(target: str, tree: Path) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "--target", target, cwd=tree)
    (archive,) = (tree / "dist").glob({"wheel": "*.whl", "sdist": "*.tar.gz"}[target])
    return archive


def read_wheel(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def read_sdist(path: Path) -> dict[str, bytes]:
    """Files by their path below the sdist's one folder."""
    with tarfile.open(path) as archive:
        return {
            str(PurePosixPath(*PurePosixPath(member.name).parts[1:])): file.read()
            for member in archive
            if (file := archive.extractfile(member))
        }


def below(folder: str, paths: set[str]) -> set[str]:
    return {path for path in paths if path.startswith(folder + "/")}


@pytest.fixture(scope="module")
def ours() -> set[str]:
    """Every file of the checkout that git does not ignore."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    return {path for path in listed.split("\0") if path and (ROOT / path).is_file()}


@pytest.fixture(scope="module")
def checkout(ours: set[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    for path in ours:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, folder / path)
    for path in PLANTED:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(f'api_key = "{MARKER}"\n')
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path) -> Path:
    return build("wheel", checkout)


@pytest.fixture(scope="module")
def sdist(checkout: Path) -> Path:
    return build("sdist", checkout)


@pytest.fixture(scope="module")
def version() -> str:
    init = (ROOT / "pipelines/stored_completions/__init__.py").read_text()
    (version,) = re.findall(r'^__version__ = "(.+)"$', init, re.MULTILINE)
    return str(version)


def test_wheel_has_the_package_and_its_sql_and_nothing_else(
    wheel: Path, ours: set[str], version: str
) -> None:
    package = {path.removeprefix("pipelines/") for path in below("pipelines/stored_completions", ours)}
    sql = {f"stored_completions/{path}" for path in below("sql", ours)}
    assert "stored_completions/cli.py" in package
    assert any(path.endswith(".sql") for path in sql)
    assert set(read_wheel(wheel)) == package | sql | {name.format(version=version) for name in WHEEL_OWN}


def test_sdist_has_what_a_build_and_a_test_run_need_and_nothing_else(sdist: Path, ours: set[str]) -> None:
    folders = {path for folder in SDIST_FOLDERS for path in below(folder, ours)}
    assert "tests/test_packaging.py" in folders
    assert set(read_sdist(sdist)) == SDIST_FILES | folders | {"PKG-INFO", ".gitignore"}


def test_no_archive_has_a_byte_of_the_secrets(wheel: Path, sdist: Path) -> None:
    members = read_wheel(wheel) | read_sdist(sdist)
    assert [name for name, content in members.items() if MARKER.encode() in content] == []


def test_archives_are_the_same_without_a_gitignore(
    checkout: Path, wheel: Path, sdist: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(checkout, bare, ignore=shutil.ignore_patterns(".gitignore", "dist"))
    assert build("wheel", bare).read_bytes() == wheel.read_bytes()
    assert read_sdist(build("sdist", bare)).keys() == read_sdist(sdist).keys() - {".gitignore"}


def test_metadata_names_version_command_and_licence(wheel: Path, version: str) -> None:
    members = read_wheel(wheel)
    info = f"stored_completions-{version}.dist-info"
    assert members[f"{info}/entry_points.txt"].decode() == (
        "[console_scripts]\nstored-completions = stored_completions.cli:main\n"
    )
    assert members[f"{info}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    metadata = members[f"{info}/METADATA"].decode().splitlines()
    assert {"Name: stored-completions", f"Version: {version}", "License-Expression: MIT"} <= set(metadata)


def test_wheel_of_the_sdist_is_the_wheel_of_the_checkout(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    for path, content in read_sdist(sdist).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    assert build("wheel", tmp_path).read_bytes() == wheel.read_bytes()


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel alone in a folder; what it depends on comes from the environment of the tests."""
    folder = tmp_path_factory.mktemp("installed")
    run(
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--no-index",
        "--target",
        folder,
        wheel,
        cwd=folder,
    )
    return folder


def test_installed_wheel_finds_its_own_sql(installed: Path, ours: set[str]) -> None:
    code = "from stored_completions.models import sql_folder; print(sql_folder())"
    folder = Path(run(sys.executable, "-c", code, cwd=installed, PYTHONPATH=str(installed)).strip())
    assert folder == installed / "stored_completions" / "sql"
    found = {path.relative_to(folder.parent).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == below("sql", ours)


def test_installed_wheel_tells_its_version(installed: Path, version: str) -> None:
    said = run(
        sys.executable, "-m", "stored_completions", "--version", cwd=installed, PYTHONPATH=str(installed)
    )
    assert version in said.split()


def test_installed_command_explains_itself(installed: Path) -> None:
    said = run(installed / "bin" / "stored-completions", "--help", cwd=installed, PYTHONPATH=str(installed))
    assert "sync" in said
    assert "demo" in said


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    rows = [line.partition("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, _, version in rows}


def test_constraints_are_names_and_versions_in_order() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line)] == []
    assert lines == sorted(set(lines), key=str.lower)


def test_constraints_satisfy_pyproject(pins: dict[str, str]) -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *pyproject["build-system"]["requires"],
        *pyproject["project"]["dependencies"],
        *pyproject["project"]["optional-dependencies"]["dev"],
    ]
    requirements = [Requirement(line) for line in wanted]
    assert [str(r) for r in requirements if not r.specifier.contains(pins[canonicalize_name(r.name)])] == []


def test_constraints_pin_all_that_gets_installed(pins: dict[str, str]) -> None:
    reached = set[str]()
    ahead = [Requirement("stored-completions[dev]")]
    while ahead:
        requirement = ahead.pop()
        name = canonicalize_name(requirement.name)
        wanted = [Requirement(line) for line in distribution(name).requires or ()]
        extras = requirement.extras or {""}
        applying = [w for w in wanted if not w.marker or any(w.marker.evaluate({"extra": e}) for e in extras)]
        ahead += [w for w in applying if canonicalize_name(w.name) not in reached]
        reached.add(name)
    assert reached - set(pins) == {"stored-completions"}
