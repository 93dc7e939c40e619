"""Weights & Biases as a mirror of the results: never the only copy, never in the way.

Without a login, a network or the package, evaluation goes on; with a login but no answer from the
server, the run is logged offline and a message says how to upload it. Nothing is asked, nothing is
said but for one line per problem, and every wait has a bound: the constants below.
"""

import configparser
import netrc
import os
import secrets
import shlex
import ssl
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import redirect_stderr, redirect_stdout
from functools import cache, partial
from http.client import HTTPException
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

MODES = ("auto", "online", "offline", "disabled")
CONNECT_SECONDS = 5.0  # for the server's first answer, before wandb is asked to talk to it
START_SECONDS = 15.0  # for the server to accept a run
FINISH_SECONDS = 30.0  # for the last upload
SERVERS = ("https://api.forge.coreweave.com", "https://api.wandb.ai")  # newer clients', older ones'

# Logged is what the evaluation logs: no console, no code, no git state, nothing about the machine.
SETTINGS: dict[str, Any] = {
    "silent": True,
    "console": "off",
    "disable_code": True,
    "save_code": False,
    "disable_git": True,
    "disable_job_creation": True,
    "label_disable": True,
    "host": "",
    "program": "",
    "x_disable_machine_info": True,
    "x_save_requirements": False,
    "init_timeout": START_SECONDS,
    "finish_timeout": FINISH_SECONDS,
    "finish_timeout_raises": True,
}

_gave_up = threading.Event()  # once the server has failed, no further run waits for it


def resolve_mode(wanted: str) -> str:
    """Return "online", "offline" or "disabled" for what the user asked for.

    auto is what WANDB_MODE or wandb's own settings say, else online where the user is logged in,
    else disabled. online turns into offline where there is no login or no answer, with a message.
    Does not import wandb and takes at most CONNECT_SECONDS.
    """
    if wanted == "auto":
        asked = _setting("mode")
        wanted = {"dryrun": "offline", "run": "online"}.get(asked, asked)
        if wanted not in MODES[1:]:
            wanted = "online" if _logged_in() else "disabled"
    if wanted != "online":
        return wanted
    trouble = _trouble() if _logged_in() else "there is no login (`wandb login`)"
    if trouble:
        _say(f"{trouble}: logging offline")
    return "offline" if trouble else "online"


class Tracker:
    """One W&B run: a model on a benchmark. Every failure inside is reported once and survived.

    Everything is written below `folder`, or where WANDB_DIR and WANDB_CACHE_DIR say; only wandb's
    own short-lived files (the port and the socket of its service) are in the temporary folder.
    """

    def __init__(self, mode: str, folder: Path) -> None:
        self.mode = mode
        self.folder = Path(os.environ.get("WANDB_DIR") or folder).resolve()
        self.name = ""
        self.run: Any = None
        self.record = Path()

    def start(self, project: str, name: str, config: dict[str, Any]) -> None:
        """Begin the run `name` in `project`; does nothing when tracking is disabled.

        Takes at most START_SECONDS (and some for wandb itself), and does not wait for a server that
        has failed another run of this process.
        """
        self.name = name
        if self.mode == "disabled":
            return
        try:
            begin = _client(self.folder)
        except Exception as error:  # missing, or broken in whatever way
            _say(f"not logging ({_first_line(error)}; pip install wandb)")
            return
        facts = {"project": project, "name": name, "config": config}
        for mode in ("offline",) if self.mode == "offline" or _gave_up.is_set() else MODES[1:3]:
            try:
                # The id is ours: with the one of WANDB_RUN_ID all models would be one run.
                self.run = begin(mode=mode, id=secrets.token_hex(4), **facts)
                self.mode, self.record = mode, Path(self.run.dir).parent
                return
            except Exception as error:  # whatever wandb raises must not stop an evaluation
                then = "logging offline" if mode == "online" else "not logging"
                _say(f"the run was not accepted ({_first_line(error)}): {then}")
                _gave_up.set()

    def log(self, values: dict[str, Any]) -> None:
        """Log values; a failure loses these values, not the run."""
        if self.run is None:
            return
        try:
            self.run.log(values)
        except Exception as error:  # as in start
            _say(f"{self.name}: values not logged ({_first_line(error)})")

    def finish(self) -> None:
        """Send what is left, for at most FINISH_SECONDS, and say where it is if it did not go."""
        if self.run is None:
            return
        run, self.run = self.run, None
        upload = f"wandb sync {shlex.quote(str(self.record))}"
        hopeless = self.mode == "online" and _gave_up.is_set()
        try:
            # 5 s more than wandb's own limit; what is hopeless goes on in the background meanwhile.
            _within(1.0 if hopeless else FINISH_SECONDS + 5, run.finish)
            if self.mode == "offline":
                _say(f"{self.name}: logged offline; upload with: {upload}")
        except Exception as error:  # as in start
            _gave_up.set()
            reason = "no answer" if isinstance(error, TimeoutError) else _first_line(error)
            _say(f"{self.name}: perhaps not all uploaded ({reason}); do it with: {upload}")


