"""The sync through the real thing: the sandbox over HTTP, dlt, DuckDB files in a temporary folder."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from stored_completions import warehouse
from stored_completions.config import settings
from stored_completions.errors import AccessError, Busy, ServiceError, Stopped, UsageError
from stored_completions.sandbox import Account, Fault, Sandbox
from stored_completions.stop import Stop
from stored_completions.sync import sync
from stored_completions.tables import BY_NAME
from synced import (
    NAME,
    NOW,
    SMALL,
    Heard,
    assert_exact,
    assert_sound,
    files,
    last_run,
    one,
    rows,
    serving,
    started,
    synced,
    tables,
    until,
)

TYPES = {
    "text": "VARCHAR",
    "json": "VARCHAR",
    "bigint": "BIGINT",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "date": "DATE",
    "binary": "BLOB",
}
KIND = "ENUM('content', 'refusal')"


@pytest.fixture(scope="session")
def account() -> Account:
    return Account.generate(150, logprob_share=0.1)


@pytest.fixture(scope="session")
def folder(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse that was synced once; tests only read it."""
    folder = tmp_path_factory.mktemp("synced")
    with serving(account) as sandbox:
        synced(sandbox, folder)
    return folder


def completion(id_: str, created: int, **fields: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": f"I am {id_}."}
    choices = [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}]
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    plain = {"id": id_, "object": "chat.completion", "created": created, "model": "m", "usage": usage}
    return {**plain, "choices": choices, "metadata": {"name": id_}, **fields}


def recent(count: int, *, end: int = NOW - 60, step: int = 1) -> Account:
    account = Account()
    for number in range(count):
        account.add(completion(f"c{number:04}", end - (count - 1 - number) * step))
    return account


# The contract


def test_an_empty_account_has_every_table_with_exactly_its_columns(tmp_path: Path) -> None:
    with serving(Account()) as sandbox:
        report = synced(sandbox, tmp_path)
        assert (report.outcome, report.requests, report.published) == ("done", 1, True)
        assert "only those made with store=True" in " ".join(report.sentences())
        found = rows(
            tmp_path,
            "select table_name, column_name, data_type from duckdb_columns() where schema_name = 'chat'"
            " order by table_name, column_index",
        )
        for table in BY_NAME.values():
            assert [row[1:] for row in found if row[0] == table.name] == [
                (column.name, KIND if column.name == "kind" else TYPES[column.type])
                for column in table.columns
            ]
        assert synced(sandbox, tmp_path).outcome == "nothing_new"
        sandbox.account.add(completion("first", NOW - 5))
        filled = synced(sandbox, tmp_path)
        assert (filled.counts.rows_new, "store=True" in " ".join(filled.sentences())) == (1, False)
        assert_exact(tmp_path, sandbox.account)


def test_descriptions_are_comments(folder: Path) -> None:
    described = dict(
        rows(folder, "select table_name, comment from duckdb_tables() where schema_name = 'chat'")
    )
    assert {name: described[name] for name in BY_NAME} == {
        table.name: table.description for table in BY_NAME.values()
    }
    meanings = rows(
        folder, "select table_name, column_name, comment from duckdb_columns() where schema_name = 'chat'"
    )
    assert {row for row in meanings if row[0] in BY_NAME} == {
        (table.name, column.name, column.description)
        for table in BY_NAME.values()
        for column in table.columns
    }


def test_the_warehouse_is_the_account(folder: Path, account: Account) -> None:
    assert_exact(folder, account)


def test_nothing_of_the_work_is_published(folder: Path) -> None:
    schemas = {row[0] for row in rows(folder, "select schema_name from duckdb_tables()")}
    assert schemas <= {"chat", "marts", "reports"}


def test_keys_are_unique_and_never_null(folder: Path) -> None:
    for table in BY_NAME.values():
        key = ", ".join(table.key)
        assert rows(folder, f"select {key} from chat.{table.name} group by {key} having count(*) > 1") == []
        for column in table.required:
            assert one(folder, f"select count(*) from chat.{table.name} where {column} is null") == 0


