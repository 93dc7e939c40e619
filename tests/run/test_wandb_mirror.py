"""Mirroring to W&B with the real client: without a login, and against servers good and bad.

Every call has an empty home, an empty temporary folder and an empty working directory.
"""

import json
import os
import pty
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import isnan
from pathlib import Path

import pytest

from bvg.run import wandb_mirror
from bvg.run.wandb_mirror import mirror
from wandb_reader import BLOCK, read_log, read_run

KEY = "0123456789abcdef" * 2 + "01234567"
LOWPASS, BAND = "top1_acc/lowpass/0.1", "top1_acc/criticalband/f=0/sd=0.02"
LONG = "x" * 100_000  # spans some blocks of the file
MODULE = wandb_mirror.__file__


def write_summary(results: Path, model: str, value: float, seconds: float = 1.5) -> Path:
    path = results / "imagenet_spectral" / model / "summary.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    metrics = {
        LOWPASS: {"value": value, "low": value - 0.25, "high": value + 0.25, "n": 8, "note": ""},
        BAND: {"value": float("nan"), "low": None, "high": None, "n": 8, "note": ""},
        "shape-bias": {"value": None, "low": None, "high": None, "n": 0, "note": "no decisions"},
    }
    identity = {"benchmark": "imagenet_spectral", "model": {"name": model}, "long": LONG}
    summary = {"format": 1, "identity": identity, "metrics": metrics, "seconds": {"all": seconds}}
    path.write_text(json.dumps(summary))
    return path


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name in ("tmp", "cwd"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    for name in ("INIT_TIMEOUT", "FINISH_TIMEOUT", "HTTP_TIMEOUT"):
        monkeypatch.setenv(f"WANDB_{name}", "2")
    monkeypatch.chdir(tmp_path / "cwd")
    return tmp_path


@pytest.fixture
def summaries(place):
    """Two models' results, whose folder's name has to be quoted in a shell."""
    results = place / "the results"
    return [write_summary(results, "one", 0.5), write_summary(results, "two", 1.5)]


def offline_runs(folder: Path) -> dict:
    """Return what the offline runs in a folder hold, by name; each has one copy there."""
    runs = [read_run(path.parent) for path in folder.glob("wandb/offline-run-*/*.wandb")]
    by_name = {run.name: run for run in runs}
    assert len(by_name) == len(runs)
    return by_name


def assert_clean(place: Path) -> None:
    """Nothing is written but below the results."""
    for folder in (place / "tmp", place / "cwd", Path.home()):
        assert [*folder.rglob("*")] == []


def only_line(capfd) -> str:
    out, err = capfd.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("W&B: ")
    return line


def command_in(line: str) -> list[str]:
    return shlex.split(line.partition("upload with: ")[2])


def fake_wandb(place: Path, monkeypatch, source: str) -> None:
    (place / "fake").mkdir()
    (place / "fake" / "wandb.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(place / "fake"))


class Server:
    """A W&B server, as far as the client needs one, or a broken one: `mood` says which."""

    def __init__(self, mood: str) -> None:
        self.mood = mood
        self.requests: list[str] = []
        self.over = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                server.requests.append(content)
                status, answer = server.answer(content, self.path)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_PUT = do_GET = do_POST  # noqa: N815

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # clients that have left
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, content: str, path: str) -> tuple[int, dict]:
        if self.mood == "silent" or (self.mood == "no run" and "UpsertBucket" in content):
            self.over.wait(60)
        if self.mood == "no values" and ("file_stream" in path or "CreateRunFiles" in content):
            self.over.wait(60)
        if self.mood.isdigit():
            return int(self.mood), {"errors": [{"message": "told so"}]}
        if "query Viewer" in content:
            viewer = {"id": "v", "entity": "me", "username": "me", "flags": "{}"}
            return 200, {"data": {"viewer": viewer | {"teams": {"edges": []}}}}
        variables = json.loads(content).get("variables", {}) if "mutation" in content else {}
        if "UpsertBucket" in content:
            project = {"id": "p", "name": variables["project"], "entity": {"id": "e", "name": "me"}}
            bucket = {"id": "b", "name": variables["name"], "config": "{}", "project": project}
            return 200, {"data": {"upsertBucket": {"bucket": bucket, "inserted": True}}}
        if "CreateRunFiles" in content:
            files = [{"name": name, "uploadUrl": self.url} for name in variables["files"]]
            answer = {"runID": "b", "uploadHeaders": [], "files": files}
            return 200, {"data": {"createRunFiles": answer}}
        return 200, {"data": {}}

    def asked(self, what: str) -> int:
        return sum(what in request for request in self.requests)

    def ids(self) -> set[str]:
        """Return the ids of the runs that were announced."""
        announced = (json.loads(text) for text in self.requests if "UpsertBucket" in text)
        return {text["variables"]["name"] for text in announced}

    def close(self) -> None:
        self.over.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server(monkeypatch):
    """Open servers that are the user's own, and a login for them."""
    opened = []

    def open_server(mood: str) -> Server:
        opened.append(Server(mood))
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_BASE_URL", opened[-1].url)
        return opened[-1]

    yield open_server
    for one in opened:
        one.close()


# ---------------------------------------------------------------- whether to ask the client at all


@pytest.fixture
def started(monkeypatch):
    """Record the child processes instead of starting them, without a setting of W&B."""
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    commands = []

    def record(command, **_):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(wandb_mirror.subprocess, "run", record)
    return commands


def home_file(name: str, text: str) -> None:
    path = Path.home() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".netrc", f"machine github.com login user password {KEY}"),
        (".netrc", f"default login anonymous password {KEY}"),
        (".netrc", ""),
        ("elsewhere", f"machine api.wandb.ai login user password {KEY}"),
    ],
)
def test_auto_without_a_login_starts_nothing(summaries, started, capfd, name, text):
    home_file(name, text)
    mirror(summaries, "auto")
    assert started == []
    assert capfd.readouterr() == ("", "")


