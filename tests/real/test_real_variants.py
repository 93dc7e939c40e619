"""Real photographs, laid out as ImageNet's variants, through real models; the published values.

The photographs stand in for the data sets' own images: what is compared, image by image, is which
answers are chosen, among which classes, and what counts as right. BVG_EVERY=1 looks at all of them.
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import eval_imagenet_ood
import eval_imagenet_real
from bvg.data.imagenet import imagenet_classes
from bvg.data.imagenet_ood import VARIANTS
from bvg.data.imagenet_real import packaged_real, read_real
from bvg.predictions.table import Predictions, read_predictions
from bvg.run.decisions import UNRESTRICTED
from oracles import straight_line
from oracles.variants import real_accuracy, real_labels_of, top_five_among

FACTORIES = ("mobilenet_v2", "mobilenet_v1_075", "mobilenet_v1_025")
EVERY = int(os.environ.get("BVG_EVERY", "16"))
WNIDS = imagenet_classes()
RANK = {wnid: rank for rank, wnid in enumerate(WNIDS)}


@pytest.fixture(scope="module")
def photos(fixtures) -> list[tuple[int, Path]]:
    """Return the class and the file of photographs, every EVERY-th of the 400."""
    files = sorted((fixtures / "imagenet" / "val").glob("*/*"))[::EVERY]
    return [(RANK[file.parent.name], file) for file in files]


@pytest.fixture(scope="module")
def logits(photos, networks):
    """Return a function: a model's logits for a photograph, by the straight line, made once."""
    made: dict[tuple[str, Path], np.ndarray] = {}

    def of(name: str, file: Path) -> np.ndarray:
        file = file.resolve()
        if (name, file) not in made:
            made[name, file] = straight_line.logits_of(networks[name], file, True)
        return made[name, file]

    return of


def link(photo: Path, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).symlink_to(photo)


@pytest.fixture(scope="module")
def variants(fixtures, photos, tmp_path_factory) -> Path:
    """Return results of three models on the photographs as V2, A, R and Sketch, in one call."""
    root = tmp_path_factory.mktemp("variants")
    for label, photo in photos:
        link(photo, root / "imagenet-v2" / str(label), "a.jpeg")
        link(photo, root / "imagenet-sketch" / "sketch" / WNIDS[label], "sketch_0.JPEG")
        for variant in VARIANTS[1:3]:
            if label in variant.subset:
                link(photo, root / variant.key / WNIDS[label], "0.jpg")
    (root / "imagenet-a" / "README.txt").write_text("ImageNet-A")
    words = ["--model", *specs(fixtures), "--partial", "--results", str(root / "results")]
    words += [word for v in VARIANTS for word in (v.entry.flag, str(root / v.key))]
    assert eval_imagenet_ood.main(words) == 0
    return root


def specs(fixtures: Path) -> list[str]:
    return [f"{fixtures}/models/mobilenet_tf.py:{name}" for name in FACTORIES]


def result(root: Path, benchmark: str, name: str) -> tuple[Predictions, dict]:
    folder = root / "results" / benchmark / name
    summary = json.loads((folder / "summary.json").read_text())
    return read_predictions(folder / "predictions.parquet"), summary["metrics"]


