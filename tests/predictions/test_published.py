"""Tables of other people's predictions: what is read and what is refused."""

import numpy as np
import pytest

from bvg.predictions.published import read_published
from bvg.scores.accuracy import accuracy
from conftest import refusal
from imagenet_x_helpers import val_file

LABELS = {1: 5, 2: 999, 3: 0}
HEADER = "file_name,predicted_class,predicted_probability\n"


@pytest.fixture
def table(tmp_path):
    def write(*rows: str, header: str = HEADER):
        path = tmp_path / "net.csv"
        path.write_text(header + "".join(f"{row}\n" for row in rows))
        return path

    return write


def row(number: int, answer: object = 5, probability: object = 0.5) -> str:
    return f"{val_file(number)},{answer},{probability}"


def test_each_image_has_its_label_by_the_number_in_its_name(table):
    predictions = read_published(table(row(3, 7, 0.25), row(1, 5, 1)), LABELS, partial=True)
    assert predictions.images.tolist() == [val_file(3), val_file(1)]
    assert predictions.labels.tolist() == [0, 5]
    assert predictions.answers.tolist() == [[7], [5]]
    assert predictions.confidence.tolist() == [0.25, 1]
    assert accuracy(predictions, 1).value == 50


def test_further_columns_and_another_order_are_fine(table):
    header = "model,predicted_probability,file_name,predicted_class\n"
    path = table(f"net,0.5,{val_file(2)},999", header=header)
    assert read_published(path, LABELS, partial=True).answers.tolist() == [[999]]


def test_a_part_of_the_images_is_refused_unless_asked_for(table):
    sentence = refusal(read_published, table(row(1)), LABELS)
    assert "--partial" in sentence and "50,000" in sentence
    assert "--partial" in refusal(read_published, table(), LABELS, True)
    whole = {k: k % 1_000 for k in range(1, 50_001)}
    path = table(*(row(k, k % 1_000) for k in whole))
    assert len(read_published(path, whole)) == 50_000


@pytest.mark.parametrize(
    "rows",
    [
        [row(1), row(1)],
        [row(4)],
        ["cat.png,5,0.5"],
        [row(1, 1_000)],
        [row(1, -1)],
        [row(1, "")],
        [row(1, "cat")],
        [row(1, 5.5)],
        [row(1, 5, 1.01)],
        [row(1, 5, "")],
        [row(1, 5, "nan")],
    ],
)
def test_rows_of_something_else(table, rows):
    sentence = refusal(read_published, table(*rows), LABELS, True)
    assert "net.csv" in sentence and HEADER.strip() in sentence


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff\xfe\x00", b"a,b\n1,2\n"])
def test_files_of_something_else(tmp_path, content):
    path = tmp_path / "net.csv"
    path.write_bytes(content)
    assert HEADER.strip() in refusal(read_published, path, LABELS)


def test_a_file_that_is_not_there(tmp_path):
    for path in (tmp_path / "no.csv", tmp_path):
        assert "--predictions" in refusal(read_published, path, LABELS)


def test_probabilities_keep_their_digits(table):
    path = table(row(1, 5, 0.6347642541))
    assert read_published(path, LABELS, partial=True).confidence[0] == np.float64(0.6347642541)


def test_classes_that_are_counted_from_one_are_refused_but_not_confusions(table):
    """Under an attack, none may be right, and the next class is as frequent as the one before."""
    labels = {k: 10 * k for k in range(1, 61)}
    shifted = table(*(row(k, label + 1) for k, label in labels.items()))
    assert "from 1" in refusal(read_published, shifted, labels, True)
    attacked = table(*(row(k, label + (1, -1, 5)[k % 3]) for k, label in labels.items()))
    assert accuracy(read_published(attacked, labels, True), 1).value == 0
