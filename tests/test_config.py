"""Settings: what beats what, that dlt itself finds the same, and a sentence for everything that is wrong."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from stored_completions import configuration, effective_settings
from stored_completions.config import settings
from stored_completions.endpoint import Endpoint
from stored_completions.errors import UsageError
from stored_completions.values import duration

VARIABLE = "SOURCES__STORED_COMPLETIONS__"
SECTION = "[sources.stored_completions]\n"
ROOT = Path(__file__).resolve().parent.parent


def written(folder: Path, name: str, **values: str) -> Path:
    path = folder / ".dlt" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SECTION + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    return path


def test_each_place_beats_those_after_it(tmp_path: Path) -> None:
    """Taken away one by one from the strongest on, the next is found."""
    flags = {"base_url": "https://flag.example/v1"}
    environ = {
        f"{VARIABLE}BASE_URL": "https://variable.example/v1",
        "OPENAI_BASE_URL": "https://sdk.example/v1",
    }
    secrets = written(tmp_path, "secrets.toml", api_key="sk-1", base_url="https://secrets.example/v1")
    file = written(tmp_path, "config.toml", api_key="sk-2", base_url="https://config.example/v1")

    def found() -> str:
        return settings(flags, {"OPENAI_API_KEY": "sk-3", **environ}, tmp_path).endpoint.base_url

    seen = [found()]
    flags["base_url"] = ""
    seen.append(found())
    environ[f"{VARIABLE}BASE_URL"] = ""
    seen.append(found())
    secrets.unlink()
    seen.append(found())
    file.unlink()
    seen.append(found())
    environ["OPENAI_BASE_URL"] = ""
    seen.append(found())
    places = ("flag", "variable", "secrets", "config", "sdk")
    assert seen == [*(f"https://{place}.example/v1" for place in places), Endpoint.base_url]


def test_the_sdk_s_four_variables_are_read(tmp_path: Path) -> None:
    environ = {
        "OPENAI_API_KEY": "sk-1",
        "OPENAI_BASE_URL": "https://example.com/v1",
        "OPENAI_ORG_ID": "org-1",
        "OPENAI_PROJECT_ID": "proj_1",
    }
    assert settings({}, environ, tmp_path).endpoint == Endpoint(
        "sk-1", "https://example.com/v1", organization="org-1", project="proj_1"
    )


WINNERS = {
    "env secrets config": ["sk-env", "https://env.example/v1"],
    "secrets config": ["sk-secrets", "https://secrets.example/v1"],
    "config user": ["sk-user", "https://config.example/v1"],
    "secrets user": ["sk-secrets", "https://secrets.example/v1"],
    "user": ["sk-user", "https://user.example/v1"],
    "nowhere": [None, None],
}


@pytest.mark.parametrize("places", WINNERS)
def test_dlt_resolves_the_same_values_from_the_same_places(tmp_path: Path, places: str) -> None:
    """In a process of its own: what dlt finds in a project and with its user is what we find."""
    project, home = tmp_path / "project", tmp_path / "home"
    project.mkdir()
    home.mkdir()
    environ = {"HOME": str(home)}
    if "env" in places:
        environ |= {f"{VARIABLE}API_KEY": "sk-env", f"{VARIABLE}BASE_URL": "https://env.example/v1"}
    if "secrets" in places:
        written(project, "secrets.toml", api_key="sk-secrets", base_url="https://secrets.example/v1")
    if "config" in places:
        written(project, "config.toml", base_url="https://config.example/v1")
    if "user" in places:
        written(home, "secrets.toml", api_key="sk-user")
        written(home, "config.toml", base_url="https://user.example/v1")
    found = said_by_both(project, environ)
    assert found["ours"] == found["dlt"]
    assert list(found["ours"].values()) == WINNERS[places]


def said_by_both(project: Path, environ: dict[str, str]) -> Any:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    environment = kept | environ | {"RUNTIME__DLTHUB_TELEMETRY": "false"}
    done = subprocess.run(
        [sys.executable, "-c", BOTH], cwd=project, env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


# Root has no folder of its own for dlt, but the machine's, which a test leaves alone: hence the other user.
BOTH = """
import json, os
from pathlib import Path
os.geteuid = lambda: 1000
import dlt
from stored_completions.configuration import Configuration
ours, section = Configuration({}, os.environ, Path.cwd()), "sources.stored_completions."
print(json.dumps({
    "ours": {name: ours.get(name) for name in ("api_key", "base_url")},
    "dlt": {
        "api_key": dlt.secrets.get(section + "api_key"),
        "base_url": dlt.secrets.get(section + "base_url") or dlt.config.get(section + "base_url"),
    },
}))
"""


def test_the_project_s_files_beat_the_user_s_name_by_name(tmp_path: Path) -> None:
    """As dlt merges them: any secrets.toml beats any config.toml, in each the project's comes first."""
    paths = list(configuration.paths(tmp_path / "project", {"HOME": str(tmp_path / "home")}))
    assert [path.name for path in paths] == ["secrets.toml", "secrets.toml", "config.toml", "config.toml"]
    assert [path.parent == tmp_path / "project" / ".dlt" for path in paths] == [True, False] * 2
    moved = list(
        configuration.paths(tmp_path, {"DLT_PROJECT_DIR": "/elsewhere", "DLT_CONFIG_FOLDER": "conf"})
    )
    assert moved[0] == Path("/elsewhere/conf/secrets.toml")


