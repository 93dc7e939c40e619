"""What keeps the project usable where Unix's own modules do not exist."""

import subprocess
import sys
from pathlib import Path

CODE = Path(__file__).parents[1] / "code"
IMPORT_ALL = """
import importlib, sys, warnings
warnings.simplefilter("ignore")  # filelock says that it has only soft locks now
sys.modules["fcntl"] = None
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    importlib.import_module(name)
    print(name)
"""


def modules() -> list[str]:
    """Return every script and module, by the names under which they are imported."""
    paths = [path.relative_to(CODE).with_suffix("") for path in sorted(CODE.rglob("*.py"))]
    names = [".".join(path.parts).removesuffix(".__init__") for path in paths]
    return [name for name in names if not name.endswith("__main__")]


def test_every_script_and_module_imports_without_fcntl():
    names = modules()
    assert {"eval_imagenet", "download", "make_imagenet_c", "run_study", "bvg.files"} < set(names)
    words = [sys.executable, "-c", IMPORT_ALL, str(CODE), *names]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == names
