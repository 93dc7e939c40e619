"""Styles: the published draws, keyed draws, pictures that are refused, statistics on disk."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bvg.data.image_set import ImageSet
from bvg.data.preprocessing import as_rgb
from bvg.stylize import contents, styles
from bvg.stylize.batches import Halving, attempt, read_ahead
from bvg.stylize.contents import copies_of, images_below
from bvg.stylize.styles import (
    encoded,
    keyed_draws,
    load_styles,
    published_draws,
    save_styles,
    style_picture,
)
from conftest import draw, refusal


class Means:
    """Encodes a style as its mean colour."""

    def encode(self, pictures):
        return pictures.mean((1, 2), dtype=np.float32)


def test_the_published_draws():
    first = [75686, 79149, 64876, 10784, 49078, 48016, 36527, 42163]
    assert published_draws(8, 79_395).tolist() == first
    assert published_draws(1000, 79_395)[:8].tolist() == first


def test_a_draw_depends_on_the_seed_and_the_image_alone():
    names = [f"val/{k}.png" for k in range(3000)]
    drawn = keyed_draws(names, 0, 7)
    np.testing.assert_array_equal(keyed_draws(names[::-1], 0, 7), drawn[::-1])
    assert (keyed_draws(names, 1, 7) == drawn).mean() < 0.25
    counts = np.bincount(drawn, minlength=7)
    assert len(counts) == 7 and counts.min() > 370 and counts.max() < 490


def test_a_style_is_the_central_square(tmp_path):
    wide = np.zeros((60, 100, 3), dtype=np.uint8)
    wide[:, 20:80] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert (style_picture(tmp_path / "wide.png", 30) == 200).all()
    assert style_picture(tmp_path / "wide.png", 90).shape == (90, 90, 3)


def test_a_large_jpeg_is_not_decoded_in_full(tmp_path, monkeypatch):
    path = draw(tmp_path / "large.jpg", 0, (1600, 1200))
    sizes = []
    monkeypatch.setattr(styles, "as_rgb", lambda image: sizes.append(image.size) or as_rgb(image))
    small = style_picture(path, 64).astype(int)
    assert sizes == [(200, 150)]
    with Image.open(path) as image:
        whole = image.crop((200, 0, 1400, 1200)).resize((64, 64), Image.Resampling.LANCZOS)
    assert np.abs(small - np.asarray(whole)).mean() < 2


def test_a_style_as_published_went_through_a_jpeg_file(tmp_path):
    path = draw(tmp_path / "painting.png", 4, (300, 260))
    with Image.open(path) as image:
        square = image.crop((20, 0, 280, 260))
        square.thumbnail((224, 224), Image.Resampling.LANCZOS)
        square.save(tmp_path / "saved.jpg")  # Pillow's quality by default is 75
    with Image.open(tmp_path / "saved.jpg") as image:
        np.testing.assert_array_equal(style_picture(path, 224, as_published=True), image)
    small = draw(tmp_path / "small.png", 5, (300, 223))
    with pytest.raises(ValueError, match="300 x 223"):
        style_picture(small, 224, as_published=True)


def test_bad_styles_are_listed_and_the_others_are_saved(tmp_path):
    for k in range(20):
        draw(tmp_path / "styles" / f"{k:02d}.JPG", k)
    (tmp_path / "styles" / "03.JPG").write_bytes(b"no image")
    draw(tmp_path / "styles" / "05.JPG", 5, (300, 1))
    whole = (tmp_path / "styles" / "07.JPG").read_bytes()
    (tmp_path / "styles" / "07.JPG").write_bytes(whole[: len(whole) // 2])
    pictures = images_below(tmp_path / "styles", "--styles")
    styles = encoded(pictures, Means(), 16, False, {"engine": "means"})
    assert set(styles.refused) == {"03.JPG", "05.JPG", "07.JPG"} and len(styles.names) == 17
    for name, vector in zip(styles.names, styles.vectors, strict=True):
        picture = style_picture(tmp_path / "styles" / name, 16)
        np.testing.assert_allclose(vector, picture.mean((0, 1)), rtol=1e-5)
    save_styles(tmp_path / "styles.npz", styles)
    again = load_styles(tmp_path / "styles.npz")
    assert again.names == styles.names and again.refused == styles.refused
    assert again.record == {"engine": "means"}
    np.testing.assert_array_equal(again.vectors, styles.vectors)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = draw(tmp_path / "huge.png", 0, (100, 100))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)
    assert "megapixels" in attempt(lambda: style_picture(path, 32))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 6000)
    assert attempt(lambda: style_picture(path, 32)).shape == (32, 32, 3)


def test_without_a_style_or_a_file_of_styles(tmp_path):
    path = tmp_path / "styles" / "one.png"
    path.parent.mkdir()
    path.write_bytes(b"no image")
    pictures = images_below(path.parent, "--styles")
    assert "--styles" in refusal(encoded, pictures, Means(), 16, False, {})
    assert "--styles" in refusal(load_styles, path)
    assert "--styles" in refusal(load_styles, tmp_path / "none.npz")


def test_images_in_any_folder_and_case(tmp_path):
    names = ("train/b/1.png", "train/a b/2.JPEG", "train/a/10.jpg", "train/a/9.Png", "val/z/3.png")
    for k, name in enumerate((*names, "other.png", ".hidden/4.png", "train/a/.5.png")):
        draw(tmp_path / name, k)
    (tmp_path / "train" / "readme.txt").write_text("")
    images = images_below(tmp_path, "--images")
    assert images.files == [
        *("val/z/3.png", "train/a/10.jpg", "train/a/9.Png", "train/a b/2.JPEG", "train/b/1.png"),
        "other.png",
    ]
    assert images.notes["unused"] == {".txt": 1}
    (tmp_path / "empty").mkdir()
    assert "--images" in refusal(images_below, tmp_path / "empty", "--images")


def test_the_published_styles_were_drawn_for_all_of_val_and_then_train(monkeypatch):
    for name, value in (("VAL_IMAGES", 4), ("VAL_CLASSES", 2), ("TRAIN_IMAGES", 6)):
        monkeypatch.setattr(contents, name, value)

    def images(*folders: str) -> ImageSet:
        names = [f"{folder}/{k}.JPEG" for folder in folders for k in range(2)]
        labels = np.arange(len(names)) // 2
        return ImageSet(Path(), names, names, labels, tuple(dict.fromkeys(folders)))

    val, train = ["val/a", "val/b"], ["train/a", "train/b", "train/b"]
    as_published = {
        ("a", "b"): True,  # --images …/val
        (*val,): True,
        (*val, *train): True,
        (*train, *val): False,
        (*train,): False,
        ("val", "val"): False,  # in no class folders, whose order is another
        (*val, *train[1:]): False,
    }
    for folders, expected in as_published.items():
        assert contents.begins_as_published(images(*folders)) == expected, folders


def test_copies_never_share_a_name():
    assert copies_of(["a/1.JPEG", "b/1.png"], ".png") == ["a/1.png", "b/1.png"]
    same = ["a/1.JPEG", "a/1.webp", "b/2.png"]
    assert copies_of(same, ".png") == ["a/1.JPEG.png", "a/1.webp.png", "b/2.png.png"]


def test_batches_are_in_order():
    def read(k: int) -> np.ndarray:
        if k == 5:
            raise ValueError("it is five")
        return np.array(k)

    found = [*read_ahead(read, [3, 1, 4, 6, 5, 9, 2], 3)]
    assert [[*pictures] for pictures, _ in found] == [[3, 1, 4], [6, 9], [2]]
    assert all(int(p) == k for pictures, _ in found for k, p in pictures.items())
    assert [problems for _, problems in found] == [{}, {5: "it is five"}, {}]


def test_a_batch_is_halved_until_it_fits():
    calls = []

    def doubled(x, y):
        calls.append(len(x))
        if len(x) > 3:
            raise MemoryError
        return 2 * x + y

    halving = Halving()
    x = np.arange(10)
    np.testing.assert_array_equal(halving(doubled, x, x), 3 * x)
    assert calls == [10, 5, 3, 3, 3, 1] and halving.most == 3

    def never(x):
        raise MemoryError

    assert "--size" in refusal(Halving(), never, x)
