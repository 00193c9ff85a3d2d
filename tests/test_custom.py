"""The user's own views: built into each published copy, and none that is wrong stops anything."""

from pathlib import Path

import pytest

from given import rows as given_rows
from given import warehouse
from stored_completions import custom, models
from stored_completions.sandbox import Account
from synced import Heard, one, rows, serving, synced

TEAMS = """-- Completions by team.
-- grain: team
-- columns:
--   team         who asked
--   completions  how many
select
    metadata.value as team,
    count(*) as completions
from chat.metadata
where metadata.key = 'team'
group by metadata.value
"""
LARGEST = """-- The team with most.
-- grain: team
-- columns:
--   team  its name
select teams.team from custom.teams order by teams.completions desc, teams.team limit 1
"""


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.sql").write_text(text)
    return folder


def test_they_survive_the_replaced_file_and_change_without_new_completions(tmp_path: Path) -> None:
    views = write(tmp_path / "mine", a_largest=LARGEST, teams=TEAMS)
    with serving(Account.generate(40)) as sandbox:
        heard = Heard()
        synced(sandbox, tmp_path, views="mine", watcher=heard)
        assert heard.sentences == []
        assert one(tmp_path, "select count(*) from custom.teams") > 1
        assert rows(tmp_path, "from custom.a_largest") == rows(
            tmp_path, "select team from custom.teams order by completions desc, team limit 1"
        )
        assert rows(
            tmp_path,
            "select comment from duckdb_columns() where schema_name = 'custom' and table_name = 'teams'",
        ) == [("who asked",), ("how many",)]
        assert synced(sandbox, tmp_path, views="mine").published is False
        write(
            views,
            teams=TEAMS.replace("'team'", "'feature'"),
            broken="select 1 as x, nothing from chat.nowhere",
        )
        again = synced(sandbox, tmp_path, views="mine", watcher=heard)
        assert (again.published, again.outcome) == (True, "nothing_new")
        assert one(tmp_path, "select count(*) from custom.teams") > 6
        (told,) = heard.sentences
        assert told.startswith(f"{views / 'broken'}.sql: ")
        assert "nowhere does not exist" in told
        assert told.endswith("The view was left out.")
        (views / "broken.sql").unlink()
        (views / "a_largest.sql").unlink()
        synced(sandbox, tmp_path, views="mine")
        assert rows(tmp_path, "select view_name from duckdb_views() where schema_name = 'custom'") == [
            ("teams",)
        ]
        synced(sandbox, tmp_path, views="gone")
        for _ in range(2):
            gone = Heard()
            last = synced(sandbox, tmp_path, views="gone", watcher=gone)
            assert gone.sentences == [
                f"The setting views names {tmp_path / 'gone'}, which is no folder: the views of schema custom stay as "
                f"they were."
            ]
            assert last.sentences()[0].endswith(", nothing written.")
        synced(sandbox, tmp_path)
        assert rows(tmp_path, "select view_name from duckdb_views() where schema_name = 'custom'") == [
            ("teams",)
        ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("empty", "", "A file holds one select and nothing else. The view was left out."),
        ("two", "select 1 as a; select 2", "A file holds one select and nothing else. The view was left out."),
        ("drop", "drop table chat.usage", "A file holds one select and nothing else. The view was left out."),
        ("wrong", "selct 1", 'Parser Error: syntax error at or near "selct". The view was left out.'),
        ("My View", "select 1", "a view's name has lower case letters, digits and underscores only. The view was left out."),
    ],
)  # fmt: skip
def test_a_broken_file_is_told_and_the_others_are_built(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    connection = warehouse()
    models.create_views(connection)
    folder = write(tmp_path / "mine", teams=TEAMS, **{name: text})
    assert custom.build(connection, folder) == [f"{folder / name}.sql: {said}"]
    assert given_rows(connection, "select view_name from duckdb_views() where schema_name = 'custom'") == [
        {"view_name": "teams"}
    ]
    assert given_rows(connection, "from chat.usage") == []


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine")
    (folder / "bytes.sql").write_bytes(b"select '\xff'")
    (told,) = custom.build(warehouse(), folder)
    assert told.startswith(f"{folder / 'bytes'}.sql: 'utf-8' codec can't decode")


def test_views_in_a_circle_are_left_out_and_so_is_what_reads_them(tmp_path: Path) -> None:
    connection = warehouse()
    circle = {
        "a": "select b.x from custom.b",
        "b": "select a.x from custom.a",
        "c": "select a.x from custom.a",
    }
    told = custom.build(connection, write(tmp_path / "mine", teams=TEAMS, **circle))
    assert told[0] == "custom.a, custom.b read each other in a circle: they were left out."
    assert "a does not exist" in told[1]
    assert len(told) == 2


def test_a_header_that_is_not_true_is_told_and_the_view_is_there(tmp_path: Path) -> None:
    connection = warehouse()
    folder = write(
        tmp_path / "mine", plain="select 1 as x", teams=TEAMS.replace("completions  how", "number  how")
    )
    where = [f"{folder / name}.sql" for name in ("plain", "plain", "plain", "teams")]
    assert custom.build(connection, folder) == [
        f"{where[0]}: the header does not say what it is. The view was built.",
        f"{where[1]}: the header lists no columns; the select has x. The view was built.",
        f"{where[2]}: the header has no `-- grain:` line, which names the columns that no two rows have alike. The view was built.",
        f"{where[3]}: the header lists team, number; the select has team, completions. The view was built.",
    ]
    assert given_rows(connection, "from custom.plain") == [{"x": 1}]


def test_a_folder_that_is_gone_leaves_the_views_as_they_were(tmp_path: Path) -> None:
    connection = warehouse()
    custom.build(connection, write(tmp_path / "mine", teams=TEAMS))
    assert custom.build(connection, tmp_path / "gone") == []
    assert custom.build(connection, None) == []
    assert given_rows(connection, "from custom.teams") == []