def test_the_run_is_in_the_warehouse_and_its_source_too(folder: Path) -> None:
    run = rows(
        folder,
        "select source, outcome, detail, pages, requests, retries, rows_seen, rows_new, rows_changed, rows_late,"
        " rows_quarantined, from_id, finished_at >= started_at from chat.sync_runs",
    )
    assert run == [("default", "done", None, 2, 2, 0, 150, 150, 0, 0, 0, None, True)]
    [(source, first, last, covered)] = rows(
        folder, "select source, first_synced_at, last_synced_at, covered_from from chat.sources"
    )
    assert (source, covered) == ("default", None)
    assert first == last == one(folder, "select started_at from chat.sync_runs")
    assert one(folder, "select last_synced_at from marts.freshness") == last


# Ties


def naive(sandbox: Sandbox, limit: int) -> int:
    """How many rows a walk gets that goes on after `last_id`."""
    found: set[str] = set()
    after: dict[str, str] = {}
    while True:
        query = {"order": "asc", "limit": str(limit), **after}
        headers = {"Authorization": "Bearer sk-sandbox"}
        page = httpx.get(f"{sandbox.base_url}/chat/completions", params=query, headers=headers).json()
        found |= {row["id"] for row in page["data"]}
        if not page["has_more"]:
            return len(found)
        after = {"after": page["last_id"]}


@pytest.mark.parametrize(("page_size", "naively"), [(1, 100), (7, 234), (20, 286), (100, 296)])
def test_three_rows_a_second_and_none_is_lost(tmp_path: Path, page_size: int, naively: int) -> None:
    account = Account.generate(300, per_second=3, logprob_share=0)
    with serving(account) as sandbox:
        found = naive(sandbox, page_size)
        report = synced(sandbox, tmp_path, page_size=page_size)
    assert (found, report.counts.rows_new) == (naively, 300)
    assert {row[0] for row in rows(tmp_path, "select completion_id from chat.completions")} == set(
        account.ids()
    )


# A sync with nothing new


def test_nothing_new_costs_at_most_three_requests_and_writes_nothing(tmp_path: Path) -> None:
    with serving(recent(400, step=10), now=NOW) as sandbox:
        synced(sandbox, tmp_path)
        sandbox.clock.advance(1)
        own = files(tmp_path)
        before = {path: (path.read_bytes(), path.stat()) for path in (own.published, own.working)}
        report = synced(sandbox, tmp_path, lookback="30m")
        assert report.counts.rows_seen > 100
        again = synced(sandbox, tmp_path, lookback="30m")
    assert (again.outcome, again.published) == ("nothing_new", False)
    assert (again.counts.pages, again.requests) == (2, 2)
    assert 100 < again.counts.rows_seen <= 200
    for path, (data, stat) in before.items():
        now = path.stat()
        assert path.read_bytes() == data
        assert (now.st_mtime_ns, now.st_ino, now.st_mode) == (stat.st_mtime_ns, stat.st_ino, stat.st_mode)
    assert "Nothing new" in again.sentences()[0]
    assert last_run(tmp_path) == again.as_json()
    assert one(tmp_path, "select count(*) from chat.sync_runs") == 1


def test_runs_that_found_nothing_enter_sync_runs_with_the_next_change(tmp_path: Path) -> None:
    with serving(recent(10)) as sandbox:
        reports = [synced(sandbox, tmp_path) for _ in range(3)]
        sandbox.account.add(completion("new", NOW - 1))
        reports.append(synced(sandbox, tmp_path))
    assert [report.outcome for report in reports] == ["done", "nothing_new", "nothing_new", "done"]
    assert rows(tmp_path, "select run_id, outcome, started_at from chat.sync_runs order by started_at") == [
        (report.run_id, report.outcome, report.started_at) for report in reports
    ]
    assert one(tmp_path, "select last_synced_at from chat.sources") == reports[-1].started_at


def test_the_cursor_of_a_run_that_found_nothing_is_used(tmp_path: Path) -> None:
    """Long after the first sync its cursor alone would read every row since then again."""
    with serving(recent(300, step=10)) as sandbox:
        synced(sandbox, tmp_path)
        sandbox.clock.advance(100_000)
        assert synced(sandbox, tmp_path).outcome == "nothing_new"
        assert synced(sandbox, tmp_path).counts.rows_seen == 1


