"""Freed memory is kept for the next batch."""

import subprocess
import sys

import pytest

from bvg.run.settings import keep_freed_memory
from conftest import REPOSITORY

CODE = str(REPOSITORY / "code")
FAULTS = f"""
import resource, sys
sys.path.insert(0, {CODE!r})
from bvg.run.settings import release_freed_memory, keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for batch in range(20):  # of more than the 32 MiB up to which glibc adapts by itself
    bytearray(40_000_000)
    if sys.argv[2] == "release":
        release_freed_memory()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start)
"""


def faults(*words: str) -> int:
    words = (sys.executable, "-c", FAULTS, *words)
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not keep_freed_memory(), reason="only glibc can be told to keep memory")
def test_a_batch_finds_the_memory_of_the_one_before():
    kept = faults("keep", "nothing")
    assert kept < faults("do not", "nothing") / 5
    assert kept < faults("keep", "release") / 5