def test_auto_without_a_home_starts_nothing(summaries, started, monkeypatch):
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda _: {}[0])  # a user whom the system does not know
    mirror(summaries, "auto")
    assert started == []


@pytest.mark.parametrize("mode", ["auto", "disabled"])
def test_disabled_starts_nothing(summaries, started, monkeypatch, mode):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_MODE", "disabled" if mode == "auto" else "online")
    mirror(summaries, mode)
    mirror([], "online")
    assert started == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WANDB_API_KEY", KEY),
        ("WANDB_IDENTITY_TOKEN_FILE", "token"),
        ("WANDB_MODE", "offline"),
        ("WANDB_BASE_URL", "https://wandb.example.org"),
        (".netrc", "machine api.wandb.ai\n  login user\n  password {KEY}\n"),
        ("_netrc", "machine api.forge.coreweave.com login user password {KEY}\n"),
        (".config/wandb/settings", "[default]\nmode = offline\n"),
    ],
)
def test_auto_starts_where_there_may_be_a_login(summaries, started, monkeypatch, name, value):
    if name.startswith("WANDB"):
        monkeypatch.setenv(name, value)
    else:
        home_file(name, value)
    mirror(summaries, "auto")
    (command,) = started
    assert command[2:] == [*map(str, summaries), "--mode", "auto"]


def test_auto_starts_where_the_environment_names_a_file(place, summaries, started, monkeypatch):
    home_file("elsewhere", f"machine api.wandb.ai login user password {KEY}")
    monkeypatch.setenv("NETRC", "~/elsewhere")
    mirror(summaries, "auto")
    assert len(started) == 1
    monkeypatch.delenv("NETRC")
    (place / "cwd" / "wandb").mkdir()
    (place / "cwd" / "wandb" / "settings").write_text("[default]\nproject = mine\n")
    mirror(summaries, "auto")
    assert len(started) == 2


# ---------------------------------------------------------------- without a login


def test_auto_leaves_the_last_word_to_the_client(place, summaries, capfd):
    """It finds that this login has no key."""
    home_file(".netrc", "machine api.wandb.ai login user password\n")
    home_file(".config/wandb/settings", "[default]\nentity = mine\n")
    mirror(summaries, "auto")
    assert capfd.readouterr() == ("", "")
    assert [*place.glob("the results/wandb/*run-*")] == []


