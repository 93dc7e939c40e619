"""Every refusal is a sentence with a remedy."""

import errno
from urllib.error import HTTPError, URLError

import pytest

from bvg.errors import reason_of, storage_error


@pytest.mark.parametrize("code", sorted({errno.EROFS, errno.EACCES, errno.ENOTDIR, errno.EEXIST}))
def test_a_wrong_place_is_answered_with_the_option_that_chooses_another(code):
    error = OSError(code, "words of the system")
    sentence = str(storage_error(error, "there"))
    assert sentence.startswith("cannot write there: ")
    assert "words of the system" not in sentence
    assert sentence.endswith("choose another folder with --results")
    assert str(storage_error(error, "there", "--elsewhere")).endswith("with --elsewhere")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_not_answered_with_another_option(code):
    sentence = str(storage_error(OSError(code, ""), "there"))
    assert sentence.endswith("free some space and re-run the same command")


def test_an_unforeseen_refusal_has_the_systems_words_and_a_remedy():
    sentence = str(storage_error(OSError(errno.EIO, "Input/output error"), "there"))
    assert sentence == (
        "cannot write there: Input/output error; choose another folder with --results"
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("first line.\nsecond"), "first line"),
        (ValueError(), "ValueError"),
        (EOFError(" \n"), "EOFError"),
        (OSError(errno.ECONNREFUSED, "Connection refused"), "Connection refused"),
        (FileNotFoundError(2, "No such file", "a.txt"), "[Errno 2] No such file: 'a.txt'"),
        (URLError(OSError(-2, "Name or service not known")), "Name or service not known"),
        (URLError("unknown url type: x"), "unknown url type: x"),
        (HTTPError("u", 404, "Not Found", None, None), "the server answered 404 Not Found"),
    ],
)
def test_a_reason_is_the_first_line_without_numbers(error, reason):
    assert reason_of(error) == reason
