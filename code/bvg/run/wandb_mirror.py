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
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

MODES = ("auto", "online", "offline", "disabled")
LIMIT_SECONDS = 60.0  # the child process is killed after these,
RUN_SECONDS = 20.0  # and as many more for each run
HOSTS = ("wandb.ai", "coreweave.com")  # of logins in netrc

# Sent are config and metrics: no console, no code, no git state, nothing about the machine.
SETTINGS: dict[str, Any] = {
    "silent": True,
    "console": "off",
    "disable_code": True,
    "save_code": False,
    "disable_git": True,
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
    if not summaries or mode == "disabled" or (mode == "auto" and not _in_use()):
        return
    command = [sys.executable, __file__, *(str(path.absolute()) for path in summaries)]
    limit = LIMIT_SECONDS + RUN_SECONDS * len(summaries)
    try:
        # A file, not a pipe: wandb's service inherits it and can outlive the child.
        with TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            code = subprocess.run(
                [*command, "--mode", mode],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=limit,
            ).returncode
            output.seek(0)
            *_, last = ["", *output]
        said = last.strip() if code == 1 else ""
        trouble = (said or f"exit code {code}") if code else ""
    except subprocess.TimeoutExpired:
        trouble = f"wandb did not finish within {limit:.0f} s"
    except OSError as error:
        trouble = f"wandb could not be started: {error}"
    if trouble:
        words = f"W&B: not uploaded ({trouble}); upload with: {shlex.join(command)}"
        print(words, file=sys.stderr)


def _in_use() -> bool:
    """Return False where there is certainly no login and no setting of W&B; imports no wandb."""
    if os.environ.get("WANDB_MODE") == "disabled":
        return False
    if any(name.startswith("WANDB_") for name in os.environ):
        return True
    settings = ("~/.config/wandb/settings", "wandb/settings")
    for name in (*settings, "~/.netrc", "~/_netrc", os.environ.get("NETRC", "")):
        with suppress(OSError):  # not there, or unreadable
            path = Path(os.path.expanduser(name))  # noqa: PTH111  (Path's raises without a home)
            text = path.read_text(encoding="utf-8", errors="replace")
            if name in settings or any(host in text for host in HOSTS):
                return True
    return False


def main() -> str | None:
    """Log the summaries named on the command line; return what went wrong, in a line."""
    parser = argparse.ArgumentParser(description="Log finished results to Weights & Biases.")
    parser.add_argument(
        "summaries", nargs="+", type=Path, help="RESULTS/BENCHMARK/MODEL/summary.json"
    )
    parser.add_argument("--mode", choices=MODES, default="online", help="default: online")
    arguments = parser.parse_args()
    what = ""
    try:
        results = arguments.summaries[0].resolve().parent.parent.parent
        folder = Path(os.environ.get("WANDB_DIR") or results)
        defaults = ENVIRONMENT | {"WANDB_CACHE_DIR": str(folder / "wandb" / "cache")}
        os.environ.update(defaults | os.environ | {"WANDB_SILENT": "true"})
        if arguments.mode != "auto":
            os.environ["WANDB_MODE"] = arguments.mode
        import wandb

        online = wandb.setup().settings.mode not in ("offline", "dryrun", "disabled")
        if online and not wandb.login(prompt=False):
            return None if arguments.mode == "auto" else "no login: run `wandb login`"
        for path in arguments.summaries:
            what = f"{path}: "
            _log(path, folder)
    except Exception as error:  # a damaged summary, or whatever wandb raises
        return what + (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
    return None


def _log(path: Path, folder: Path) -> None:
    import wandb

    content = path.read_bytes()
    summary = json.loads(content)
    project, name = summary["identity"]["benchmark"], path.absolute().parent.name
    # A training run grows: its rows are logged again each time, and W&B ignores those it has.
    history = summary.get("history", [])
    identifying = json.dumps(summary["identity"]).encode() if history else content
    values = {}
    for key, metric in summary["metrics"].items():
        values[key] = metric["value"]
        values |= {f"interval/{key}/{end}": metric[end] for end in ("low", "high")}
    run = wandb.init(
        project=project,
        name=name,
        # Mirrored again it is the same run; and WANDB_RUN_ID would make all models one run.
        id=hashlib.sha256(f"{project}/{name}\n".encode() + identifying).hexdigest()[:16],
        config=summary["identity"] | {k: summary[k] for k in ("scored_with",) if k in summary},
        dir=folder,
        resume="allow",
        reinit="create_new",
        settings=wandb.Settings(**SETTINGS),
    )
    for row in history:
        run.log({k: v for k, v in row.items() if v is not None}, step=row["epoch"])
    if values:
        run.log({key: value for key, value in values.items() if value is not None})
    run.finish()
    print(run.url or "")


if __name__ == "__main__":
    sys.path.pop(0)  # this folder, whose names must not stand in for other modules
    sys.exit(main())
