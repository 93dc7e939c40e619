"""Weights & Biases as a mirror of the results: never the only copy, never in the way.

Without a login, a network or the package, evaluation goes on; with a login but no answer from the
server, the run is logged offline and a message says how to upload it.
"""

import netrc
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import getproxies

MODES = ("auto", "online", "offline", "disabled")
CONNECT_SECONDS = 3.0  # to reach the server before wandb is asked to
FINISH_SECONDS = 60.0  # for the last upload


def resolve_mode(wanted: str) -> str:
    """Return "online", "offline" or "disabled" for what the user asked for.

    auto is online where the user is logged in (WANDB_API_KEY, or netrc as `wandb login` writes it),
    else disabled; WANDB_MODE overrides it. online turns into offline where there is no login or no
    answer, with a message. Does not import wandb and takes at most CONNECT_SECONDS.
    """
    if wanted == "auto":
        asked = os.environ.get("WANDB_MODE", "")
        wanted = {"dryrun": "offline", "run": "online"}.get(asked, asked)
        if wanted not in MODES[1:]:
            wanted = "online" if _logged_in() else "disabled"
    if wanted != "online":
        return wanted
    if not _logged_in():
        return _offline("there is no login (`wandb login`)")
    if not _server_answers():
        return _offline(f"{_host()[0]} cannot be reached")
    return "online"


class Tracker:
    """One W&B run: a model on a benchmark. Every failure inside is reported once and survived."""

    def __init__(self, mode: str, folder: Path) -> None:
        self.mode = mode
        self.folder = folder
        self.run: Any = None

    def start(self, project: str, name: str, config: dict[str, Any]) -> None:
        """Begin the run `name` in `project`; does nothing when tracking is disabled."""
        if self.mode == "disabled":
            return
        os.environ.setdefault("WANDB_SILENT", "true")
        try:
            import wandb

            settings = wandb.Settings(init_timeout=30, console="off", silent=True)
            self.run = wandb.init(
                project=project,
                name=name,
                config=config,
                dir=str(self.folder),
                mode=self.mode,  # type: ignore[arg-type]
                reinit="create_new",
                settings=settings,
            )
        except Exception as error:  # whatever wandb raises must not stop an evaluation
            _say(f"not logging {name} ({_first_line(error)})")

    def log(self, values: dict[str, Any]) -> None:
        """Log values; a failure ends the tracking of this run, not the run."""
        if self.run is None:
            return
        try:
            self.run.log(values)
        except Exception as error:  # as in start
            _say(f"stopped logging ({_first_line(error)})")
            self.run = None

    def finish(self) -> None:
        """Send what is left, for at most FINISH_SECONDS."""
        if self.run is None:
            return
        run, self.run = self.run, None
        errors: list[Exception] = []
        worker = threading.Thread(target=_finish, args=(run, errors), daemon=True)
        worker.start()
        worker.join(FINISH_SECONDS)
        if worker.is_alive() or errors:
            reason = _first_line(errors[0]) if errors else "the server does not answer"
            _say(f"not all was uploaded ({reason}); do it later with: wandb sync {run.dir}/..")
        elif self.mode == "offline":
            _say(f"logged offline; upload with: wandb sync {Path(run.dir).parent}")


def _finish(run: Any, errors: list[Exception]) -> None:
    try:
        run.finish()
    except Exception as error:  # as in Tracker.start
        errors.append(error)


def _host() -> tuple[str, int]:
    """Return the server's host and port, or the proxy's where there is one."""
    url = os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai"
    scheme = urlparse(url).scheme
    proxy = getproxies().get(scheme)
    parts = urlparse(proxy if proxy else url)
    return parts.hostname or "api.wandb.ai", parts.port or (443 if parts.scheme == "https" else 80)


def _logged_in() -> bool:
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    url = os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai"
    host = urlparse(url).hostname or ""
    candidates = [os.environ.get("NETRC"), Path.home() / ".netrc", Path.home() / "_netrc"]
    for path in filter(None, candidates):
        try:
            if netrc.netrc(str(path)).authenticators(host):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


def _server_answers() -> bool:
    try:
        with socket.create_connection(_host(), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _offline(reason: str) -> str:
    _say(f"{reason}: logging offline")
    return "offline"


def _say(message: str) -> None:
    print(f"W&B: {message}", file=sys.stderr)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
