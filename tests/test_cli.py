"""The command line: help, exit codes, streams and signals, with the console script and real HTTP."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click
import httpx
import pytest

import stored_completions
from console import COMMAND, KEY, environment, on_terminal, run
from stored_completions.cli import cli
from stored_completions.sandbox import Account, Fault, Sandbox
from stored_completions.sandbox.generate import UNTIL

NAME = "stored_completions.duckdb"
COMMANDS = [(name, command) for name, command in cli.commands.items()]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Account.generate(120, seed=5), now=UNTIL + 60) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> Path:
    """A folder with a synced warehouse, for those that only read it."""
    folder = tmp_path_factory.mktemp("synced")
    assert run("sync", at=folder, url=sandbox.base_url).code == 0
    return folder


class TestHelp:
    @pytest.mark.parametrize(("name", "command"), COMMANDS)
    def test_every_command_and_option_says_what_it_does(self, name: str, command: click.Command) -> None:
        assert command.help, name
        assert "..." not in command.get_short_help_str(60), f"{name}: too long for the list of commands"
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts}"
                names_default = parameter.show_default or "[default: " in parameter.help
                is_switch = parameter.is_flag or parameter.name == "output"
                assert names_default or is_switch, f"{name} {parameter.opts} does not say its default"

    def test_the_commands_of_the_contract_are_there_in_order(self, tmp_path: Path) -> None:
        done = run("-h", at=tmp_path)
        shown = re.findall(r"^  ([a-z]+)  ", done.out.partition("Commands:")[2], re.M)
        first = ["demo", "sandbox", "check", "sync", "status", "query"]
        assert [name for name in shown if name in first] == first
        assert set(shown) == set(cli.commands)
        assert "Exit codes: 0 done" in done.out

    @pytest.mark.parametrize(("name", "command"), COMMANDS)
    def test_help_fits_eighty_columns_but_for_its_examples(self, name: str, command: click.Command) -> None:
        context = click.Context(command, info_name=name, terminal_width=80)
        for line in command.get_help(context).splitlines():
            assert len(line) <= 80 or re.match(r" +(stored-completions|curl) ", line), line

    def test_the_version(self, tmp_path: Path) -> None:
        done = run("--version", at=tmp_path)
        assert (done.code, done.out) == (0, f"stored-completions, version {stored_completions.__version__}\n")

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["synk"], "There is no command 'synk'. Did you mean 'sync'?"),
            (["xyz"], "There is no command 'xyz'. There are demo, sandbox, check"),
            (["sync", "--max-page", "x"], "No such option '--max-page'"),
            (["sync", "--max-pages", "0"], "0 is not in the range x>=1"),
            (["sync", "--lookback", "5x"], "--lookback is '5x', which is no duration"),
            (
                ["sync", "--lookback", "90"],
                "--lookback is '90', which has no unit: write 90s, 90m, 90h or 90d",
            ),
            (["purge", "--older-than", "90"], "--older-than is '90', which has no unit: write 90s"),
            (["sync", "--max-messages", "3"], "--max-messages is for --messages, without which"),
            (["sync", "--billing-since", "2026-01-31"], "--billing-since is for --billing, without which"),
            (["sync", "--full", "--since", "30d"], "--since is for a sync without --full"),
            (["sync", "--metadata", "team"], "metadata takes key=value, not 'team'"),
            (["sync", "--metadata", "=search"], "metadata takes key=value, not '=search'"),
            (["sync", "--source", "a/b"], "source is 'a/b', but it must be a short name"),
            (["sync", "--base-url", "http://example.com/v1"], "use https, or --insecure-http"),
            (["sync", "--warehouse", "."], "'.' is a directory"),
            (["query"], "Missing argument 'SQL'"),
        ],
    )
    def test_wrong_usage_ends_with_2_and_a_sentence(
        self, tmp_path: Path, arguments: list[str], said: str
    ) -> None:
        done = run(*arguments, at=tmp_path, url="http://127.0.0.1:9/v1")
        assert (done.code, done.out) == (2, "")
        assert said in done.err
        assert list(tmp_path.iterdir()) == []

    def test_what_is_not_needed_is_not_imported(self, sandbox: Sandbox, folder: Path) -> None:
        """dlt's import costs more than a sync with nothing new; help needs no database either."""
        program = (
            "import sys\nfrom stored_completions.cli import cli\n"
            "for command in (['--help'], ['sync', '--help'], ['status'], ['query', 'select 1'], ['check'], ['sync']):\n"
            "    try: cli(command)\n"
            "    except SystemExit as ended: assert not ended.code, command\n"
            "    heavy = {'dlt', 'duckdb', 'pyarrow', 'httpx', 'rich'} & set(sys.modules)\n"
            "    print(command, sorted(heavy) if command[-1] == '--help' else 'dlt' in heavy, file=sys.stderr)\n"
        )
        env = environment(folder, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=sandbox.base_url)
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=folder, env=env, capture_output=True, text=True, check=True
        )
        assert [line.partition("] ")[2] for line in done.stderr.splitlines()] == ["[]", "[]", *["False"] * 4]
        assert "Nothing new" in done.stdout


