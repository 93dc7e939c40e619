"""Run a script that ends when its parent does: python leash.py PARENT_PID SCRIPT [FLAG …].

A driver that is killed cannot end its cells. Left alone, they would go on and hold the locks of
their results against the driver's next start. SIGTERM lets them write what they have.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    """Become the script."""
    parent, *script = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(parent):  # it was gone before the leash was on
            sys.exit(130)
    os.execv(sys.executable, [sys.executable, *script])


if __name__ == "__main__":
    main()
