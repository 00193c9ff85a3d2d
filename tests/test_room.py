"""Long answers: DuckDB needs more memory to store them than it is allowed in general."""

import random
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from stored_completions import room
from stored_completions.destinations.arriving import insert
from stored_completions.loading import _MEMORY_TO_WRITE
from stored_completions.room import Room
from stored_completions.sandbox import Account
from stored_completions.tables import Column, Table
from synced import NAME, NOW, one, serving, synced
from test_sync import completion


def answers(numbers: range, length: int) -> Account:
    """Completions, a second each, whose answers are as long as that and repeat nothing."""
    account = Account()
    for number in numbers:
        text = random.Random(number).randbytes(length // 2).hex()
        choices = [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]
        account.add(completion(f"c{number:04}", NOW - 1000 + number, choices=choices))
    return account


def test_answers_of_a_megabyte_are_stored_in_several_rounds(tmp_path: Path) -> None:
    count, length = 220, 1_000_000
    assert count * length > 2 * _MEMORY_TO_WRITE, "else DuckDB would hold them all within its limit"
    with serving(answers(range(count), length)) as sandbox:
        assert synced(sandbox, tmp_path).counts.rows_new == count
        assert one(tmp_path, "select sum(length(content)) from chat.choices") == count * length
        sandbox.account.add(completion("short", NOW - 30))
        assert synced(sandbox, tmp_path).counts.rows_new == 1
    assert one(tmp_path, "select count(*) from chat.choices") == count + 1
    kinds = "select string_agg(distinct compression) from pragma_storage_info('chat.choices')"
    assert one(tmp_path, f"{kinds} where column_name = 'content' and segment_type = 'VARCHAR'") == "ZSTD"


@pytest.mark.parametrize(
    ("rows", "needed"),
    [
        (pa.table({"number": [1, 2]}), 0),
        (pa.table({"text": pa.array([], pa.string())}), 0),
        (pa.table({"text": ["é", None], "blob": [b"123456", b""]}), 3 * 2_048),
        (pa.table({"text": pa.array(["long" * 100] * 2).dictionary_encode()}), 0),
    ],
)
def test_room_is_that_of_2048_rows_of_the_longest_column(rows: pa.Table, needed: int) -> None:
    assert room.for_rows(rows) == needed


def test_long_answers_that_arrive_from_a_destination_are_stored(tmp_path: Path) -> None:
    count, length, allowed = 120, 1_000_000, 50_000_000
    schema = pa.schema([("id", pa.string()), ("content", pa.string())])
    table = Table("answers", "", ("id",), (Column("id", "text", ""), Column("content", "text", "")))
    texts = (random.Random(number).randbytes(length // 2).hex() for number in range(count))
    batches = (pa.record_batch([[str(at)], [text]], schema=schema) for at, text in enumerate(texts))
    with closing(duckdb.connect(str(tmp_path / NAME))) as connection:
        connection.execute("create table answers (id varchar, content varchar using compression zstd)")
        connection.execute("begin")
        place = Room(connection)
        place.allow(allowed)
        insert(connection, "answers", table, batches, place.make)
        connection.execute("commit")
        connection.execute("checkpoint")
        assert connection.execute("select sum(length(content)) from answers").fetchall() == [
            (count * length,)
        ]


def test_where_tables_end_tells_what_going_on_there_needs(tmp_path: Path) -> None:
    with serving(answers(range(40), 10_000)) as sandbox:
        synced(sandbox, tmp_path)
    with closing(duckdb.connect(str(tmp_path / NAME), read_only=True)) as connection:
        assert room.for_last(connection) == 40 * 10_000