class TestSettings:
    def test_the_example_is_a_file_that_a_sync_takes(self, tmp_path: Path, sandbox: Sandbox) -> None:
        (tmp_path / ".dlt").mkdir()
        (tmp_path / ".dlt" / "config.toml").write_text(run("settings", "example", at=tmp_path).out)
        assert run("sync", "--max-pages", "1", at=tmp_path, url=sandbox.base_url).code == 0

    def test_they_are_listed_with_the_place_of_each_and_without_keys(self, tmp_path: Path) -> None:
        (tmp_path / ".dlt").mkdir()
        (tmp_path / ".dlt" / "config.toml").write_text('[sources.stored_completions]\nlookback = "2h"\n')
        listed = run("settings", "list", at=tmp_path, env={"OPENAI_API_KEY": KEY})
        assert re.search(r"^lookback +2h +\.dlt/config\.toml", listed.out, re.M), listed
        assert re.search(r"^api_key +\(set, not shown\) +OPENAI_API_KEY", listed.out, re.M)
        assert KEY not in listed.out + listed.err
        rows = json.loads(run("settings", "list", "--json", at=tmp_path).out)
        assert {"setting": "model", "value": None, "from": "default"} in rows
        wrong = run("settings", "list", "--source", "eu", at=tmp_path)
        assert (wrong.code, "no [sources.stored_completions.eu]" in wrong.err) == (2, True)