def test_online_without_a_login_says_so(place, summaries, capfd, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")  # the flag has precedence
    mirror(summaries, "online")
    line = only_line(capfd)
    assert "wandb login" in line
    assert command_in(line) == [sys.executable, MODULE, *map(str, summaries)]
    assert_clean(place)


def test_nothing_is_asked_on_a_terminal(place, summaries, monkeypatch):
    monkeypatch.setenv("WANDB_SILENT", "false")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, MODULE, str(summaries[0])], stdin=theirs, stdout=theirs, stderr=theirs
    )
    assert process.wait(60) == 1
    (line,) = os.read(ours, 10_000).decode().splitlines()
    assert "wandb login" in line
    os.close(ours)
    os.close(theirs)


# ---------------------------------------------------------------- offline


@pytest.fixture
def offline(place, summaries, monkeypatch, capfd):
    for name in ("RUN_ID", "NAME", "PROJECT"):
        monkeypatch.setenv(f"WANDB_{name}", "of-the-shell")
    mirror(summaries, "offline")
    assert capfd.readouterr() == ("", "")
    return offline_runs(place / "the results")


def assert_private(text: str) -> None:
    """Neither the machine, nor its load, nor the user's program and repository."""
    assert len(text) > 1000
    assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", text)
    for word in (Path(MODULE).name, "system.", "executable", "requirements"):
        assert word not in text
    assert not re.search(r'"(host|program|commit|repo|jobProgram)": *"[^"]+"', text)


def test_offline_holds_the_summaries(place, offline):
    assert {name: run.logged[0][LOWPASS] for name, run in offline.items()} == {
        "one": 0.5,
        "two": 1.5,
    }
    for name, run in offline.items():
        assert run.project == "imagenet_spectral"
        assert run.config["model"] == {"name": name}
        assert run.config["long"] == LONG
        (logged,) = run.logged
        values = {key: value for key, value in logged.items() if not key.startswith("_")}
        assert isnan(values.pop(BAND))
        assert values == {
            LOWPASS: values[LOWPASS],
            f"interval/{LOWPASS}/low": values[LOWPASS] - 0.25,
            f"interval/{LOWPASS}/high": values[LOWPASS] + 0.25,
        }
        assert run.ended
        assert_private(run.everything)
    assert len({run.id for run in offline.values()}) == 2
    assert_clean(place)
    written = {path.name for path in (place / "the results").iterdir()}
    assert written == {"imagenet_spectral", "wandb"}
    files = (place / "the results" / "wandb").glob("*/files/**/*")
    assert [path.name for path in files if path.is_file()] == []


def test_the_same_summary_is_the_same_run(place, summaries, offline, monkeypatch):
    write_summary(place / "the results", "two", 1.5, seconds=2.5)  # measured again
    again = place / "again"
    again.mkdir()
    monkeypatch.setenv("WANDB_DIR", str(again))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(place / "my cache"))
    mirror(summaries, "offline")
    repeated = offline_runs(again)
    assert repeated["one"].id == offline["one"].id
    assert repeated["two"].id != offline["two"].id
    assert [*(place / "my cache").rglob("*.log")]
    assert not (again / "wandb" / "cache").exists()


def test_the_reader_notices_damage(place, offline):
    path = next(place.glob("the results/wandb/offline-run-*/*.wandb"))
    content = path.read_bytes()
    assert len(content) > 3 * BLOCK
    assert len(read_log(content)) > 5
    for position in (0, 100, BLOCK + 50, len(content) - 1):
        damaged = bytearray(content)
        damaged[position] ^= 1
        with pytest.raises(ValueError):
            read_log(bytes(damaged))


@pytest.mark.parametrize(
    "content", ["", "[1]", '{"metrics": {}}', '{"identity": {"benchmark": "b"}}', None]
)
def test_a_damaged_summary_is_named(place, summaries, content):
    path = place / "the results" / "imagenet" / "bad" / "summary.json"
    if content is not None:
        path.parent.mkdir(parents=True)
        path.write_text(content)
    command = [sys.executable, MODULE, "--mode", "offline", summaries[0], path]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert str(path) in line
    assert set(offline_runs(place / "the results")) == {"one"}


