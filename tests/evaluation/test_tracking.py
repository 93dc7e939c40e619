"""Tracking with the real client: against no server, a silent, a refusing, a broken and a good one.

What involves the client runs in a process of its own, with an empty home, an empty temporary folder
and an empty working directory, as a user's would: its exit is part of what is tested.
"""

import json
import os
import pty
import re
import select
import shlex
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import isnan
from pathlib import Path

import pytest

from conftest import REPOSITORY
from evaluation import tracking
from evaluation.tracking import resolve_mode
from wandb_reader import BLOCK, read_log, read_run

KEY = "0123456789abcdef" * 2 + "01234567"
LOWPASS, BAND = "top1_acc/lowpass/0.1", "top1_acc/criticalband/f=0/sd=0.02"
PROGRAM = "my_own_program.py"
LONG = "x" * 100_000  # spans some blocks of the file

# One run per model, as the evaluation does it. Folder and mode come from the environment.
RUNS = f"""
import os, sys, time
from pathlib import Path
from evaluation import tracking
from evaluation.tracking import Tracker, resolve_mode
tracking.CONNECT_SECONDS = 1.0
tracking.FINISH_SECONDS = 3.0
for name, seconds in (("finish_timeout", 3.0), ("init_timeout", 2.0)):
    tracking.SETTINGS[name] = min(seconds, tracking.SETTINGS[name])
streams = sys.stdout, sys.stdout.write, sys.stderr, sys.stderr.write
mode = resolve_mode(os.environ["WANTED"])
trackers = {{name: Tracker(mode, Path(os.environ["RESULTS"])) for name in ("one", "two", "three")}}
def start():
    for name, tracker in trackers.items():
        tracker.start("imagenet_spectral", name, {{"model": {{"name": name}}, "long": {LONG!r}}})
def log():
    for number, tracker in enumerate(trackers.values()):
        tracker.log({{"{LOWPASS}": number + 0.5, "{BAND}": float("nan"), "none": None}})
def finish():
    for tracker in trackers.values():
        tracker.finish()
def timed_finish():
    for tracker in trackers.values():
        begin = time.monotonic()
        tracker.finish()
        print(time.monotonic() - begin)
"""
PLAIN = "start(); log(); finish(); print('evaluated')"


@dataclass
class Ran:
    out: str
    lines: list[str]  # of stderr
    seconds: float
    code: int
    place: Path

    @property
    def runs(self):
        """What the offline runs hold, by name."""
        folders = (self.place / "the results" / "wandb").glob("offline-run-*")
        return {run.name: run for run in map(read_run, folders)}

    def written(self, folder: str) -> list[str]:
        return sorted(
            str(path.relative_to(self.place)) for path in (self.place / folder).rglob("*")
        )


def launch(place: Path, script: str, **environment: str) -> subprocess.Popen:
    for name in ("home", "tmp", "cwd"):
        (place / name).mkdir(exist_ok=True)
    own = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    own |= {
        "HOME": str(place / "home"),
        "TMPDIR": str(place / "tmp"),
        "PYTHONPATH": str(REPOSITORY / "code"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "RESULTS": str(place / "the results"),
        "WANTED": "auto",
        **environment,
    }
    pipe = subprocess.PIPE
    (place / PROGRAM).write_text(script)
    return subprocess.Popen(
        [sys.executable, str(place / PROGRAM)], cwd=place / "cwd", env=own,
        stdin=pipe, stdout=pipe, stderr=pipe, text=True,
    )  # fmt: skip


def drive(place: Path, script: str = PLAIN, **environment: str) -> Ran:
    begin = time.monotonic()
    process = launch(place, RUNS + script, **environment)
    out, err = process.communicate(timeout=50)
    return Ran(out, err.splitlines(), time.monotonic() - begin, process.returncode, place)


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
                status, answer = server.answer(content)
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
        self.port = self.http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, content: str) -> tuple[int, dict]:
        mutation = "mutation" in content
        if self.mood == "silent" or (self.mood == "silent later" and mutation):
            self.over.wait(60)
        if self.mood.isdigit():
            return int(self.mood), {"errors": [{"message": "told so"}]}
        variables = json.loads(content).get("variables", {}) if mutation else {}
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

    def close(self) -> None:
        self.over.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server():
    opened = []

    def open_server(mood: str) -> Server:
        opened.append(Server(mood))
        return opened[-1]

    yield open_server
    for one in opened:
        one.close()


