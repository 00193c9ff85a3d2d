"""Everything recorded, through the whole product and back: served, synced, published, rebuilt, compared."""

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from given import rows
from rebuild import Tables, load, read, rebuild, same
from stored_completions import config
from stored_completions.sandbox import Account, Sandbox
from stored_completions.sync import sync
from stored_completions.tables import TABLES

_PER_SECOND = 7
_FIRST_SECOND = 1_700_000_000


def bodies(corpus: Path, name: str) -> Iterator[Any]:
    with gzip.open(corpus / name, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["body"]


def served(corpus: Path) -> dict[str, Any]:
    """Every recorded completion by an id of its own, several a second: recorded ids repeat, and seconds too."""
    recorded = [*bodies(corpus, "recorded.ndjson.gz"), *bodies(corpus, "assembled_logprobs.ndjson.gz")]
    return {
        f"recorded-{place}": body
        | {"id": f"recorded-{place}", "created": _FIRST_SECOND + place // _PER_SECOND}
        for place, body in enumerate(recorded)
    }


def published(path: Path) -> Tables:
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return {table.name: rows(connection, f"from chat.{table.name}") for table in TABLES}


def differences(sent: dict[str, Any], tables: Tables) -> list[str]:
    rebuilt = rebuild(tables)
    assert rebuilt.keys() <= sent.keys()
    return [
        completion_id for completion_id, body in sent.items() if not same(body, rebuilt.get(completion_id))
    ]


def tell(capsys: pytest.CaptureFixture[str], sentence: str) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{sentence}\n")


def test_every_recorded_completion_is_rebuilt_from_the_published_warehouse(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = served(corpus)
    account = Account()
    for body in sent.values():
        account.add(body)
    warehouse = tmp_path / "stored_completions.duckdb"
    with Sandbox(account) as sandbox:
        flags = {"api_key": "sk-sandbox", "base_url": sandbox.base_url}
        settings = config.settings(flags, {}, tmp_path)
        first = sync(settings, warehouse)
        second = sync(settings, warehouse)
    tables = published(warehouse)
    different = differences(sent, tables)
    tell(capsys, f"{len(sent):,} recorded completions synced and rebuilt: {len(different)} differences")
    assert len(sent) == 14_914 + 35
    assert different == []
    assert tables["quarantine"] == []
    assert (first.counts.rows_new, first.counts.rows_quarantined) == (len(sent), 0)
    assert (second.counts.rows_new, second.counts.rows_changed, second.counts.rows_quarantined) == (0, 0, 0)


def test_every_recorded_list_page_is_rebuilt(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pages as they were sent, ids and all; the same completion stands on several of them."""
    count, different = 0, []
    for page in bodies(corpus, "list_pages.ndjson.gz"):
        sent = {body["id"]: body for body in page["data"]}
        tables = read(load(*(json.dumps(body).encode() for body in page["data"])))
        assert tables["quarantine"] == []
        different += differences(sent, tables)
        count += len(page["data"])
    tell(capsys, f"{count:,} completions of recorded list pages rebuilt: {len(different)} differences")
    assert count > 400
    assert different == []