def test_cursors_of_other_filters_outlive_a_run(tmp_path: Path) -> None:
    account = recent(300, step=10)
    account.add(completion("other", NOW - 60, model="other"))
    with serving(account) as sandbox:
        for model in ("m", "other"):
            synced(sandbox, tmp_path, model=model)
        sandbox.clock.advance(100_000)
        for model in ("m", "other"):
            assert synced(sandbox, tmp_path, model=model).outcome == "nothing_new"
        assert synced(sandbox, tmp_path, model="m").counts.rows_seen == 1
        account.add(completion("late", NOW + 99_990, model="other"))
        assert synced(sandbox, tmp_path, model="other").counts.rows_new == 1
        assert synced(sandbox, tmp_path, model="m").counts.rows_seen == 1


@pytest.mark.parametrize("page_size", [1, 7])
def test_pages_cut_short_go_on_and_end(tmp_path: Path, page_size: int) -> None:
    """Also where a page is smaller than a second, and in a look-back of rows that are all known."""
    account = Account.generate(9, per_second=3, logprob_share=0)
    with serving(account) as sandbox:
        outcomes = []
        while not {"done", "nothing_new"} & set(outcomes):
            outcomes.append(synced(sandbox, tmp_path, page_size=page_size, max_pages=1).outcome)
            assert len(outcomes) < 40
        assert set(outcomes[:-1]) == {"stopped"}
        assert_exact(tmp_path, account)
        again = []
        while "nothing_new" not in again:
            again.append(synced(sandbox, tmp_path, page_size=page_size, max_pages=1).outcome)
            assert len(again) < 40
        assert set(again[:-1]) == {"stopped"}
        assert len(again) == {1: 3, 7: 2}[page_size]


def test_a_cut_run_is_no_complete_one(tmp_path: Path) -> None:
    with serving(recent(10)) as sandbox:
        report = synced(sandbox, tmp_path, page_size=4, max_pages=1)
        assert "--max-pages" in report.sentences()[1]
        assert one(tmp_path, "select last_synced_at from marts.freshness") is None
        assert synced(sandbox, tmp_path).outcome == "done"
        assert one(tmp_path, "select last_synced_at is null from marts.freshness") is False


def test_rows_to_come_do_not_stop_short_runs(tmp_path: Path) -> None:
    account = recent(3)
    for number in range(6):
        account.add(completion(f"future{number}", NOW + 5_000 + number))
    with serving(account) as sandbox:
        for _ in range(20):
            if synced(sandbox, tmp_path, page_size=3, max_pages=1).outcome in ("done", "nothing_new"):
                break
        assert_exact(tmp_path, account)


# Edits


def stamps(folder: Path) -> dict[str, tuple[Any, ...]]:
    found = rows(
        folder, "select completion_id, _dlt_load_id, first_seen_at, last_seen_at from chat.completions"
    )
    return {row[0]: row[1:] for row in found}


def test_an_edit_replaces_the_completion_whole_and_no_other(tmp_path: Path) -> None:
    account = Account.generate(60, per_second=1, logprob_share=0.5)
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        before = stamps(tmp_path)
        edited, emptied = account.ids()[10], account.ids()[20]
        account.update_metadata(edited, {"only": "this"})
        account.update_metadata(emptied, {})
        report = synced(sandbox, tmp_path)
        assert_exact(tmp_path, account)
        after = stamps(tmp_path)
    assert (report.counts.rows_new, report.counts.rows_changed) == (0, 2)
    for id_, (load_id, first_seen, last_seen) in after.items():
        if id_ in (edited, emptied):
            assert load_id > before[id_][0]
            assert first_seen == before[id_][1] < last_seen
        else:
            assert (load_id, first_seen, last_seen) == before[id_]
    assert rows(tmp_path, f"select key, value from chat.metadata where completion_id = '{edited}'") == [
        ("only", "this")
    ]
    assert one(tmp_path, f"select count(*) from chat.metadata where completion_id = '{emptied}'") == 0


def test_children_that_a_new_version_lacks_are_gone(tmp_path: Path) -> None:
    """No API promises that only metadata changes: choices, calls and usage can shrink too."""
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call, call]}
    two = [{"index": at, "message": message, "finish_reason": "stop", "logprobs": None} for at in (0, 1)]
    account = Account()
    account.add(completion("a", NOW - 100, choices=two))
    account.add(completion("b", NOW - 99))
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        assert one(tmp_path, "select count(*) from chat.tool_calls") == 4
        account.delete("a")
        account.add(completion("a", NOW - 100, usage=None, metadata=None))
        assert synced(sandbox, tmp_path).counts.rows_changed == 1
        assert_exact(tmp_path, account)
    found = tables(tmp_path)
    for name, ids in (("choices", ["a", "b"]), ("usage", ["b"]), ("metadata", ["b"]), ("tool_calls", [])):
        assert [row["completion_id"] for row in found[name]] == ids