def _client(folder: Path) -> Callable[..., Any]:
    """Return wandb.init, told to write below a folder, and to say, ask and tell nothing."""
    os.environ.setdefault("WANDB_CACHE_DIR", str(folder / "wandb" / "cache"))
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # it waits for the server, loudly
    os.environ["WANDB_SILENT"] = "true"  # which also keeps it from asking for a login
    # On import it wraps what are sys.stdout and sys.stderr, for good and with locks.
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        import wandb
    known = wandb.Settings.model_fields
    settings = {name: value for name, value in SETTINGS.items() if name in known}
    return partial(wandb.init, dir=str(folder), reinit="create_new", settings=settings)


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return what call returns; raise what it raises, or TimeoutError after some seconds."""
    outcome: Future[Any] = Future()

    def work() -> None:
        try:
            outcome.set_result(call())
        except Exception as error:
            outcome.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return outcome.result(seconds)


def _setting(name: str) -> str:
    """Return a setting of wandb: the environment's, the workspace's, the user's, or ""."""
    files = configparser.ConfigParser(interpolation=None)
    try:
        user = Path(os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb").expanduser()
        files.read([user / "settings", Path("wandb", "settings")])
    except (configparser.Error, RuntimeError, ValueError):
        pass  # broken, or a user without a home: as good as none
    return os.environ.get(f"WANDB_{name.upper()}") or files.get("default", name, fallback="") or ""


def _servers() -> tuple[str, ...]:
    """Return the server's address, or those it may have where none is set."""
    address = _setting("base_url").rstrip("/")
    return (address,) if address else SERVERS


def _machine(server: str) -> str:
    """Return the host, and the port where there is one, of an address."""
    return server.split("://")[-1].split("/")[0]


def _logged_in() -> bool:
    """Return whether there is a login, where wandb looks for it."""
    if _setting("api_key") or _setting("identity_token_file"):
        return True
    names = [_machine(server) for server in _servers()]
    machines = {*names, *(name.rsplit(":", 1)[0] for name in names)}
    try:
        places = [Path.home() / ".netrc", Path.home() / "_netrc"]
        if os.environ.get("NETRC"):
            places = [Path(os.environ["NETRC"]).expanduser()]
        path = next(filter(Path.exists, places), None)
        # Not authenticators(): its answer for unknown machines, "default", is no login to W&B.
        hosts = netrc.netrc(str(path)).hosts if path else {}
    except (OSError, RuntimeError, ValueError, netrc.NetrcParseError):
        return False
    return any(hosts[machine][2] for machine in machines & set(hosts))


def _trouble() -> str:
    """Return what is wrong with the server, or "" where one of its addresses answers."""
    servers = _servers()
    try:
        # A request's own timeout does not bound looking up its host.
        return min(_within(CONNECT_SECONDS, lambda: [_answer(server) for server in servers]))
    except TimeoutError:
        return f"{_machine(servers[0])} does not answer"


def _answer(server: str) -> str:
    """Return what is wrong with a server, asked without a login, or ""."""
    name, header = _machine(server), {"Content-Type": "application/json"}
    try:
        question = Request(f"{server}/graphql", b'{"query": "{__typename}"}', header)
        urlopen(question, timeout=2 * CONNECT_SECONDS).close()  # _trouble waits less
    except HTTPError as error:  # below 500 it is about the question, and there is a server
        return f"{name} answers HTTP {error.code}" if error.code >= 500 else ""
    except (OSError, HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, ssl.SSLError):
            return ""  # wandb has its own certificates and settings for them
        return f"{name} cannot be reached"
    return ""


@cache
def _say(message: str) -> None:
    """Print a message, the first time it comes up."""
    print(f"W&B: {message}", file=sys.stderr)


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].replace("<no message>", "no reason given; is the login valid?")
