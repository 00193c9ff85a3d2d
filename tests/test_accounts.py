"""Several accounts in one warehouse: their settings, their syncs side by side, and what one's failure is to the others."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from console import KEY, run
from stored_completions.config import accounts, settings
from stored_completions.errors import UsageError
from stored_completions.rounds import Bounds
from stored_completions.sandbox import Account, Fault
from stored_completions.sync import sync_all
from synced import NAME, Heard, rows, serving

VARIABLE = "SOURCES__STORED_COMPLETIONS__"


def configured(folder: Path, text: str, name: str = "config.toml") -> None:
    path = folder / ".dlt" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def parts(**accounts: dict[str, Any]) -> str:
    return "".join(
        f"[sources.stored_completions.{name}]\n"
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
        for name, values in accounts.items()
    )


# ---------------------------------------------------------------------------- settings


def test_each_part_is_a_source_and_falls_back_on_the_common_part(tmp_path: Path) -> None:
    common = '[sources.stored_completions]\napi_key = "sk-common"\nlookback = "2h"\nsource = "unused"\n'
    configured(tmp_path, common + parts(eu={"base_url": "https://eu.example/v1"}, us={"lookback": "3h"}))
    configured(tmp_path, parts(eu={"api_key": "sk-eu"}), "secrets.toml")
    environ = {f"{VARIABLE}US__MODEL": "gpt-4o", f"{VARIABLE}METADATA": "team=a"}
    found = [
        (own.source, own.endpoint.api_key, own.endpoint.base_url, own.pace.long, own.query.model)
        for own in accounts({}, environ, tmp_path)
    ]
    assert found == [
        ("eu", "sk-eu", "https://eu.example/v1", 7200, None),
        ("us", "sk-common", "https://api.openai.com/v1", 10800, "gpt-4o"),
    ]
    assert accounts({"source": "eu"}, environ, tmp_path) == [settings({"source": "eu"}, environ, tmp_path)]
    assert settings({"source": "eu"}, environ, tmp_path).endpoint.api_key == "sk-eu"
    assert settings({"source": "other"}, environ, tmp_path).endpoint.api_key == "sk-common"


def test_without_parts_there_is_one_source(tmp_path: Path) -> None:
    configured(tmp_path, '[sources.stored_completions]\nmetadata = { team = "a" }\n')
    (own,) = accounts({"api_key": "sk-1"}, {f"{VARIABLE}SOURCE": "only"}, tmp_path)
    assert (own.source, dict(own.query.metadata)) == ("only", {"team": "a"})


@pytest.mark.parametrize(
    ("text", "flags", "said"),
    [
        (parts(eu={"lokback": "1h"}), {}, "sets 'lokback' in [sources.stored_completions.eu]"),
        (parts(eu={"lookback": "x"}), {"api_key": "sk-1"}, "Source eu: lookback is 'x'"),
        (parts(eu={"base_url": "https://eu.example/v1"}), {}, "Source eu: There is no API key"),
        (parts(eu={}, us={}), {"base_url": "https://x.example/v1"}, "--base-url is for one source"),
        (parts(eu={}, us={}), {"source": "ue"}, "and no --base-url: did you mean 'eu'?"),
        (parts(eu={}, us={}), {"source": "asia"}, "configured are eu, us."),
        (
            "[sources.stored_completion]",
            {},
            "config.toml has [sources.stored_completion], which nothing reads: did",
        ),
        ("[source.stored_completions]", {}, "did you mean [sources.stored_completions]?"),
        ("[sources.stored-completions.eu]", {}, "has [sources.stored-completions], which"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, flags: dict[str, str], said: str) -> None:
    configured(tmp_path, text)
    with pytest.raises(UsageError) as error:
        accounts(flags, {}, tmp_path)
    assert said in str(error.value)


def test_what_is_not_ours_is_not_judged(tmp_path: Path) -> None:
    theirs = (
        "[source]\nx = 1\n[sources.other]\n[sources.data_writer]\n[sources.stored_completions_v2]\n[runtime]\n"
        "[destination.postgres.credentials]\n[normalize.data_writer]\n[stored_completions.sources.stored_completions]"
    )
    configured(tmp_path, theirs)
    flags = {"api_key": "sk-1", "source": "other"}
    assert accounts(flags, {"SOURCES__OTHER__X": "1"}, tmp_path)[0].source == "other"
    configured(tmp_path, theirs + "\n" + parts(eu={}))
    (own,) = accounts(flags | {"base_url": "https://x.example/v1"}, {}, tmp_path)
    assert (own.source, own.endpoint.base_url) == ("other", "https://x.example/v1")


def test_a_misspelt_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="SOURCES__STORED_COMPLETION__API_KEY, which nothing reads"):
        accounts({}, {"SOURCES__STORED_COMPLETION__API_KEY": "sk-1"}, tmp_path)
    with pytest.raises(UsageError, match="sets 'api_ky' after SOURCES__STORED_COMPLETIONS__EU__"):
        accounts({}, {f"{VARIABLE}EU__API_KY": "sk-1"}, tmp_path)


# ---------------------------------------------------------------------------- syncs


def test_one_warehouse_has_one_content_policy(tmp_path: Path) -> None:
    flags = {"api_key": KEY, "base_url": "http://127.0.0.1:9/v1"}
    own = [
        settings({**flags, "source": name, "content": level}, {}, tmp_path)
        for name, level in (("a", "keep"), ("b", "drop"))
    ]
    with pytest.raises(UsageError, match="a warehouse has one policy"):
        sync_all(own, tmp_path / NAME)
    assert list(tmp_path.iterdir()) == []


def test_one_that_fails_stops_no_other(tmp_path: Path) -> None:
    eu, us = Account.generate(30, seed=1), Account.generate(40, seed=2)
    with serving(eu, api_key=KEY) as at_eu, serving(us) as at_us:
        configured(tmp_path, parts(eu={"base_url": at_eu.base_url}, us={"base_url": at_us.base_url}))
        keys = {f"{VARIABLE}EU__API_KEY": "sk-wrong", f"{VARIABLE}US__API_KEY": KEY}
        failed = run("sync", at=tmp_path, env=keys)
        assert failed.code == 1
        assert failed.out.splitlines()[0].startswith("us: 40 new completions")
        assert failed.err.startswith("stored-completions: eu: 127.0.0.1 answered 401")
        behind = run("status", "--max-age", "2h", at=tmp_path)
        assert (behind.code, "No sync of source eu of" in behind.err) == (3, True)
        assert re.search(r"last success of eu: +none yet\nlast success of us: +2", behind.out)
        assert re.search(r"^us +40 .*\neu +0 ", behind.out, re.MULTILINE)
        again = run("sync", "--json", at=tmp_path, env=keys | {f"{VARIABLE}EU__API_KEY": KEY})
        found = {each["source"]: each for each in json.loads(again.out)["sources"]}
        assert (again.code, again.err) == (0, "")
        assert {name: (each["outcome"], each["rows_new"]) for name, each in found.items()} == {
            "eu": ("done", 30),
            "us": ("nothing_new", 0),
        }
        one = run("sync", "--source", "us", "--json", at=tmp_path, env=keys)
        assert json.loads(one.out)["source"] == "us"
    by_source = "select source, count(*) from chat.completions group by source order by source"
    assert rows(tmp_path, by_source) == [("eu", 30), ("us", 40)]
    calm = run("status", "--json", "--max-age", "2h", at=tmp_path)
    status = json.loads(calm.out)
    assert [source["source"] for source in status["sources"]] == status["configured"] == ["eu", "us"]
    assert (calm.code, status["last_success_at"]) == (0, status["last_successes"]["eu"])
    configured(tmp_path, parts(eu={}, uk={}))
    found = json.loads(run("status", "--json", at=tmp_path).out)
    assert (found["last_success_at"], found["last_successes"]["uk"]) == (None, None)
    assert found["last_successes"]["us"] == status["last_successes"]["us"]
    report = run("report", "costs", "--by", "source", "--format", "json", at=tmp_path)
    assert [row["source"] for row in json.loads(report.out)["rows"]] in (["eu", "us"], ["us", "eu"])


def test_they_are_read_side_by_side_and_an_id_stays_the_first_ones(tmp_path: Path) -> None:
    """Both sources list the same account: every completion is there once, and said to be shared."""
    account = Account.generate(60, seed=3)
    with serving(account) as first, serving(account) as second:
        first.faults.extend([Fault(delay=0.5)])
        heard, waiting = Heard(), []
        page = heard.page
        heard.page = lambda *seen: (waiting.append(len(second.requests)), page(*seen))[1]  # type: ignore[method-assign]
        flags = [
            {"api_key": KEY, "base_url": each.base_url, "source": name, "page_size": 20}
            for name, each in (("a", first), ("b", second))
        ]
        reports = sync_all(
            [settings(each, {}, tmp_path) for each in flags],
            tmp_path / NAME,
            watcher=heard,
            bounds=Bounds(completions=2_000),
        )
    assert waiting[0] > 0
    a, b = (report.counts for report in reports)
    assert (a.rows_new + b.rows_new, a.rows_shared + b.rows_shared) == (60, 60)
    assert rows(tmp_path, "select count(*), count(distinct completion_id) from chat.completions") == [
        (60, 60)
    ]
    shared = next(report for report in reports if report.counts.rows_shared)
    assert "loaded by another source before" in " ".join(shared.sentences())


def test_what_is_not_the_same_object_is_set_aside(tmp_path: Path) -> None:
    one, other = Account.generate(5, seed=4), Account.generate(5, seed=4)
    shared = one.ids()[0]
    other.update_metadata(shared, {"whose": "other"})
    with serving(one) as first, serving(other) as second:
        flags = [
            {"api_key": KEY, "base_url": each.base_url, "source": name}
            for name, each in (("a", first), ("b", second))
        ]
        reports = sync_all([settings(each, {}, tmp_path) for each in flags], tmp_path / NAME)
    assert sum(report.counts.rows_quarantined for report in reports) == 1
    (found,) = rows(tmp_path, "select reason from chat.quarantine")
    assert "its id belongs to source" in found[0]