def test_rows_whose_time_no_column_holds_are_neither_doubled_nor_rewritten(tmp_path: Path) -> None:
    account = recent(5)
    odd: list[Any] = ["1758024000", None, 1758024000.5, 10**18, True, -1]
    for number, created in enumerate(odd):
        account.add(completion(f"odd{number}", created), at=NOW - 61)
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        assert synced(sandbox, tmp_path).outcome == "nothing_new"
        for number in range(len(odd)):
            account.update_metadata(f"odd{number}", {"a": "b"})
        assert synced(sandbox, tmp_path).counts.rows_changed == len(odd)
        assert synced(sandbox, tmp_path).outcome == "nothing_new"
    assert_exact(tmp_path, account)


# Late rows


def test_late_rows_within_the_window_are_found_and_counted(tmp_path: Path) -> None:
    account = recent(100, step=30)
    for delay in (1, 50, 1_500, 3_590):
        account.add(completion(f"late{delay}", NOW - 30 - (delay > 1)), visible_at=NOW - 30 + delay)
    with serving(account) as sandbox:
        assert synced(sandbox, tmp_path, page_size=20).counts.rows_new == 101
        late = 0
        for number in range(4):
            account.add(completion(f"on time {number}", NOW + number * 1_200 + 1), visible_at=NOW)
            sandbox.clock.set(NOW + number * 1_200 + 30)
            report = synced(sandbox, tmp_path, page_size=20)
            late += report.counts.rows_late
            assert report.counts.rows_new - report.counts.rows_late == 1
        assert late == 3
        assert_exact(tmp_path, account)
    assert one(tmp_path, "select sum(rows_late) from chat.sync_runs") == 3


# Filters and bindings


def test_each_filter_has_a_cursor_of_its_own(tmp_path: Path) -> None:
    account = Account()
    for number in range(30):
        account.add(
            completion(
                f"c{number}",
                NOW - 90 + number,
                model="ab"[number % 2],
                metadata={"k": str(number % 3), "name": f"c{number}"},
            )
        )
    with serving(account) as sandbox:
        assert synced(sandbox, tmp_path, model="a").counts.rows_new == 15
        assert synced(sandbox, tmp_path, metadata=("k=1", "name=c1")).counts.rows_new == 1
        assert synced(sandbox, tmp_path, model="a").outcome == "nothing_new"
        assert synced(sandbox, tmp_path).counts.rows_new == 14
        assert_exact(tmp_path, account)
        queries = [query for _, _, query in sandbox.requests]
    assert queries[0] == {"limit": "100", "order": "desc", "model": "a"}
    assert queries[1] == {"limit": "100", "order": "desc", "metadata[k]": "1", "metadata[name]": "c1"}


def test_another_account_under_the_same_name_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with serving(recent(3)) as sandbox, serving(recent(3)) as other:
        synced(sandbox, tmp_path, project="p1")
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        for url, project in ((other.base_url, "p1"), (sandbox.base_url, "p2")):
            flags = {"api_key": "k", "base_url": url, "project": project}
            with pytest.raises(UsageError, match=r"was synced from .* not from .* --source") as refusal:
                sync(settings(flags, {}, tmp_path), tmp_path / NAME)
            assert refusal.value.exit_code == 2
        assert (len(sandbox.requests), other.requests) == (1, [])
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_azure_speaks_its_own_dialect(tmp_path: Path) -> None:
    account = recent(3)
    with serving(account, api_key="azure-key") as sandbox:
        flags = {"api_key": "azure-key", "base_url": f"{sandbox.url}/openai/v1", "api_version": "preview"}
        sync(settings(flags, {}, tmp_path), tmp_path / NAME)
        [(_, path, query)] = sandbox.requests
    assert path == "/openai/v1/chat/completions"
    assert query == {"limit": "100", "order": "desc", "api-version": "preview"}
    assert_exact(tmp_path, account)


# Faults


