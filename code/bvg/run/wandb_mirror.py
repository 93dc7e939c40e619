"""Weights & Biases as a mirror of finished results: never the only copy, never in the way.

    python code/bvg/run/wandb_mirror.py results/*/*/summary.json

uploads results of any age. An evaluation runs the same command as a child process with a time
limit, so that nothing wandb does (ask for a login, wait for a network, print, crash) reaches it.
The benchmark is the project and the model the run. The same summary.json is always the same run; a
re-run result is another one.
"""

import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

MODES = ("auto", "online", "offline", "disabled")
LIMIT_SECONDS = 60.0  # the child process is killed after these,
RUN_SECONDS = 20.0  # and as many more for each run
SAYS = "W&B: "  # begins the lines that an evaluation passes on from the child
HOSTS = ("wandb.ai", "coreweave.com")  # of logins in netrc
NO_LOGIN = "not logged in (run `wandb login`)"

# Sent are config and metrics: no console, no code, no git state, nothing about the machine.
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
    "finish_timeout_raises": True,
}
# Seconds to accept a run and to take its last values, where the user has not set others; and no
# error reports to wandb's makers, which wait for the network.
ENVIRONMENT = {
    "WANDB_INIT_TIMEOUT": "15",
    "WANDB_FINISH_TIMEOUT": "30",
    "WANDB_ERROR_REPORTING": "false",
}


def mirror(summaries: list[Path], mode: str) -> None:
    """Log finished results to W&B; a failure costs one line on stderr and bounded time.

    summaries: paths RESULTS/BENCHMARK/MODEL/summary.json. mode: one of MODES; auto is what
    WANDB_MODE or wandb's settings say, else online where the user is logged in, else nothing.
    """
    if not summaries or mode == "disabled" or (mode == "auto" and not _configured()):
        return
    paths = [str(path.absolute()) for path in summaries]
    child = [sys.executable, __file__, "--mode", mode, *paths]
    limit = LIMIT_SECONDS + RUN_SECONDS * len(summaries)
    try:
        # A file, not a pipe: wandb's service inherits it and can outlive the child.
        with TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            code = subprocess.run(
                child, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=limit
            ).returncode
            output.seek(0)
            said = [line for line in output if line.startswith(SAYS)]
        sys.stderr.writelines(said)
        if code and not (code == 1 and said):  # no end of our own making
            _say(f"wandb failed with exit code {code}", summaries)
    except subprocess.TimeoutExpired:
        _say(f"wandb did not finish within {limit:.0f} s", summaries)
    except OSError as error:
        _say(f"wandb could not be started ({_reason(error)})", summaries)