class TestSync:
    def test_in_a_pipe_it_says_what_came_of_it_and_no_more(self, sandbox: Sandbox, tmp_path: Path) -> None:
        sandbox.faults.extend([Fault.status(500)])
        first = run("sync", at=tmp_path, url=sandbox.base_url)
        assert first.code == 0
        assert first.out.splitlines()[0].startswith("120 new completions, 0 changed, 120 looked at in ")
        assert first.out.splitlines()[-1] == f"{tmp_path / NAME} (new)"
        assert first.err.count("\n") == 1
        assert "answered 500" in first.err
        again = run("sync", at=tmp_path, url=sandbox.base_url)
        assert again.out.startswith("Nothing new: ")
        assert (again.code, again.err) == (0, "")

    def test_json_is_one_object_also_when_it_fails_on_its_way(self, sandbox: Sandbox, tmp_path: Path) -> None:
        def synced(*arguments: str) -> tuple[int, dict[str, object], str]:
            done = run("sync", "--json", "--page-size", "50", *arguments, at=tmp_path, url=sandbox.base_url)
            return done.code, json.loads(done.out), done.err

        code, report, said = synced("--max-pages", "1")
        assert (code, report["outcome"], report["rows_new"], said) == (0, "stopped", 50, "")
        sandbox.faults.extend([Fault.none(), Fault.status(403)])
        code, report, said = synced()
        assert (code, report["outcome"]) == (2, "failed")
        assert str(report["detail"]) in said
        sandbox.faults.clear()
        assert KEY not in json.dumps(report)

    def test_json_is_empty_when_it_could_not_begin(self, folder: Path) -> None:
        with Sandbox() as other:
            done = run("sync", "--json", at=folder, url=other.base_url)
        assert (done.code, done.out) == (2, "")
        assert "Name another source with --source" in done.err

    def test_flags_reach_the_server(self, sandbox: Sandbox, folder: Path) -> None:
        sandbox.requests.clear()
        run(
            "sync", "--model", "gpt-x", "--metadata", "a=1", "--metadata", "b=x=y", "--page-size", "7",
            at=folder, url=sandbox.base_url,
        )  # fmt: skip
        _, _, asked = sandbox.requests[0]
        wanted = {"model": "gpt-x", "metadata[a]": "1", "metadata[b]": "x=y", "limit": "7", "order": "desc"}
        assert asked == wanted

    def test_on_a_terminal_a_line_lives_and_goes(self, tmp_path: Path) -> None:
        columns = 60
        with Sandbox(Account.generate(120, seed=5), now=UNTIL + 60, latency=0.08) as sandbox:
            seen = on_terminal(
                "sync", "--page-size", "10", at=tmp_path, url=sandbox.base_url, columns=columns
            )
        lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]+", seen)]
        progress = [line for line in lines if re.match(r"\S \d+ pages?, ", line)]
        assert any("rows/s, up to 20" in line for line in progress)
        assert max(map(len, progress)) <= columns
        assert "\x1b[2K" in seen
        assert lines[-3].startswith("120 new completions")
        assert lines[-2].startswith(str(tmp_path)[: columns - 5])

    def test_a_reader_that_goes_away_is_no_error(self, folder: Path) -> None:
        command = shlex.join([*COMMAND, "query", "select * from chat.completions, range(100)"])
        done = subprocess.run(
            ["bash", "-c", f"{command} | head -n 1; echo ${{PIPESTATUS[0]}}"],
            cwd=folder, env=environment(folder), capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.splitlines()[1:] == ["0"]
        assert done.stderr == ""
        with Path("/dev/full").open("w") as full:
            full_disk = subprocess.run(
                [*COMMAND, "status"],
                cwd=folder,
                env=environment(folder),
                stdout=full,
                stderr=subprocess.PIPE,
                check=False,
            )
        assert (full_disk.returncode, full_disk.stderr) == (
            1,
            b"stored-completions: No space left on device.\n",
        )


class TestSignals:
    def test_ctrl_c_ends_a_sync_with_130_and_keeps_what_was_read(self, tmp_path: Path) -> None:
        with Sandbox(Account.generate(100), now=UNTIL + 60) as sandbox:
            sandbox.faults.extend([Fault.none(), *[Fault.status(500)] * 20])
            with begun("sync", "--page-size", "50", at=tmp_path, url=sandbox.base_url) as process:
                assert process.stderr
                assert "answered 500" in process.stderr.readline()
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (130, "")
        assert "Stopped by Ctrl-C. What was read is loaded" in err
        rows = run("query", "select count(*) as rows from chat.completions", at=tmp_path)
        assert rows.out == "rows\n50\n"

    def test_ctrl_c_ends_a_query_with_130(self, folder: Path) -> None:
        with begun("query", "select * from range(100000000)", at=folder) as process:
            assert process.stdout
            assert process.stdout.readline() == "range\n"
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (130, "")


class TestSandbox:
    def test_it_announces_itself_and_the_examples_of_its_help_work(self, tmp_path: Path) -> None:
        """The commands are taken out of the help and run as they stand, but for the port."""
        shown = run("sandbox", "--help", at=tmp_path).out
        examples = [shlex.split(line) for line in shown.splitlines() if line.startswith("    curl ")]
        with begun(
            "sandbox", "--port", "0", "--completions", "30", "--now", str(UNTIL), at=tmp_path
        ) as process:
            assert process.stdout
            base_url = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", base_url)
            place = base_url.removesuffix("/v1")
            answers = []
            for _, *arguments in examples:
                url = next(each for each in arguments if each.startswith("http")).replace(
                    "http://127.0.0.1:8080", place
                )
                body = arguments[arguments.index("-d") + 1] if "-d" in arguments else None
                answers.append(httpx.request("POST" if body else "GET", url, content=body))
            assert [answer.status_code for answer in answers] == [200, 200, 200]
            assert answers[0].json() == {"now": UNTIL + 3600}
            status = answers[2].json()
            assert (status["completions"], status["faults_waiting"]) == (30, 1)
            taken = run("sandbox", "--port", base_url.split(":")[2].partition("/")[0], at=tmp_path)
            process.send_signal(signal.SIGTERM)
            rest, hints = process.communicate(timeout=60)
        assert (process.returncode, rest) == (0, "")
        assert f"export OPENAI_API_KEY=sk-sandbox OPENAI_BASE_URL={base_url}" in hints
        assert (taken.code, taken.out) == (1, "")
        assert "cannot be used (Address already in use): name another with --port" in taken.err

    def test_it_serves_a_file_and_ends_well_on_ctrl_c(self, tmp_path: Path) -> None:
        bodies = [
            {"id": f"c{number}", "object": "chat.completion", "created": 1758024000} for number in range(3)
        ]
        (tmp_path / "x.ndjson").write_text("".join(json.dumps(body) + "\n" for body in bodies))
        with begun("sandbox", "--port", "0", "--ndjson", "x.ndjson", "--verbose", at=tmp_path) as process:
            assert process.stdout
            url = process.stdout.readline().strip()
            listed = httpx.get(f"{url}/chat/completions", headers={"Authorization": "Bearer x"}).json()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        assert sorted(each["id"] for each in listed["data"]) == ["c0", "c1", "c2"]
        assert process.returncode == 0
        assert "3 completions. In another terminal:" in err
        assert "GET /v1/chat/completions" in err

    def test_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "x.ndjson.gz").write_text("not compressed\n")
        done = run("sandbox", "--port", "0", "--ndjson", "x.ndjson.gz", at=tmp_path)
        assert (done.code, done.out) == (2, "")
        assert "x.ndjson.gz is no file of completions, one JSON object a line" in done.err


@contextmanager
def begun(*arguments: str, at: Path, url: str | None = None) -> Iterator["subprocess.Popen[str]"]:
    """A command that is still running; killed at the end if nothing else ended it."""
    account = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": url} if url else {}
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=at,
        env=environment(at, **account),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background inherits SIGINT ignored; no other thread runs here.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()