def test_faults_in_the_middle_change_no_row(tmp_path: Path) -> None:
    account = Account.generate(60, per_second=2, logprob_share=0.1)
    heard = Heard()
    faults = [
        Fault.rate_limited(retry_after_ms=1),
        Fault.status(500, headers={"retry-after-ms": "1"}),
        Fault.cut(),
        Fault.reset(),
        Fault.html(),
    ]
    with serving(account) as sandbox:
        sandbox.faults.extend([each for fault in faults for each in (Fault.none(), fault)])
        report = synced(sandbox, tmp_path, page_size=10, watcher=heard, bounds=SMALL)
    assert (report.outcome, report.retries, len(heard.sentences)) == ("done", 5, 5)
    assert_exact(tmp_path, account)


@pytest.mark.parametrize("fault", [Fault.status(500), Fault.reset(0.5)])
def test_a_final_failure_keeps_and_publishes_the_pages_before(tmp_path: Path, fault: Fault) -> None:
    account = recent(100, end=NOW - 7_200)
    with serving(account) as sandbox:
        sandbox.faults.extend([Fault.none()] * 3 + [fault])
        with pytest.raises(ServiceError) as failure:
            synced(sandbox, tmp_path, page_size=10, chains=1, max_attempts=1)
        assert failure.value.exit_code == 1
        kept = one(tmp_path, "select count(*) from chat.completions")
        assert kept == 28
        assert rows(tmp_path, "select outcome, detail, pages from chat.sync_runs") == [
            ("failed", str(failure.value), 3)
        ]
        assert one(tmp_path, "select last_synced_at from chat.sources") is None
        assert last_run(tmp_path)["outcome"] == "failed"
        report = synced(sandbox, tmp_path, page_size=10)
        assert report.counts.rows_seen <= 100 - kept + 10
        assert_exact(tmp_path, account)


def test_a_failure_at_the_first_request_writes_nothing(tmp_path: Path) -> None:
    with serving(recent(3)) as sandbox:
        sandbox.faults.extend([Fault.status(401)])
        with pytest.raises(AccessError):
            synced(sandbox, tmp_path)
        assert not (tmp_path / NAME).exists()
        assert last_run(tmp_path)["outcome"] == "failed"
        synced(sandbox, tmp_path)
    assert rows(tmp_path, "select outcome from chat.sync_runs order by started_at") == [
        ("failed",),
        ("done",),
    ]


def test_a_failure_in_a_look_back_of_known_rows_goes_on_there(tmp_path: Path) -> None:
    account = recent(100)
    with serving(account) as sandbox:
        synced(sandbox, tmp_path)
        sandbox.faults.extend([Fault.none()] * 4 + [Fault.reset()])
        with pytest.raises(ServiceError):
            synced(sandbox, tmp_path, page_size=10, max_attempts=1)
        assert synced(sandbox, tmp_path, page_size=10).counts.rows_seen < 70


# Quarantine


def test_what_cannot_be_loaded_is_set_aside_once_and_stops_nothing(tmp_path: Path) -> None:
    account = recent(20)
    lone = (
        b'{"id":"lone","object":"chat.completion","created":%d,"model":"\\ud800","choices":[],"temperature":NaN}'
        % (NOW - 62)
    )
    twice = completion("c0005", NOW - 74, model="another")
    broken = [
        b'{"created":1}',
        b'{"id":""}',
        b'{"id":null}',
        b'{"id":7}',
        b'"text"',
        b"[1]",
        b"null",
        b'{"id":"\\udfff"}',
        b'{"id":NaN}',
    ]
    for body in broken:
        account.add(body, at=NOW - 62)
    account.add(lone, at=NOW - 62)
    account.add(twice, at=NOW - 74)
    with serving(account) as sandbox:
        report = synced(sandbox, tmp_path)
        assert report.counts.rows_quarantined == len(broken) + 1
        assert report.counts.rows_new == 21
        assert "could not be loaded" in report.sentences()[1]
        for _ in range(4):
            assert synced(sandbox, tmp_path).outcome == "nothing_new"
        account.add(completion("new", NOW - 1))
        assert synced(sandbox, tmp_path).counts.rows_quarantined == 0
    kept = rows(tmp_path, "select source, reason, body from chat.quarantine")
    assert sorted(row[2] for row in kept if "no usable id" in row[1]) == sorted(map(bytes.decode, broken))
    assert sum("another object" in row[1] for row in kept) == 1
    assert one(tmp_path, "select count(*) from chat.completions") == 22
    assert one(tmp_path, "select extra from chat.completions where completion_id = 'lone'") == (
        r'{"model$escaped":"\"\\ud800\"","temperature$escaped":"NaN"}'
    )
    assert_sound(tmp_path)


