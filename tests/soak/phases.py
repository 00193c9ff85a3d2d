"""What a sync is at, as its files tell from outside."""

from pathlib import Path

from stored_completions.warehouse import Files

READING, EXTRACT, NORMALISE, LOAD, BETWEEN, PUBLISH = "reading extract normalise load between publish".split()


def phase(files: Files) -> str:
    dlt = files.dlt / "stored_completions"
    if (files.folder / f"{files.published.name}.publishing").exists():
        return PUBLISH
    if not files.dlt.exists():
        return READING
    if _packages(dlt / "load" / "normalized"):
        return LOAD
    if _packages(dlt / "normalize" / "extracted"):
        return NORMALISE
    return EXTRACT if _packages(dlt / "normalize") else BETWEEN


def _packages(folder: Path) -> bool:
    """dlt names a package by its time."""
    try:
        return any(path.name[:1].isdigit() for path in folder.iterdir())
    except FileNotFoundError:
        return False