@pytest.fixture
def closed_port() -> str:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"  # bound, not listening: refuses


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """Forget what other tests have been told, and stand where no settings of wandb are."""
    tracking._say.cache_clear()
    tracking._gave_up.clear()
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def answering(monkeypatch, server):
    """Let a server that is there be the only one, and return its machine."""
    good = server("good")
    monkeypatch.setattr(tracking, "SERVERS", (good.url,))
    return f"127.0.0.1:{good.port}"


def home_file(name: str, text: str) -> None:
    path = Path.home() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


# ---------------------------------------------------------------- what the user asked for


def test_auto_is_disabled_without_a_login(capsys):
    assert resolve_mode("auto") == "disabled"
    assert capsys.readouterr() == ("", "")


def test_auto_is_online_with_a_key(answering, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert resolve_mode("auto") == "online"


@pytest.mark.parametrize("name", [".netrc", "_netrc", "elsewhere"])
def test_auto_is_online_with_a_netrc(answering, monkeypatch, name):
    home_file(name, f"machine {answering}\n  login user\n  password {KEY}\n")
    if name == "elsewhere":
        assert resolve_mode("auto") == "disabled"
        monkeypatch.setenv("NETRC", "~/elsewhere")
    assert resolve_mode("auto") == "online"


@pytest.mark.parametrize(
    "text",
    [
        f"machine github.com login user password {KEY}",
        f"default login anonymous password {KEY}",
        "machine MACHINE login user password",
        "this is no netrc",
    ],
)
def test_other_logins_and_broken_ones_are_none(answering, text):
    home_file(".netrc", text.replace("MACHINE", answering))
    assert resolve_mode("auto") == "disabled"


def test_no_home_is_no_login(monkeypatch):
    def homeless(*_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr(Path, "expanduser", homeless)
    assert resolve_mode("auto") == "disabled"


@pytest.mark.parametrize("place", ["home", "workspace"])
def test_the_clients_settings_files_count(answering, monkeypatch, tmp_path, place):
    home_file(".netrc", f"machine {answering} login user password {KEY}")
    text = f"[default]\nbase_url = http://{answering}/\nmode = offline\n"
    if place == "home":
        home_file(".config/wandb/settings", text)
    else:
        (tmp_path / "wandb").mkdir()
        (tmp_path / "wandb" / "settings").write_text(text)
    monkeypatch.setattr(tracking, "SERVERS", ("http://unused.invalid",))
    assert resolve_mode("auto") == "offline"
    assert resolve_mode("online") == "online"  # the login of the address in the file


def test_broken_settings_files_do_not(monkeypatch):
    home_file(".config/wandb/settings", "mode offline without a section")
    assert resolve_mode("auto") == "disabled"


@pytest.mark.parametrize(
    ("said", "mode"),
    [
        ("offline", "offline"),
        ("dryrun", "offline"),
        ("disabled", "disabled"),
        ("online", "online"),
        ("run", "online"),
        ("nonsense", "online"),
    ],
)
def test_auto_respects_wandb_mode(answering, monkeypatch, said, mode):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_MODE", said)
    assert resolve_mode("auto") == mode


@pytest.mark.parametrize("wanted", ["online", "offline", "disabled"])
def test_the_flag_beats_wandb_mode(answering, monkeypatch, wanted):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_MODE", "offline" if wanted == "disabled" else "disabled")
    assert resolve_mode(wanted) == wanted


def test_online_without_a_login_is_offline_and_says_so(capsys):
    assert resolve_mode("online") == "offline"
    assert capsys.readouterr().err == "W&B: there is no login (`wandb login`): logging offline\n"


@pytest.mark.parametrize(
    ("mood", "says"),
    [("silent", "does not answer"), ("500", "answers HTTP 500"), ("503", "answers HTTP 503")],
)
def test_a_server_in_trouble_is_noticed(server, monkeypatch, capsys, mood, says):
    bad = server(mood)
    monkeypatch.setattr(tracking, "CONNECT_SECONDS", 1.0)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", bad.url)
    begin = time.monotonic()
    assert resolve_mode("auto") == "offline"
    assert time.monotonic() - begin < 2
    assert capsys.readouterr().err == f"W&B: 127.0.0.1:{bad.port} {says}: logging offline\n"
    assert KEY not in "".join(bad.requests)


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "http://[::1", "nonsense", "ftp://x"])
def test_an_address_without_a_server_is_noticed(monkeypatch, capsys, address):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", address)
    assert resolve_mode("online") == "offline"
    assert "cannot be reached: logging offline" in capsys.readouterr().err