def test_an_object_too_deep_to_be_read_is_set_aside_whole(tmp_path: Path) -> None:
    """Those that can be read at all are loaded, however deep the call stack is then."""
    account = recent(20)
    deep = {levels: b"[" * levels + b"]" * levels for levels in (200, 400, 600, 800, 1_000, 50_000)}
    for levels, value in deep.items():
        body = b'{"id":"deep%d","object":"chat.completion","created":%d,"metadata":{"\\u0061":"%d"},"x":%b}'
        account.add(body % (levels, NOW - 62, levels, value), at=NOW - 62)
    with serving(account) as sandbox:
        report = synced(sandbox, tmp_path)
        assert report.counts.rows_new + report.counts.rows_quarantined == 26
        assert report.counts.rows_quarantined >= 1
        assert synced(sandbox, tmp_path).outcome == "nothing_new"
    aside = rows(tmp_path, "select reason, body from chat.quarantine order by length(body)")
    assert {reason for reason, _ in aside} == {"it is nested too deeply to be read"}
    assert aside[-1][1].encode() == body % (levels, NOW - 62, levels, value)
    loaded = rows(tmp_path, "select extra from chat.completions where completion_id like 'deep%'")
    assert len(loaded) + len(aside) == len(deep)
    assert b'{"x":%b}' % deep[200] in [extra.encode() for (extra,) in loaded]
    assert_sound(tmp_path)


def test_an_id_that_comes_again_at_another_time_doubles_nothing(tmp_path: Path) -> None:
    """In another round, in another run: hashes of all ids find what times do not."""
    account = recent(100)
    account.add(completion("c0001", NOW - 70, model="another"))
    with serving(account) as sandbox:
        report = synced(sandbox, tmp_path, page_size=20, bounds=SMALL)
        assert report.counts.rows_quarantined == 1
        account.add(completion("c0002", NOW - 30, model="another"))
        assert synced(sandbox, tmp_path).counts.rows_quarantined == 1
        assert synced(sandbox, tmp_path).outcome == "nothing_new"
    assert one(tmp_path, "select count(*) from chat.completions where model = 'm'") == 99
    assert one(tmp_path, "select count(*) from chat.quarantine") == 2
    assert_sound(tmp_path)


def test_an_id_belongs_to_the_source_that_loaded_it_first(tmp_path: Path) -> None:
    from dataclasses import replace

    account = recent(5)
    with serving(account) as sandbox, serving(recent(5)) as other:
        synced(sandbox, tmp_path)
        other.account.update_metadata("c0003", {"other": "yes"})
        flags = {"api_key": "k", "base_url": other.base_url}
        own = replace(settings(flags, {}, tmp_path), source="second")
        report = sync(own, tmp_path / NAME)
        assert (report.counts.rows_new, report.counts.rows_changed, report.counts.rows_quarantined) == (
            0,
            0,
            1,
        )
        assert_exact(tmp_path, account)
    assert rows(tmp_path, "select source, reason from chat.quarantine") == [
        ("second", "its id belongs to source default")
    ]


# One at a time


def test_a_second_process_is_turned_away_and_touches_nothing(tmp_path: Path) -> None:
    with serving(recent(3)) as sandbox:
        synced(sandbox, tmp_path)
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        with warehouse.locked(files(tmp_path)):
            process = started(sandbox, tmp_path, "sync")
            said = process.communicate()[1]
            assert process.returncode == 75
            with pytest.raises(Busy):
                synced(sandbox, tmp_path)
        assert "Another sync is working on" in said
        assert len(said.splitlines()) == 1
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
        assert len(sandbox.requests) == 1


def test_two_names_of_one_folder_hold_their_own_state(tmp_path: Path) -> None:
    with serving(recent(3)) as sandbox:
        own = settings({"api_key": "k", "base_url": sandbox.base_url}, {}, tmp_path)
        for name in ("a.duckdb", "a.db"):
            with (
                warehouse.locked(warehouse.Files(tmp_path / "a.duckdb"))
                if name == "a.db"
                else closing(duckdb.connect())
            ):
                assert sync(own, tmp_path / name).counts.rows_new == 3


# Stopping