def assert_same_ranks(found: np.ndarray, expected: list[int], logits: np.ndarray) -> None:
    """Compare ranked answers, but for classes whose logits are equal to single precision."""
    assert found[0] == expected[0]
    np.testing.assert_allclose(logits[found], logits[expected], rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", FACTORIES)
@pytest.mark.parametrize("variant", [VARIANTS[0], VARIANTS[3]], ids=lambda v: v.key)
def test_v2_and_sketch_equal_the_straight_line(variant, name, variants, photos, logits):
    predictions, metrics = result(variants, variant.benchmark, name)
    file_of = {WNIDS[label]: (label, file) for label, file in photos}
    assert len(predictions) == len(photos)
    right = {1: 0, 5: 0}
    for row, image in enumerate(predictions.images):
        label, file = file_of[image.partition("/")[0]]
        own = logits(name, file)
        expected = straight_line.top_five(own)
        assert predictions.labels[row] == label
        assert_same_ranks(predictions.answers[row], expected, own)
        for k in right:
            right[k] += label in expected[:k]
    for k, count in right.items():
        value = metrics[f"top{k}_acc/{variant.key}"]["value"]
        assert value == pytest.approx(100 * count / len(photos))


@pytest.mark.parametrize("name", FACTORIES)
@pytest.mark.parametrize("variant", VARIANTS[1:3], ids=lambda v: v.key)
def test_a_and_r_equal_the_straight_line_among_their_classes(
    variant, name, variants, photos, logits
):
    predictions, metrics = result(variants, variant.benchmark, name)
    file_of = {WNIDS[label]: file for label, file in photos if label in variant.subset}
    allowed = set(variant.subset)
    assert len(predictions) == len(file_of)
    whole = np.stack([predictions.columns[column] for column in UNRESTRICTED], axis=1)
    hits = np.zeros((2, 2), int)
    for row, image in enumerate(predictions.images):
        wnid = image.partition("/")[0]
        own, label = logits(name, file_of[wnid]), RANK[wnid]
        among, among_all = top_five_among(own, allowed), straight_line.top_five(own)
        assert_same_ranks(predictions.answers[row], among, own)
        assert_same_ranks(whole[row], among_all, own)
        hits += [[label in answers[:k] for k in (1, 5)] for answers in (among, among_all)]
    keys = [f"top{k}_acc/{variant.key}{way}" for way in ("", "/1000-way") for k in (1, 5)]
    assert [metrics[key]["value"] for key in keys] == pytest.approx(
        list(100 * hits.ravel() / len(file_of))
    )
    assert hits[0, 0] >= hits[1, 0]  # fewer classes are never harder to tell apart


@pytest.fixture(scope="module")
def real(fixtures, photos, tmp_path_factory) -> Path:
    """Return results on photographs that have the names, and so the ReaL labels, of other images.

    Of the labels of each photograph's new name: one third contain its class among others, one third
    are any, one third are none or one of several.
    """
    root = tmp_path_factory.mktemp("real")
    labels = [*real_labels_of(fixtures / "published" / "real.json").values()]
    several = [k for k, own in enumerate(labels, start=1) if len(own) > 2]
    empty = [k for k, own in enumerate(labels, start=1) if not own]
    rng = np.random.default_rng(0)
    taken: set[int] = set()
    for position, (label, photo) in enumerate(photos):
        own = [k for k, names in enumerate(labels, start=1) if label in names and len(names) > 1]
        some = (own, range(1, 50_001), several if position % 2 else empty)[position % 3]
        number = int(rng.choice(sorted(set(some or several) - taken)))
        taken.add(number)
        link(photo, root / "val" / photo.parent.name, f"ILSVRC2012_val_{number:08d}.JPEG")
    words = ["--model", *specs(fixtures), "--imagenet", str(root), "--partial"]
    words += ["--real", str(fixtures / "published" / "real.json")]
    assert eval_imagenet_real.main([*words, "--results", str(root / "results")]) == 0
    return root


@pytest.mark.parametrize("name", FACTORIES)
def test_real_equals_the_straight_line(name, real, fixtures, photos, logits):
    predictions, metrics = result(real, "imagenet_real", name)
    labels = real_labels_of(fixtures / "published" / "real.json")
    best = {}
    for file in sorted((real / "val").glob("*/*")):
        best[file.name] = straight_line.top_five(logits(name, file))[0]
    assert len(best) == len(photos)
    measured = {
        image.rpartition("/")[2]: int(answers[0])
        for image, answers in zip(predictions.images, predictions.answers, strict=True)
    }
    assert measured == {file: answer for file, answer in best.items() if labels[file]}
    value, count = real_accuracy(best, labels)
    metric = metrics["top1_acc/imagenet-real"]
    assert (metric["value"], metric["n"]) == (pytest.approx(value), count)
    assert 0 < value < 100
    assert count < len(photos)


def test_the_published_labels_have_the_published_shape(fixtures):
    table = read_real(fixtures / "published" / "real.json")
    assert table.shape == (50_000, 9)
    assert (table[:, 0] >= 0).sum() == 46_837
    packaged = packaged_real()
    assert packaged is None or (read_real(packaged) == table).all()


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v.key)
def test_published_accuracies_are_whole_numbers_of_all_images(variant, fixtures):
    table = pd.read_csv(fixtures / "published" / "benchmark.csv")
    right = table[f"top1_acc/{variant.key}"].dropna().to_numpy() / 100 * variant.images
    assert len(right) >= 68
    assert np.abs(right - right.round()).max() < 0.01


def test_published_real_values_are_of_326_images_a_last_batch_of_512(fixtures):
    """Every published value is k / 326: the accuracy of the last batch, not of 46,837 images."""
    published = pd.read_csv(fixtures / "published" / "benchmark.csv")["top1_acc/imagenet-real"]
    fractions = published.dropna().to_numpy() / 100
    assert len(fractions) == 69

    def whole(count: int) -> bool:
        return bool(np.abs(fractions * count - (fractions * count).round()).max() < 1e-6)

    assert [count for count in range(1, 1000) if whole(count)] == [326, 652, 978]
    assert not whole(46_837)
    # Of the usual batch sizes, only 512 leaves a last batch that 326 scored images can be of: 336.
    sizes = [2**power for power in range(4, 13)]
    assert [size for size in sizes if 326 <= 50_000 % size < 400] == [512]
    assert 50_000 % 512 == 336
    # These are not the last 336 by the archive's numbers, of which 317 have a label: the published
    # loader reads folders, so the last classes' images.
    scored = read_real(fixtures / "published" / "real.json")[:, 0] >= 0
    assert scored[-336:].sum() == 317