def test_a_slow_look_up_of_the_host_is_bounded(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(20) and [])
    monkeypatch.setattr(tracking, "CONNECT_SECONDS", 0.3)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    begin = time.monotonic()
    assert resolve_mode("auto") == "offline"
    assert time.monotonic() - begin < 2
    over.set()


def test_one_of_two_servers_is_enough(server, monkeypatch, closed_port):
    monkeypatch.setattr(tracking, "SERVERS", (closed_port, server("401").url))
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert resolve_mode("auto") == "online"


# ---------------------------------------------------------------- by default, nothing


def on_a_terminal(place: Path, script: str, **environment: str) -> tuple[str, float]:
    """Run a script with a terminal as stdin, stdout and stderr; return what it shows."""
    begin = time.monotonic()
    (place / "home").mkdir()
    (place / "cwd").mkdir()
    pid, terminal = pty.fork()
    if pid == 0:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(place / "home"),
            "PYTHONPATH": str(REPOSITORY / "code"),
            "RESULTS": str(place / "the results"),
            "WANTED": "auto",
            **environment,
        }
        os.chdir(place / "cwd")
        os.execve(sys.executable, [sys.executable, "-B", "-c", script], environment)
    shown = b""
    try:
        while select.select([terminal], [], [], 20)[0] and (chunk := os.read(terminal, 4096)):
            shown += chunk
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(terminal)  # which also ends what waits for an answer
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, shown
    return shown.decode(), time.monotonic() - begin


def test_by_default_nothing_is_asked_said_or_imported(tmp_path):
    shown, seconds = on_a_terminal(tmp_path, RUNS + PLAIN + "; print('wandb' in sys.modules)")
    assert shown.split() == ["evaluated", "False"]
    assert seconds < 2
    assert not (tmp_path / "the results").exists()


def test_a_login_that_only_we_see_does_not_lead_to_a_question(tmp_path, server):
    """The client looks for host:port in netrc, and where it finds nothing it asks: unless told."""
    (tmp_path / "home").mkdir()
    script = "open(os.path.expanduser('~/.netrc'), 'w').write(os.environ['LOGIN'])\n"
    script = f"import os\n{script}{RUNS}{PLAIN}"
    (tmp_path / "home").rmdir()
    login = f"machine 127.0.0.1 login user password {KEY}"
    shown, seconds = on_a_terminal(
        tmp_path, script, LOGIN=login, WANDB_BASE_URL=server("good").url, WANDB_SILENT="false"
    )
    assert "No API key configured" in shown.splitlines()[0]
    assert len(shown.splitlines()) == 5  # why, evaluated, and where the three runs are
    assert seconds < 10


# ---------------------------------------------------------------- offline


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    place = tmp_path_factory.mktemp("offline")
    script = """
start(); log()
for tracker in trackers.values():
    tracker.log({"unserialisable": object()})
finish()
print(streams == (sys.stdout, sys.stdout.write, sys.stderr, sys.stderr.write))
"""
    return drive(place, script, WANTED="offline", WANDB_RUN_ID="shared", WANDB_NAME="of the shell")


def test_offline_holds_what_was_logged(offline):
    assert set(offline.runs) == {"one", "two", "three"}
    for number, (name, run) in enumerate((n, offline.runs[n]) for n in ("one", "two", "three")):
        assert run.project == "imagenet_spectral"
        assert run.config["model"] == {"name": name}
        assert run.config["long"] == LONG
        values = {key: v for key, v in run.logged[0].items() if not key.startswith("_")}
        assert set(values) == {LOWPASS, BAND, "none"}
        assert values[LOWPASS] == number + 0.5
        assert isnan(values[BAND])
        assert values["none"] is None
        assert run.ended


def test_every_model_has_its_own_run(offline):
    assert len({run.id for run in offline.runs.values()}) == 3


