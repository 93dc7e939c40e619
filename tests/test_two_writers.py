"""Files that several processes write, such as a benchmark's figures while a study runs."""

import pytest

from bvg.files import write_text, written_atomically


@pytest.mark.parametrize("name", ["robustness.pdf", "table"])
def test_two_writers_of_one_file_do_not_meet(tmp_path, name):
    path = tmp_path / name
    with written_atomically(path) as first:
        first.write(b"the first")
        with written_atomically(path) as second:
            second.write(b"2nd")
        assert path.read_bytes() == b"2nd"
        first.write(b" one")
    assert path.read_bytes() == b"the first one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_that_fails_leaves_the_other_alone(tmp_path):
    path = tmp_path / "summary.json"
    with written_atomically(path) as first:
        with pytest.raises(KeyError), written_atomically(path):
            raise KeyError
        first.write(b"{}")
    assert path.read_text() == "{}"
    write_text(path, "{1}")
    assert list(tmp_path.iterdir()) == [path]