def test_every_setting_reaches_the_sync(tmp_path: Path) -> None:
    written(tmp_path, "secrets.toml", api_key="sk-1")
    (tmp_path / ".dlt" / "config.toml").write_text(
        SECTION
        + 'base_url = "https://x.example/v1"\norganization = "org-1"\nproject = "proj_1"\napi_version = "preview"\n'
        'source = "eu"\nmodel = "gpt-5"\nmetadata = { team = "support" }\nlookback = "2h"\nshort_lookback = 300\n'
        'page_size = 50\nmax_pages = 7\ntimeout = "30s"\nmax_attempts = 3\nmax_wait = "1m"\n'
        'publish_min_interval = "5m"\ninsecure_http = true\n'
    )
    found = settings({}, {}, tmp_path)
    assert found.endpoint == Endpoint("sk-1", "https://x.example/v1", "org-1", "proj_1", "preview", True)
    assert (found.patience.timeout, found.patience.max_attempts, found.patience.max_wait) == (30, 3, 60)
    assert (found.pace.long, found.pace.short, found.pace.page_size) == (7200, 300, 50)
    assert (found.query.model, dict(found.query.metadata)) == ("gpt-5", {"team": "support"})
    assert (found.source, found.max_pages, found.publish_min_interval) == ("eu", 7, 300)


def test_metadata_comes_from_flags_tables_and_variables(tmp_path: Path) -> None:
    def pairs(flags: dict[str, Any], said: str = "") -> dict[str, str]:
        environ = {"OPENAI_API_KEY": "sk-1", f"{VARIABLE}METADATA": said}
        return dict(settings(flags, environ, None).query.metadata)

    assert pairs({"metadata": ("team=a=b", "x=")}) == {"team": "a=b", "x": ""}
    assert pairs({"metadata": ()}, "team=support,env=live") == {"team": "support", "env": "live"}
    assert pairs({"metadata": ()}, '{"team": "a,b"}') == {"team": "a,b"}


def test_numbers_in_a_file_are_taken_as_text(tmp_path: Path) -> None:
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text(SECTION + "organization = 12\nmodel = 5\napi_key = 7\n")
    found = settings({}, {}, tmp_path)
    assert (found.endpoint.organization, found.query.model, found.endpoint.api_key) == ("12", "5", "7")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sources.stored_completions\n", "is not valid TOML"),
        (SECTION + 'lookbak = "1h"\n', "did you mean 'lookback'?"),
        (SECTION + "zzz = 1\n", "known are api_key, base_url"),
        ("[sources]\nstored_completions = 5\n", r"must have stored_completions as a table: \[sources"),
        (SECTION + 'lookback = "5x"\n', "lookback is '5x', which is no duration: write 90s, 10m, 2h or 30d"),
        (SECTION + 'lookback = "999999d"\n', "which is no duration"),
        (SECTION + "page_size = 0\n", "page_size is 0, but it must be a whole number above 0"),
        (SECTION + "page_size = true\n", "must be a whole number"),
        (SECTION + 'insecure_http = "perhaps"\n', "must be true or false"),
        (SECTION + 'source = "a b"\n', "must be a short name"),
        (SECTION + 'metadata = ["team"]\n', "metadata takes key=value, not 'team'"),
        (SECTION + "metadata = 5\n", "metadata takes key=value, not '5'"),
        (SECTION + 'base_url = "ftp://x"\n', "must look like https://"),
        (SECTION + 'timeout = "0s"\n', "time-outs above 0"),
    ],
)
def test_what_cannot_be_right_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text(text)
    with pytest.raises(UsageError, match=said):
        settings({}, {"OPENAI_API_KEY": "sk-1"}, tmp_path)


def test_a_mistyped_variable_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"'look_back' after .*, which is no setting: did you mean 'lookback'"
    ):
        settings({}, {"OPENAI_API_KEY": "sk-1", f"{VARIABLE}LOOK_BACK": "1h"}, tmp_path)


def test_dlt_s_own_keys_of_a_source_may_stand_beside_ours(tmp_path: Path) -> None:
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text(
        SECTION
        + 'max_table_nesting = 0\nschema_contract = "freeze"\n[sources.stored_completions.stored_completions]\nx = 1\n'
    )
    assert settings({}, {"OPENAI_API_KEY": "sk-1"}, tmp_path).source == "default"


