"""`query`: each format says what DuckDB holds, tables fit their terminal, and nothing else can be reached."""

import csv
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from console import as_anyone, run
from stored_completions import query
from stored_completions.errors import UsageError, WarehouseError
from stored_completions.formats import blob, csv_lines, json_rows
from stored_completions.tabular import draw

VALUES = r"""
select null as nothing, ''::varchar as empty, 'a"b,c' as quoted, '\x00\xC3\xA9''' ::blob as bytes,
    170141183460469231731687303715884105727::hugeint as huge, 1.50::decimal(10, 2) as money,
    timestamptz '2026-11-23 18:59:35.5+00' as at, timestamp '2026-11-23 18:59:35' as naive, date '2026-01-02' as day,
    'NaN'::double as nan, 'inf'::double as endless, 0.1::double as tenth, 1e300 as large, true as flag,
    [1, null] as list, {'a': 1, 'b': 'x'} as struct, map {'k': '\xC3\xA4'::blob} as map, '{"n": 1.0}'::json as json,
    [timestamptz '2026-11-23 18:59:35+00'] as times, 'é漢' as text, 2026 as year
"""


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DuckDB file with a table of 1,200 rows; what else a warehouse holds does not matter here."""
    path = tmp_path_factory.mktemp("query") / "it's here.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "create table numbers as select range as number, 'n' || range as name from range(1200)"
        )
    path.chmod(0o444)
    return path


@pytest.fixture
def connection(warehouse: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with query.reading(warehouse, of_anybody=True) as connection:
        yield connection


def printed(*rows: tuple[Any, ...], names: tuple[str, ...], width: int, **options: Any) -> list[str]:
    stream = io.StringIO()
    draw(Console(file=stream, width=width), names, rows, **options)
    return stream.getvalue().splitlines()


def test_names_are_found_without_their_schema(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "create schema chat; create table chat.usage as select 1 as tokens; create schema marts"
        )
        connection.execute("create view marts.usage_wide as from chat.usage")
    with query.reading(path, of_anybody=True) as connection:
        assert query.select(connection, "from usage_wide join usage using (tokens)").rows.__next__() == (1,)
        assert list(query.select(connection, "show tables").rows) == [("usage",), ("usage_wide",)]


class TestFormats:
    def test_csv_is_what_duckdb_writes_itself(self, warehouse: Path, tmp_path: Path) -> None:
        shown = run("query", VALUES, "--warehouse", str(warehouse), at=tmp_path)
        written = run("query", VALUES, "--warehouse", str(warehouse), "--output", "x.csv", at=tmp_path)
        assert (shown.code, shown.err, written.code, written.out) == (0, "", 0, "")
        assert written.err == "1 row written to x.csv\n"
        assert shown.out == (tmp_path / "x.csv").read_text()
        names, values = csv.reader(io.StringIO(shown.out))
        assert dict(zip(names, values, strict=True))["bytes"] == r"\x00\xC3\xA9\x27"

    def test_csv_tells_null_from_empty_text(self, connection: duckdb.DuckDBPyConnection) -> None:
        result = query.select(connection, "select null as a, '' as b, ' ' as c, chr(10) as d", as_text=True)
        assert list(csv_lines(result.columns, result.rows)) == ["a,b,c,d", ',"", ,"\n"']

    def test_json_keeps_every_digit_and_is_json(self, connection: duckdb.DuckDBPyConnection) -> None:
        result = query.select(connection, VALUES)
        (row,) = (
            json.loads(line, parse_float=Decimal, parse_constant=pytest.fail)
            for line in json_rows(result.columns, result.types, result.rows)
        )
        assert row == {
            "nothing": None,
            "empty": "",
            "quoted": 'a"b,c',
            "bytes": r"\x00\xC3\xA9\x27",
            "huge": 2**127 - 1,
            "money": Decimal("1.50"),
            "at": "2026-11-23T18:59:35.500000Z",
            "naive": "2026-11-23T18:59:35",
            "day": "2026-01-02",
            "nan": None,
            "endless": None,
            "tenth": Decimal("0.1"),
            "large": Decimal("1e300"),
            "flag": True,
            "list": [1, None],
            "struct": {"a": 1, "b": "x"},
            "map": {"k": r"\xC3\xA4"},
            "json": {"n": Decimal("1.0")},
            "times": ["2026-11-23T18:59:35Z"],
            "text": "é漢",
            "year": 2026,
        }

    def test_blobs_are_written_as_duckdb_writes_them(self, connection: duckdb.DuckDBPyConnection) -> None:
        every = bytes(range(256))
        assert connection.execute("select ?::blob::varchar", [every]).fetchall() == [(blob(every),)]

    def test_columns_of_one_name_are_all_kept(self, warehouse: Path, tmp_path: Path) -> None:
        sql = "select 1 as a, 2 as a, 3 as a"
        shown = {
            kind: run("query", sql, "--format", kind, "--warehouse", str(warehouse), at=tmp_path).out
            for kind in ("csv", "json")
        }
        assert shown["csv"] == "a,a_1,a_2\n1,2,3\n"
        assert json.loads(shown["json"]) == [{"a": 1, "a_1": 2, "a_2": 3}]

    def test_an_empty_answer(self, warehouse: Path, tmp_path: Path) -> None:
        sql = "from numbers limit 0"
        outputs = [
            run("query", sql, "--format", kind, "--warehouse", str(warehouse), at=tmp_path).out
            for kind in ("table", "csv", "json")
        ]
        assert outputs == ["number  name\n", "number,name\n", "[]\n"]

    @pytest.mark.parametrize("name", ["x.parquet", "x.CSV", "x.json", "x.ndjson", "it's.jsonl"])
    def test_output_by_suffix(self, warehouse: Path, tmp_path: Path, name: str) -> None:
        output = tmp_path / name
        output.write_text("old")
        assert query.export(warehouse, "select * from numbers where number < 2; -- two", output) == 2
        assert list(tmp_path.iterdir()) == [output]
        rows = [{"number": 0, "name": "n0"}, {"number": 1, "name": "n1"}]
        match output.suffix.lower():
            case ".parquet":
                assert pq.read_table(output).to_pylist() == rows
            case ".csv":
                assert output.read_text() == "number,name\n0,n0\n1,n1\n"
            case ".json":
                assert json.loads(output.read_text()) == rows
            case _:
                assert [json.loads(line) for line in output.read_text().splitlines()] == rows

    def test_a_failing_export_leaves_the_old_file(self, warehouse: Path, tmp_path: Path) -> None:
        for name in ("x.parquet", "x.json"):
            (tmp_path / name).write_text("old")
            with pytest.raises(UsageError, match="Conversion Error"):
                query.export(warehouse, "select name::int from numbers", tmp_path / name)
            assert (tmp_path / name).read_text() == "old"
        assert len(list(tmp_path.iterdir())) == 2


class TestTables:
    def test_numbers_stand_to_the_right_and_are_left_as_they_are(self) -> None:
        rows = [("a", 2026, 1.5, None), ("b", 7, 80.125, True)]
        assert printed(*rows, names=("name", "year", "share", "flag"), width=80) == [
            "name  year   share  flag",
            "a     2026   1.500  NULL",
            "b        7  80.125  true",
        ]

    def test_grouped_numbers(self) -> None:
        assert printed((1234567, 1234.5), names=("n", "x"), width=80, grouped=True) == [
            "        n        x",
            "1,234,567  1,234.5",
        ]

    def test_text_folds_before_numbers_do(self) -> None:
        rows = [("the quick brown fox jumps over the lazy dog", 123456789, "2026-01-02 and so on and on")]
        assert printed(*rows, names=("words", "number", "more"), width=60) == [
            "words                       number  more",
            "the quick brown fox      123456789  2026-01-02 and so on and",
            "jumps over the lazy dog             on",
        ]

    def test_headers_fold_at_their_underscores_first(self) -> None:
        names = ("rows_quarantined", "completions_without_details", "name")
        assert printed((1, 2, "text that needs forty columns of its own"), names=names, width=70) == [
            "             completions_",
            "      rows_      without_",
            "quarantined       details  name",
            "          1             2  text that needs forty columns of its own",
        ]

    def test_what_does_not_fit_even_so_is_told_row_by_row(self) -> None:
        row = (1234567890, 1234567890, "text")
        assert printed(row, row, names=("first", "second", "third"), width=22) == [
            "first   1234567890",
            "second  1234567890",
            "third   text",
            "",
            "first   1234567890",
            "second  1234567890",
            "third   text",
        ]

    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_no_line_is_wider_than_the_terminal(self, width: int) -> None:
        rows = [("漢字" * 30, number, "x" * number) for number in (1, 50, 1_000_000 % 97)]
        for line in printed(*rows, names=("wide", "n", "long_name_of_a_column"), width=width):
            assert len(line) + sum(mark in "漢字" for mark in line) <= width

    def test_values_cannot_steer_the_terminal(self) -> None:
        lines = printed(("\x1b[2J\a\u202edrow", "[bold]x[/]"), names=("a\x1b[1m", "b"), width=80)
        assert lines == [r"a\x1b[1m               b", r"\x1b[2J\x07\u202edrow  [bold]x[/]"]

    def test_every_type_has_a_text(self, connection: duckdb.DuckDBPyConnection) -> None:
        result = query.select(connection, VALUES)
        stream = io.StringIO()
        draw(Console(file=stream, width=40), result.columns, result.rows)
        lines = (line.split(maxsplit=1) for line in stream.getvalue().splitlines())
        shown = {line[0]: line[1] if line[1:] else "" for line in lines}
        assert shown["at"] == "2026-11-23 18:59:35.500000"
        assert shown["map"] == r"{'k': \xC3\xA4}"
        assert (shown["nan"], shown["money"], shown["nothing"]) == ("nan", "1.50", "NULL")

    def test_a_table_stops_at_a_thousand_rows_and_says_so(self, warehouse: Path, tmp_path: Path) -> None:
        whole = run("query", "from numbers", "--warehouse", str(warehouse), at=tmp_path)
        table = run("query", "from numbers", "--format", "table", "--warehouse", str(warehouse), at=tmp_path)
        assert (len(whole.out.splitlines()), whole.err) == (1201, "")
        assert len(table.out.splitlines()) == 1001
        assert table.err.startswith("More rows follow: these are the first 1,000.")


class TestReach:
    @pytest.mark.parametrize(
        ("sql", "said"),
        [
            ("insert into numbers values (1, 'x')", "query only reads, and INSERT does not"),
            ("create table other as select 1", "CREATE does not"),
            ("attach 'other.duckdb'", "ATTACH does not"),
            ("copy numbers to 'other.csv'", "COPY does not"),
            ("export database 'other'", "does not"),
            ("install httpfs", "LOAD does not"),
            ("set enable_external_access = true", "SET does not"),
            ("set threads = 1", "does not"),
            ("from read_text('/etc/hostname')", "reaches the warehouse and nothing else"),
            ("from read_csv('https://example.com/x.csv')", "reaches the warehouse and nothing else"),
            ("select * from glob('/*')", "reaches the warehouse and nothing else"),
            ("select 1) to 'other.csv'; --", "syntax error"),
            ("select 1; select 2", "takes one SQL statement, and 2 were given"),
            (" -- nothing", "and none was given"),
            ("", "and none was given"),
            ("selec 1", 'syntax error at or near "selec"\nLINE 1: selec 1\n        ^'),
            ("select nope from numbers", 'column "nope" not found'),
            ("from nowhere", "Table with name nowhere does not exist"),
            ("select name::int from numbers", "Could not convert"),
            ("select '\udcff'", "no valid UTF-8"),
        ],
    )
    @pytest.mark.parametrize("as_text", [False, True])
    def test_what_does_not_read_the_warehouse_is_refused(
        self,
        warehouse: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        sql: str,
        said: str,
        as_text: bool,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UsageError) as raised, query.reading(warehouse, of_anybody=True) as connection:
            list(query.select(connection, sql, as_text=as_text).rows)
        assert said in str(raised.value)
        assert list(tmp_path.iterdir()) == []

    def test_an_export_reaches_its_own_file_only(self, warehouse: Path, tmp_path: Path) -> None:
        other = tmp_path / "other.csv"
        for sql in (f"select 1) to '{other}'; --", f"from read_text('{warehouse}')", "explain select 1"):
            for name in ("x.csv", "x.json"):
                if (sql, name) != ("explain select 1", "x.json"):
                    with pytest.raises(UsageError):
                        query.export(warehouse, sql, tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("sql", "row"),
        [
            ("from numbers order by number desc limit 1;;", ("1199", "n1199")),
            ("with a as (select 1 as x) from a -- as is", ("1",)),
            ("describe numbers", ("number", "BIGINT", "YES", None, None, None)),
            ("pragma table_info('numbers')", ("0", "number", "BIGINT", "false", None, "false")),
            (
                "pivot numbers on number in (1, 2) using count(*) group by name order by all desc limit 1",
                ("n999", "0", "0"),
            ),
            ("values ('é;') /* x */ ;", ("é;",)),
        ],
    )
    def test_what_reads_is_answered(
        self, connection: duckdb.DuckDBPyConnection, sql: str, row: tuple[str | None, ...]
    ) -> None:
        assert next(query.select(connection, sql, as_text=True).rows) == row

    def test_nothing_is_made_beside_the_warehouse(self, warehouse: Path, tmp_path: Path) -> None:
        assert run("query", "-", "--warehouse", str(warehouse), at=tmp_path, stdin="from numbers").code == 0
        explained = run(
            "query", "explain from numbers", "--format", "table", "--warehouse", str(warehouse), at=tmp_path
        )
        assert "numbers" in explained.out
        assert list(tmp_path.iterdir()) == []
        assert list(warehouse.parent.iterdir()) == [warehouse]


class TestRefusals:
    @pytest.mark.parametrize(
        ("output", "said", "code"),
        [
            (
                "x.xlsx",
                "--output takes a name that ends in .parquet, .csv, .json, .ndjson, .jsonl, not 'x.xlsx'.",
                2,
            ),
            ("nowhere/x.csv", "There is no folder", 2),
            ("locked/x.csv", "permission denied", 1),
        ],
    )
    def test_an_output_that_cannot_be(
        self, warehouse: Path, tmp_path: Path, output: str, said: str, code: int
    ) -> None:
        (tmp_path / "locked").mkdir(mode=0o555)
        done = run(
            "query", "select 1", "--output", output, "--warehouse", str(warehouse),
            at=tmp_path, preexec_fn=as_anyone,
        )  # fmt: skip
        assert (done.code, done.out) == (code, "")
        assert said in done.err

    def test_format_and_output_exclude_each_other(self, warehouse: Path, tmp_path: Path) -> None:
        done = run("query", "select 1", "--output", "x.csv", "--format", "csv", at=tmp_path)
        assert (done.code, done.err.splitlines()[-1]) == (
            2,
            "Error: --format is for printing; --output takes its format from the suffix.",
        )

    def test_a_missing_a_damaged_and_a_foreign_file(self, warehouse: Path, tmp_path: Path) -> None:
        (tmp_path / "junk.duckdb").write_bytes(b"junk" * 5000)
        whole = warehouse.read_bytes()
        (tmp_path / "cut.duckdb").write_bytes(whole[: len(whole) // 2])
        (tmp_path / "zeroed.duckdb").write_bytes(whole[:12_288] + bytes(len(whole) - 12_288))
        before = sorted(tmp_path.iterdir())
        for name in ("missing", "junk", "cut", "zeroed"):
            path = tmp_path / f"{name}.duckdb"
            with pytest.raises(WarehouseError, match=str(path)), query.reading(path) as connection:
                list(query.select(connection, "select sum(hash(numbers)) from numbers").rows)
        assert sorted(tmp_path.iterdir()) == before
