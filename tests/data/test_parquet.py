"""Images and columns in Parquet files."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bvg.data.image_set import ImageSet
from bvg.data.loading import decoded_batches
from bvg.data.parquet import FILE, PATH, read_image, read_rows
from bvg.data.preprocessing import Preprocessing
from conftest import refusal
from miniature.parquet import as_parquet
from parquet_helpers import flat

NAME = "visual-anagrams"


def write(path, numbers):
    rows = [{"label": "ant" if k % 2 else "bee", "number": k} for k in numbers]
    images = [(f"{k}.png", flat(k)) for k in numbers]
    path.write_bytes(as_parquet(images, rows, {"label": ("bee", "ant")}))
    return path


def test_rows_of_several_files_are_in_order_and_classes_have_names(tmp_path):
    files = [write(tmp_path / "a.parquet", range(3)), write(tmp_path / "b.parquet", range(3, 5))]
    rows = read_rows(files, ("label", "number", PATH), NAME)
    assert rows["number"].tolist() == [0, 1, 2, 3, 4]
    assert rows["label"].tolist() == ["bee", "ant", "bee", "ant", "bee"]
    assert rows[PATH].tolist() == [f"{k}.png" for k in range(5)]
    assert rows[FILE].tolist() == [f"a.parquet/{k}" for k in range(3)] + [
        f"b.parquet/{k}" for k in range(2)
    ]


@pytest.mark.parametrize("workers", [0, 2])
def test_images_are_decoded_from_every_row_group(tmp_path, monkeypatch, workers):
    monkeypatch.setattr("miniature.parquet.ROW_GROUP", 4)
    file = write(tmp_path / "a.parquet", range(11))
    assert pq.read_metadata(file).num_row_groups == 3
    order = [*range(10, 0, -3), *range(11)]
    images = ImageSet(
        tmp_path,
        [f"a.parquet/{k}" for k in order],
        [str(number) for number in range(len(order))],
        np.zeros(len(order), np.int64),
        ("one",),
        reader=read_image,
    )
    view = Preprocessing(crop=16, squash="pillow")
    batches = [*decoded_batches(images, (view,), 0, 4, workers, pin_memory=False)]
    assert not any(batch.failures for batch in batches)
    pixels = np.concatenate([batch.views[0].numpy() for batch in batches])
    assert all(np.array_equal(pixels[row], flat(k)) for row, k in enumerate(order))
    assert not images.has_sequences


def test_a_changed_file_is_read_again(tmp_path):
    file = write(tmp_path / "a.parquet", range(2))
    assert np.array_equal(np.asarray(read_image(file / "1")[0]), flat(1))
    images = ImageSet(tmp_path, ["a.parquet/0"], ["a"], np.zeros(1, np.int64), ("one",))
    before = images.fingerprint
    write(file, range(7, 10))
    os.utime(file, ns=(1, 1))
    assert np.array_equal(np.asarray(read_image(file / "1")[0]), flat(8))
    again = ImageSet(tmp_path, ["a.parquet/0"], ["a"], np.zeros(1, np.int64), ("one",))
    assert again.fingerprint != before


def test_an_image_that_is_none_is_a_failure_of_its_own(tmp_path):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    content = [{"bytes": None, "path": "a"}, {"bytes": b"no image", "path": "b"}]
    pq.write_table(pa.table({"image": pa.array(content, kind)}), tmp_path / "a.parquet")
    files = ["a.parquet/0", "a.parquet/1"]
    images = ImageSet(tmp_path, files, files, np.zeros(2, np.int64), ("x",), reader=read_image)
    (batch,) = decoded_batches(images, (Preprocessing(),), 0, 4, 0, pin_memory=False)
    assert [index for index, _ in batch.failures] == [0, 1]


def test_other_files_are_refused(tmp_path):
    good = write(tmp_path / "a.parquet", range(2))
    assert "foil" in refusal(read_rows, [good], ("label", "foil"), NAME)
    pq.write_table(pa.table({"label": ["ant"]}), tmp_path / "plain.parquet")
    assert "image.bytes" in refusal(read_rows, [tmp_path / "plain.parquet"], ("label",), NAME)
    for content in (b"", b"<html>not found</html>", good.read_bytes()[:-20]):
        (tmp_path / "bad.parquet").write_bytes(content)
        sentence = refusal(read_rows, [tmp_path / "bad.parquet"], ("label",), NAME)
        assert f"python code/download.py {NAME}" in sentence
    assert "download.py" in refusal(read_rows, [tmp_path / "none.parquet"], ("label",), NAME)


@pytest.mark.parametrize("number", [2, -1, None])
def test_a_class_without_a_name_is_refused(tmp_path, number):
    table = pq.read_table(write(tmp_path / "a.parquet", range(2)))
    place = table.column_names.index("label")
    table = table.set_column(place, "label", pa.array([0, number], pa.int64()))
    pq.write_table(table, tmp_path / "a.parquet")
    assert "label" in refusal(read_rows, [tmp_path / "a.parquet"], ("label",), NAME)