def _configured() -> bool:
    """Return False where there is certainly no login and no setting of W&B; imports no wandb."""
    if os.environ.get("WANDB_MODE") == "disabled":
        return False
    names = ("MODE", "API_KEY", "IDENTITY_TOKEN_FILE", "BASE_URL")
    if any(os.environ.get(f"WANDB_{name}") for name in names):
        return True
    user = Path(os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb", "settings")
    workspace = Path(os.environ.get("WANDB_DIR") or ".", "wandb", "settings")
    logins = (Path(os.environ.get("NETRC") or "~/.netrc"), Path("~/_netrc"))
    try:
        if user.expanduser().exists() or workspace.exists():
            return True
        files = [path for login in logins if (path := login.expanduser()).exists()]
        return any(
            host in path.read_text(encoding="utf-8", errors="replace")
            for path in files
            for host in HOSTS
        )
    except (OSError, RuntimeError):  # unreadable, or a user without a home
        return False


def _log_all(summaries: list[Path], wanted: str) -> int:
    """Log results from this process, say what is not uploaded and why; return the exit code."""
    runs = {}
    for path in summaries:
        try:
            runs[path] = _run_of(path)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            print(f"{SAYS}{path} cannot be read ({_reason(error)})", file=sys.stderr)
    if not runs:
        return 1
    cache = Path(next(iter(runs.values()))["dir"], "wandb", "cache")
    for name, value in (ENVIRONMENT | {"WANDB_CACHE_DIR": str(cache)}).items():
        os.environ.setdefault(name, value)
    os.environ["WANDB_SILENT"] = "true"
    if wanted != "auto":
        os.environ["WANDB_MODE"] = wanted
    import wandb

    mode = wandb.setup().settings.mode
    if mode == "disabled":
        return 0
    online, trouble = mode not in ("offline", "dryrun"), ""
    if online:
        try:
            trouble = "" if wandb.login(prompt=False) else NO_LOGIN
        except Exception as error:  # no answer within WANDB_HTTP_TIMEOUT (10 s), or a refusal
            trouble = _reason(error)
        if trouble == NO_LOGIN and wanted == "auto":
            return 0
    waiting, kept = [], 0
    for path, run in runs.items():
        if online and not trouble:  # once the server has failed, no further run waits for it
            try:
                _log(wandb, mode="online", **run)
                continue
            except Exception as error:  # whatever wandb raises
                trouble = _reason(error)
        waiting.append(path)
        try:
            _log(wandb, mode="offline", **run)
            kept += 1
        except Exception as error:
            trouble = trouble or _reason(error)
    if waiting:
        reason = f"{trouble}: " if trouble else ""
        _say(f"{reason}{len(waiting)} run(s) not uploaded, {kept} logged offline", waiting)
    return int(len(runs) < len(summaries) or (online and bool(waiting)))


def _log(wandb: Any, values: dict[str, float], mode: str, **run: Any) -> None:
    known = {name: SETTINGS[name] for name in SETTINGS if name in wandb.Settings.model_fields}
    begun = wandb.init(mode=mode, resume="allow", reinit="create_new", settings=known, **run)
    begun.log(values)
    begun.finish()
    if mode == "online":
        print(begun.url)


def _run_of(path: Path) -> dict[str, Any]:
    """Return the arguments of wandb.init for a summary, and the values to log."""
    content = path.read_bytes()
    summary = json.loads(content)
    project, name = summary["identity"]["benchmark"], path.absolute().parent.name
    values = {}
    for key, metric in summary["metrics"].items():
        values[key] = metric["value"]
        values |= {f"interval/{key}/{end}": metric[end] for end in ("low", "high")}
    return {
        "project": project,
        "name": name,
        # Mirrored again it is the same run; and WANDB_RUN_ID would make all models one run.
        "id": hashlib.sha256(f"{project}/{name}\n".encode() + content).hexdigest()[:16],
        "config": summary["identity"] | {k: summary[k] for k in ("scored_with",) if k in summary},
        "dir": os.environ.get("WANDB_DIR") or str(path.resolve().parents[2]),
        "values": {key: value for key, value in values.items() if value is not None},
    }


def _say(trouble: str, summaries: list[Path]) -> None:
    script, *paths = (str(path.absolute()) for path in (Path(__file__), *summaries))
    command = shlex.join([sys.executable, script, *paths])
    print(f"{SAYS}{trouble}; upload with: {command}", file=sys.stderr)


def _reason(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")


def main() -> int:
    """Log the summaries named on the command line; return the exit code."""
    parser = argparse.ArgumentParser(description="Log finished results to Weights & Biases.")
    parser.add_argument(
        "summaries", nargs="+", type=Path, help="RESULTS/BENCHMARK/MODEL/summary.json"
    )
    parser.add_argument("--mode", choices=MODES, default="online", help="default: online")
    arguments = parser.parse_args()
    neighbours = Path(__file__).resolve().parent  # whose names must not stand in for other modules
    sys.path = [folder for folder in sys.path if Path(folder).resolve() != neighbours]
    try:
        return _log_all(arguments.summaries, arguments.mode)
    except (Exception, SystemExit) as error:  # a damaged summary, or wandb, missing or broken
        _say(f"not logged ({_reason(error)})", arguments.summaries)
        return 1


if __name__ == "__main__":
    sys.exit(main())