@pytest.fixture
def slow() -> Iterator[Sandbox]:
    with serving(recent(400), latency=0.05) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("number", "exit_code", "by"), [(signal.SIGTERM, 1, "SIGTERM"), (signal.SIGINT, 130, "Ctrl-C")]
)
def test_a_signal_loads_and_publishes_what_was_read(
    tmp_path: Path, slow: Sandbox, number: int, exit_code: int, by: str
) -> None:
    process = started(slow, tmp_path, "sync", "--page-size", "10")
    until(lambda: len(slow.requests) >= 4, process)
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == exit_code
    assert (
        f"stored-completions: Stopped by {by}. What was read is loaded; the next sync goes on from there."
        in said
    )
    assert "Traceback" not in said
    kept = one(tmp_path, "select count(*) from chat.completions")
    assert 10 < kept < 200  # more than a page; pages overlap
    assert rows(tmp_path, "select outcome, rows_new from chat.sync_runs") == [("stopped", kept)]
    slow.rules = type(slow.rules)()
    assert synced(slow, tmp_path).counts.rows_new == 400 - kept
    assert_exact(tmp_path, slow.account)


class Halting(Heard):
    """Asks to stop as soon as it has heard of so many pages."""

    def __init__(self, pages: int) -> None:
        super().__init__()
        self.stop = Stop()
        self._last = pages

    def page(self, pages: int, rows: int, newest: int | None) -> None:
        if pages == self._last:
            self.stop(signal.SIGTERM, None)


def test_a_stop_at_the_last_page_is_none(tmp_path: Path) -> None:
    with serving(recent(39, end=NOW - 7_200)) as sandbox:
        first, last = Halting(1), Halting(2)
        with pytest.raises(Stopped):
            synced(sandbox, tmp_path, page_size=20, chains=1, watcher=first, stop=first.stop)
        assert one(tmp_path, "select count(*) from chat.completions") == 20
        report = synced(sandbox, tmp_path, page_size=20, chains=1, watcher=last, stop=last.stop)
        assert (report.outcome, report.counts.pages) == ("done", 2)
        assert_exact(tmp_path, sandbox.account)


def test_a_stop_ends_a_long_wait(tmp_path: Path) -> None:
    with serving(recent(50)) as sandbox:
        sandbox.faults.extend([Fault.none(), Fault.rate_limited(retry_after=100)])
        process = started(sandbox, tmp_path, "sync", "--page-size", "10")
        until(lambda: len(sandbox.requests) == 2, process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 1
        assert one(tmp_path, "select count(*) from chat.completions") == 10


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    with serving(recent(50)) as sandbox:
        sandbox.faults.extend([Fault.none(), Fault.slow(60)])
        process = started(sandbox, tmp_path, "sync", "--page-size", "10")
        until(lambda: len(sandbox.requests) == 2, process)
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate()
        assert process.returncode == -signal.SIGTERM
        assert synced(sandbox, tmp_path).counts.rows_new == 50
        assert_exact(tmp_path, sandbox.account)


# Watching


def test_progress_counts_pages_and_rows_of_all_rounds(tmp_path: Path) -> None:
    """A first run that waits for the server loads its first page at once, and then what makes a round."""
    heard = Heard()
    with serving(recent(100)) as sandbox:
        synced(sandbox, tmp_path, page_size=20, chains=1, bounds=replace(SMALL, patience=0.0), watcher=heard)
    assert [page for page, _, _ in heard.pages] == list(range(1, len(heard.pages) + 1))
    assert heard.pages[-1] == (len(heard.pages), 100, NOW - 60)
    counted = [seen for _, seen, _ in heard.pages]
    assert counted == sorted(counted)
    assert one(tmp_path, "select count(*) from chat._dlt_loads") == 3


def test_a_long_pause_is_worth_a_warning_but_idle_syncs_are_none(tmp_path: Path) -> None:
    heard = Heard()
    with serving(recent(3)) as sandbox:
        synced(sandbox, tmp_path)
        own = files(tmp_path)
        with closing(duckdb.connect(str(own.working))) as connection:
            long_ago = datetime.now(UTC) - timedelta(days=27)
            connection.execute("update chat.sync_runs set finished_at = ?", [long_ago])
        synced(sandbox, tmp_path, watcher=heard)
        assert heard.sentences == [
            "The last successful sync was 27 days ago. Completions are said to be kept for 30 days: older ones may "
            "be gone."
        ]
        synced(sandbox, tmp_path, watcher=heard)
    assert len(heard.sentences) == 1