def test_offline_says_how_to_upload_and_nothing_else(offline):
    wandb = re.escape(str(offline.place / "the results" / "wandb"))
    uploads = [line for line in offline.lines if "values not logged" not in line]
    for line, name in zip(uploads, ("one", "two", "three"), strict=True):
        pattern = rf"W&B: {name}: logged offline; upload with: wandb sync '{wandb}/offline-run-.*'"
        assert re.fullmatch(pattern, line)
        assert read_run(Path(shlex.split(line)[-1])).name == name


def test_offline_survives_what_cannot_be_logged(offline):
    failed = [line for line in offline.lines if "values not logged" in line]
    assert [line.split()[1] for line in failed] == ["one:", "two:", "three:"]
    assert offline.code == 0


def test_offline_leaves_stdout_and_stderr_alone(offline):
    assert offline.out == "True\n"


def test_offline_is_quick(offline):
    assert offline.seconds < 10


def test_offline_writes_into_the_results_only(offline):
    assert offline.written("home") == offline.written("tmp") == offline.written("cwd") == []
    there = {path.name for path in offline.place.iterdir()}
    assert there == {"home", "tmp", "cwd", "the results", PROGRAM}
    assert [path.name for path in (offline.place / "the results").iterdir()] == ["wandb"]


def assert_private(text: str) -> None:
    """Neither the machine, nor its load, nor the user's program and repository."""
    assert len(text) > 1000
    assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", text)
    for word in (PROGRAM, "system.", "executable", "requirements"):
        assert word not in text
    assert not re.search(r'"(host|program|commit|repo|jobProgram)": *"[^"]+"', text)


def test_offline_tells_nothing_about_the_machine(offline):
    for run in offline.runs.values():
        assert_private(run.everything)
    files = (offline.place / "the results" / "wandb").glob("*/files/**/*")
    assert [path.name for path in files if path.is_file()] == []


def test_the_reader_notices_damage(offline):
    (path,) = next((offline.place / "the results" / "wandb").glob("offline-run-*")).glob("*.wandb")
    content = path.read_bytes()
    assert len(content) > 3 * BLOCK
    assert len(read_log(content)) > 5
    for position in (0, 100, BLOCK + 50, len(content) - 1):
        damaged = bytearray(content)
        damaged[position] ^= 1
        with pytest.raises(ValueError):
            read_log(bytes(damaged))


def test_folders_that_the_user_has_set_are_respected(tmp_path):
    mine, cache = tmp_path / "mine", tmp_path / "my cache"
    ran = drive(tmp_path, WANTED="offline", WANDB_DIR=str(mine), WANDB_CACHE_DIR=str(cache))
    assert len([*mine.glob("wandb/offline-run-*")]) == 3
    assert [*cache.rglob("*.log")]
    assert not (mine / "wandb" / "cache").exists()
    assert not (tmp_path / "the results").exists()
    assert ran.written("home") == ran.written("tmp") == ran.written("cwd") == []


def test_workers_forked_from_a_tracked_process(tmp_path):
    script = """
from torch.utils.data import DataLoader
start()
loader = DataLoader(range(40), batch_size=4, num_workers=2, multiprocessing_context="fork")
for _ in range(2):
    print(sum(int(batch.sum()) for batch in loader))
log(); finish()
"""
    ran = drive(tmp_path, script, WANTED="offline")
    assert ran.out.split() == ["780", "780"]
    assert ran.code == 0
    assert all("logged offline" in line for line in ran.lines)
    assert ran.runs["two"].logged[0][LOWPASS] == 1.5
    assert ran.runs["two"].ended


# ---------------------------------------------------------------- a login, but no server


@pytest.mark.parametrize(
    ("mood", "why"),
    [
        ("closed", "cannot be reached: logging offline"),
        ("silent", "does not answer: logging offline"),
        ("500", "answers HTTP 500: logging offline"),
        ("silent later", "the run was not accepted"),
        ("401", "the run was not accepted"),
        ("403", "the run was not accepted"),
    ],
)
def test_without_its_server_a_run_is_kept_offline(tmp_path, server, closed_port, mood, why):
    bad = server(mood) if mood != "closed" else None
    url = bad.url if bad else closed_port
    ran = drive(tmp_path, WANDB_API_KEY=KEY, WANDB_BASE_URL=url)
    assert ran.out == "evaluated\n"
    assert ran.code == 0
    assert why in ran.lines[0]
    assert [line.split(";")[0] for line in ran.lines[1:]] == [
        f"W&B: {name}: logged offline" for name in ("one", "two", "three")
    ]
    assert [ran.runs[name].logged[0][LOWPASS] for name in ("one", "two", "three")] == [
        0.5,
        1.5,
        2.5,
    ]
    assert ran.seconds < 12
    assert ran.written("home") == ran.written("tmp") == ran.written("cwd") == []
    if bad and why == "the run was not accepted":
        assert bad.asked("UpsertBucket") == 1  # the other models do not wait for it again