def test_no_file_is_read_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo must not fail over, or be led astray by, a project's settings."""
    written(tmp_path, "config.toml", lookback="nonsense")
    monkeypatch.chdir(tmp_path)
    assert settings({"api_key": "sk-1"}, {}, None).endpoint.base_url == Endpoint.base_url


@pytest.mark.parametrize("said", ["5 %", "-0.1", 1.5, True, "nan"])
def test_a_limit_of_deletions_is_a_share(said: Any) -> None:
    with pytest.raises(UsageError, match=r"deletion_limit is .* a share from 0 to 1"):
        settings({"deletion_limit": said}, {"OPENAI_API_KEY": "sk-1"}, None)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("90s", 90), ("10m", 600), ("2h", 7200), ("30d", 2_592_000), (45, 45), (" 1 H ", 3600)],
)
def test_durations(said: Any, seconds: int) -> None:
    assert duration("lookback", said) == seconds


def test_the_example_names_every_setting_with_its_default() -> None:
    """Its commented lines, read as TOML, are what no setting at all gives; the repository has the same file."""
    text = effective_settings.EXAMPLE.read_text()
    assert text == (ROOT / ".dlt" / "config.toml").read_text()
    tomllib.loads(text)
    assert set(effective_settings.defaults()) | {"api_key", "admin_key"} == set(configuration.KNOWN)
    more = tomllib.loads("\n".join(re.findall(r"^# (\w+ = .*)$", text.partition(".eu]")[2], re.M)))
    assert more.keys() <= set(configuration.KNOWN)
    environ = {
        f"{VARIABLE}{name.upper()}": str(value)
        for name, value in effective_settings.defaults().items()
        if value not in ("", {})
    }
    key = {"OPENAI_API_KEY": "sk-1"}
    assert settings({}, environ | key, None) == settings({}, key, None)


def test_every_setting_is_listed_with_its_place_and_no_key_is_shown(tmp_path: Path) -> None:
    written(tmp_path, "secrets.toml", api_key="sk-secret", base_url="https://user:pass@host/v1")
    environ = {"OPENAI_API_KEY": "sk-other", "OPENAI_ORG_ID": "org-1", f"{VARIABLE}PAGE_SIZE": "50"}
    found = {row["setting"]: row for row in effective_settings.rows(environ, tmp_path, None)}
    assert list(found) == configuration.KNOWN
    assert found["api_key"] == {
        "setting": "api_key",
        "value": "(set, not shown)",
        "from": ".dlt/secrets.toml",
    }
    assert found["base_url"] == {
        "setting": "base_url",
        "value": "(set, not shown)",
        "from": ".dlt/secrets.toml",
    }
    assert (found["organization"]["value"], found["organization"]["from"]) == ("org-1", "OPENAI_ORG_ID")
    assert (found["page_size"]["value"], found["page_size"]["from"]) == ("50", f"{VARIABLE}PAGE_SIZE")
    assert (found["lookback"]["value"], found["lookback"]["from"]) == ("1h", "default")
    assert found["model"]["value"] is None


def test_settings_are_listed_for_each_source_and_a_table_for_each_of_its_places(tmp_path: Path) -> None:
    (tmp_path / ".dlt").mkdir()
    file = tmp_path / ".dlt" / "config.toml"
    file.write_text(
        f'{SECTION}content = "hash"\nlookback = "2h"\n[sources.stored_completions.eu]\nmodel = "m"\n'
    )
    environ = {f"{VARIABLE}CONTENT__ANSWERS": "drop", f"{VARIABLE}US__MODEL": "n"}
    found = effective_settings.rows(environ, tmp_path, None)
    assert {row["source"] for row in found} == {"eu", "us"}
    assert [
        row for row in found if row["source"] == "eu" and row["setting"] in ("model", "content", "lookback")
    ] == [
        {"source": "eu", "setting": "model", "value": "m", "from": ".dlt/config.toml [eu]"},
        {"source": "eu", "setting": "lookback", "value": "2h", "from": ".dlt/config.toml"},
        {"source": "eu", "setting": "content", "value": {"ANSWERS": "drop"}, "from": f"{VARIABLE}CONTENT__…"},
        {"source": "eu", "setting": "content", "value": "hash", "from": ".dlt/config.toml"},
    ]
    assert {row["source"] for row in effective_settings.rows(environ, tmp_path, "us")} == {"us"}


def test_the_example_of_secrets_is_read(tmp_path: Path) -> None:
    (tmp_path / ".dlt").mkdir()
    example = ROOT / ".dlt" / "secrets.toml.example"
    (tmp_path / ".dlt" / "secrets.toml").write_text(example.read_text())
    assert settings({}, {}, tmp_path).endpoint.api_key == "sk-..."