# ---------------------------------------------------------------- a login, but no good server


@pytest.mark.parametrize("mood", ["closed", "silent", "500", "401", "no run", "no values"])
def test_without_its_server_a_run_ends_and_says_how_to_upload(
    place, summaries, server, capfd, mood
):
    bad = server(mood)
    if mood == "closed":
        bad.close()
    mirror(summaries, "auto")
    line = only_line(capfd)
    assert command_in(line) == [sys.executable, MODULE, *map(str, summaries)]
    assert_clean(place)
    assert len(bad.ids()) == (mood in ("no run", "no values"))  # the second does not wait, too


def test_a_malformed_key_is_said_and_survived(summaries, server, monkeypatch, capfd):
    server("good")
    monkeypatch.setenv("WANDB_API_KEY", "too-short")
    mirror(summaries, "auto")
    assert "WANDB_API_KEY" in only_line(capfd)


# ---------------------------------------------------------------- online


def test_online_uploads_silently_and_the_printed_command_uploads(place, summaries, server, capfd):
    good = server("good")
    mirror(summaries, "auto")
    assert capfd.readouterr() == ("", "")
    assert_private("".join(good.requests))
    assert_clean(place)

    server("500")
    mirror(summaries, "auto")
    command = command_in(only_line(capfd))
    later = server("good")
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr == ""
    assert len(result.stdout.splitlines()) == 2  # the runs' addresses
    for upload in (good, later):
        for value in ("0.5", "1.5"):
            assert upload.asked(f'{LOWPASS}\\":{value}')
        assert upload.asked(f'{BAND}\\":NaN')
    assert good.ids() == later.ids()
    assert len(good.ids()) == 2


# ---------------------------------------------------------------- no client, or one gone wrong


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ('raise ImportError("no wandb")', "no wandb"),
        ('raise AttributeError("half of it\\nand more")', "half of it"),
        ('raise SystemExit("no licence")', "no licence"),
        ("", "setup"),
        ("import os; os._exit(3)", "exit code 3"),
        ("import os; os.kill(os.getpid(), 11)", "exit code -11"),
        ("print('W&B' * 100); raise KeyError", "KeyError"),
        ("import time; time.sleep(600)", "did not finish"),
    ],
)
def test_a_broken_client_costs_one_line(place, summaries, monkeypatch, capfd, source, reason):
    fake_wandb(place, monkeypatch, source)
    if "sleep" in source:
        monkeypatch.setattr(wandb_mirror, "LIMIT_SECONDS", 0.5)
        monkeypatch.setattr(wandb_mirror, "RUN_SECONDS", 0.1)
    mirror(summaries, "offline")
    line = only_line(capfd)
    assert reason in line
    assert command_in(line)[1:] == [MODULE, *map(str, summaries)]


def test_a_python_that_cannot_be_started_costs_one_line(summaries, monkeypatch, capfd):
    monkeypatch.setattr(wandb_mirror.sys, "executable", "/nowhere/python")
    mirror(summaries, "offline")
    assert str(summaries[1]) in only_line(capfd)


NOISY = """
import sys, subprocess, types
print("wandb: a banner"); print("a warning", file=sys.stderr)
sys.stdout = sys.stderr = None
late = "import time; time.sleep(15); open('service has ended', 'w')"
open("service", "w").write(str(subprocess.Popen([sys.executable, "-c", late]).pid))
class Settings:
    def __init__(self, **settings): self.silent = settings["silent"]
def setup():
    return types.SimpleNamespace(settings=types.SimpleNamespace(mode="online"))
def login(**_):
    assert sys.stdin is None or sys.stdin.read() == ""
    return True
def init(settings, **_):
    assert settings.silent
    return types.SimpleNamespace(log=print, finish=print, url="")
"""


def test_a_noisy_client_is_not_heard_and_its_service_not_waited_for(
    place, summaries, monkeypatch, capfd
):
    fake_wandb(place, monkeypatch, NOISY)
    mirror(summaries, "online")
    assert not (place / "cwd" / "service has ended").exists()
    os.kill(int((place / "cwd" / "service").read_text()), signal.SIGKILL)
    assert capfd.readouterr() == ("", "")