def test_a_malformed_key_is_said_and_survived(tmp_path, server):
    ran = drive(tmp_path, WANDB_API_KEY="too-short", WANDB_BASE_URL=server("good").url)
    assert "WANDB_API_KEY invalid" in ran.lines[0]
    assert set(ran.runs) == {"one", "two", "three"}


def test_the_printed_command_uploads(tmp_path, server, closed_port):
    ran = drive(tmp_path, WANDB_API_KEY=KEY, WANDB_BASE_URL=closed_port)
    good = server("good")
    command = shlex.split(ran.lines[1].split("upload with: ")[1])
    assert command[:2] == ["wandb", "sync"]
    environment = os.environ | {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": good.url}
    subprocess.run(
        [sys.executable, "-m", *command],
        env=environment,
        check=True,
        capture_output=True,
        timeout=40,
    )
    assert good.asked(f'{LOWPASS}\\":0.5')
    assert good.asked(f'{BAND}\\":NaN')


# ---------------------------------------------------------------- online


def test_online_uploads_silently(tmp_path, server):
    good = server("good")
    ran = drive(tmp_path, WANDB_API_KEY=KEY, WANDB_BASE_URL=good.url)
    assert (ran.out, ran.lines, ran.code) == ("evaluated\n", [], 0)
    for value in ("0.5", "1.5", "2.5"):
        assert good.asked(f'{LOWPASS}\\":{value}')
    assert_private("".join(good.requests))
    assert ran.written("home") == ran.written("tmp") == ran.written("cwd") == []


@pytest.mark.parametrize(("how", "finishes"), [("closed", True), ("silent", False)])
def test_a_server_lost_midway_does_not_keep_the_process(tmp_path, server, how, finishes):
    good = server("good")
    end = "timed_finish()" if finishes else ""
    script = f"start(); print('started', flush=True); sys.stdin.readline(); log(); {end}"
    process = launch(tmp_path, RUNS + script, WANDB_API_KEY=KEY, WANDB_BASE_URL=good.url)
    assert process.stdout.readline() == "started\n"
    if how == "closed":
        good.close()
    good.mood = how
    begin = time.monotonic()
    out, err = process.communicate("go on\n", timeout=50)
    assert process.returncode == 0
    assert time.monotonic() - begin < 12
    if not finishes:
        assert err == ""
        return
    first, *others = map(float, out.split())
    assert 2 < first < 5
    assert max(others) < 2.5  # they are not waited for
    for line, name in zip(err.splitlines(), ("one", "two", "three"), strict=True):
        assert f"W&B: {name}: perhaps not all uploaded (no answer); do it with: wandb sync" in line
        run = read_run(Path(shlex.split(line)[-1]))
        assert run.name == name
        assert LOWPASS in run.logged[0]


# ---------------------------------------------------------------- no client


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ('raise ImportError("no wandb")', "no wandb"),
        ('raise AttributeError("half of it")', "half of it"),
        ("sys.modules[name] = type(sys)(name)", "module 'wandb' has no attribute 'Settings'"),
    ],
)
@pytest.mark.parametrize("wanted", ["online", "offline"])
def test_a_missing_or_broken_client_costs_one_line(tmp_path, server, how, reason, wanted):
    script = f"""
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "wandb":
            {how}
            return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec):
        return sys.modules[spec.name]
    def exec_module(self, module):
        pass
import importlib.machinery
sys.meta_path.insert(0, Broken())
"""
    url = server("good").url
    ran = drive(tmp_path, script + PLAIN, WANTED=wanted, WANDB_API_KEY=KEY, WANDB_BASE_URL=url)
    assert (ran.out, ran.code) == ("evaluated\n", 0)
    assert ran.lines == [f"W&B: not logging ({reason}; pip install wandb)"]
    assert ran.seconds < 3
