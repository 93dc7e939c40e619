"""Training images: each once an epoch, keyed by seed, epoch and name."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from bvg.data.image_set import ImageSet
from bvg.data.imagenet_train import imagenet_train
from bvg.training.data import MOST_BAD, Share, TrainingImages, batches, order_of
from conftest import CLASSES, draw, refusal


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for label, name in enumerate(CLASSES):
        for number in range(5):
            draw(root / "train" / name / f"{number}.png", 10 * label + number)
    return imagenet_train(root, CLASSES)


def made(images, share, epoch=0, start=0, workers=0, seed=0, name="imagenet"):
    data = TrainingImages({name: images}, seed, 16, 0.3)
    chunks = [*batches(data, share, epoch, start, workers, pin_memory=False)]
    return torch.cat([pixels for pixels, _ in chunks]), torch.cat([label for _, label in chunks])


ALONE = Share(0, 1, 8, 8)


def test_labels_go_with_their_images(images):
    data = TrainingImages({"imagenet": images}, 0, 16, 1.0)
    order = order_of(len(images), 0, 3)
    _, labels = made(images, ALONE, epoch=3)
    assert sorted(order) == list(range(20)) and labels.tolist() == (order[:16] // 5).tolist()
    # A crop of the whole image, resized, is close to it or to its mirror image.
    whole = np.asarray(Image.open(images.path(7)).resize((16, 16)), dtype=float)
    pixels = data[0, 7].pixels.numpy().astype(float)
    assert min(abs(whole - pixels).mean(), abs(whole[:, ::-1] - pixels).mean()) < 15


def test_neither_workers_nor_processes_nor_restarts_change_an_image(images):
    pixels, labels = made(images, ALONE)
    for workers in (0, 2):
        again = made(images, ALONE, workers=workers)
        assert torch.equal(again[0], pixels) and torch.equal(again[1], labels)
    shares = [made(images, Share(rank, 2, 8, 2)) for rank in (0, 1)]
    shared = [torch.cat([own[0][4 * k : 4 * k + 4] for own in shares]) for k in (0, 1)]
    assert torch.equal(torch.cat(shared), pixels)
    assert torch.equal(made(images, ALONE, start=1)[0], pixels[8:])


def test_epochs_seeds_and_sets_have_their_own_augmentation(images):
    def image(epoch=0, seed=0, name="imagenet"):
        return TrainingImages({name: images}, seed, 16, 0.3)[epoch, 0].pixels

    first = image()
    assert torch.equal(image(), first)
    for other in (image(epoch=1), image(seed=1), image(name="stylized-imagenet")):
        assert not torch.equal(other, first)
    assert not np.array_equal(order_of(20, 0, 0), order_of(20, 0, 1))


def test_the_generator_of_the_program_is_left_alone(images):
    data = TrainingImages({"imagenet": images}, 0, 16, 0.3)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    data[0, 0]
    assert torch.equal(torch.get_rng_state(), before)


def test_two_sets_follow_each_other(images):
    both = TrainingImages({"stylized-imagenet": images, "imagenet": images}, 0, 16, 0.3)
    assert len(both) == 40 and both.labels.tolist() == [*images.labels, *images.labels]
    alone = TrainingImages({"imagenet": images}, 0, 16, 0.3)
    assert torch.equal(both[2, 23].pixels, alone[2, 3].pixels)


def test_an_image_that_cannot_be_decoded_is_named(images, tmp_path):
    damaged = tmp_path / "train" / "ant" / "0.png"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"no image")
    broken = replace(images.select(np.arange(1)), root=tmp_path / "train", files=("ant/0.png",))
    assert str(damaged) in refusal(made, broken, Share(0, 1, 1, 1))


def test_a_bad_image_may_be_skipped(images, tmp_path, capsys):
    shutil.copytree(images.root, tmp_path / "train")
    bad = tmp_path / "train" / images.files[9]
    bad.write_bytes(bad.read_bytes()[:300])
    data = TrainingImages({"imagenet": replace(images, root=tmp_path / "train")}, 0, 16, 0.3, True)
    intact = TrainingImages({"imagenet": images}, 0, 16, 0.3)
    for index, shown in ((8, 8), (9, 10), (10, 10)):
        assert torch.equal(data[2, index].pixels, intact[2, shown].pixels)
        assert data[2, index].label == images.labels[shown]
    for workers in (0, 1, 0):
        (chunk,) = batches(data, Share(0, 1, 20, 20), 2, 0, workers, pin_memory=False)
        assert len(chunk[0]) == 20 and np.bincount(chunk[1]).tolist() == [5, 4, 6, 5]
    assert capsys.readouterr().err.count(str(bad)) == 1
    for file in images.files:
        (tmp_path / "train" / file).write_bytes(b"")
    share = Share(0, 1, 1, 1)
    sentence = refusal(next, batches(data, share, 0, 0, 0, pin_memory=False))
    assert str(tmp_path) in sentence and "--skip_bad_images" not in sentence
    assert len(data[0, 0].failures) == MOST_BAD  # not all 1,281,167 of a disk that is gone


def test_names_need_not_be_utf_8(images, tmp_path):
    file = os.fsdecode(b"ant/caf\xe9.png")
    draw(tmp_path / file, 3)
    one = ImageSet(tmp_path, (file,), (file,), np.zeros(1, np.int64), CLASSES)
    assert TrainingImages({"imagenet": one}, 0, 16, 0.3)[0, 0].pixels.shape == (16, 16, 3)


@pytest.mark.parametrize("mode", ["L", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_images_of_any_kind_are_rgb(tmp_path, mode):
    file = "a.tif" if mode == "CMYK" else "a.png"
    if mode == "I;16":
        image = Image.fromarray(np.full((20, 20), 51 * 257, np.uint16))
    else:
        grey = Image.fromarray(np.full((20, 20), 51, np.uint8))
        image = grey.convert("RGB").convert(mode) if mode in ("P", "CMYK") else grey.convert(mode)
    image.save(tmp_path / file)
    one = ImageSet(tmp_path, (file,), (file,), np.zeros(1, np.int64), CLASSES)
    assert (TrainingImages({"imagenet": one}, 0, 16, 0.3)[0, 0].pixels == 51).all()


def test_other_layouts_are_refused(images, tmp_path):
    root = images.root.parent
    assert "--imagenet" in refusal(imagenet_train, root / "train", CLASSES)
    assert str(root) in refusal(imagenet_train, root / "train", CLASSES)
    assert "zebra" in refusal(imagenet_train, root, ("zebra",))
    assert "bee" in refusal(imagenet_train, root, ("ant", "cat", "dog"))
    assert "--partial" in refusal(imagenet_train, root, (*CLASSES, "emu"))
    assert imagenet_train(root, (*CLASSES, "emu"), partial=True).notes["partial"]["classes"] == 4
