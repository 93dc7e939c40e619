"""The data sets of the miniature world are read by the readers of the real ones."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bvg.data.critical_band_masking import CONDITIONS as OCTAVES
from bvg.data.critical_band_masking import SPLITS, critical_band_masking
from bvg.data.css import visual_anagrams
from bvg.data.frequency_cue_conflict import frequency_cue_conflict
from bvg.data.image_set import RESTRICTED, ImageSet
from bvg.data.imagenet import imagenet_val, val_number
from bvg.data.imagenet9 import VARIANTS as BACKGROUNDS
from bvg.data.imagenet9 import imagenet9
from bvg.data.imagenet_c import corruption_folders
from bvg.data.imagenet_ood import VARIANTS, variant_images
from bvg.data.imagenet_p import PERTURBATIONS, imagenet_p
from bvg.data.imagenet_real import read_real, with_real_labels
from bvg.data.imagenet_x import FACTORS, read_annotations, read_val_labels
from bvg.data.laion_c import laion_c
from bvg.data.model_vs_human import DATA_SETS, model_vs_human
from bvg.data.refined_bias import refined_bias
from eval_imagenet_c import IMAGENET_C
from eval_imagenet_cbar import IMAGENET_CBAR
from miniature import anagrams, backgrounds, sets, world
from miniature.draw import save
from miniature.sets import SETS
from miniature.world import CATEGORIES, Picture

SIXTEEN = range(len(CATEGORIES))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a world whose sets are cut to one or two keys of each category."""
    out = tmp_path_factory.mktemp("world")
    for name, data in SETS.items():
        for picture in _first(name, list(data.pictures(2))):
            save(name, 0, out / name, picture)
    return out


def _first(name: str, pictures: list[Picture]) -> list[Picture]:
    if name == "model-vs-human/cue-conflict":
        return [p for p in pictures if p.number == 1 and (p.shape - p.texture) % 16 < 2]
    many = ("imagenet-c", "imagenet-c-bar", "imagenet-p", "imagenet9", "laion-c")
    if name in many:  # files of each key
        return [p for p in pictures if p.number == 1 and p.shape < 2]
    if name == "critical-band-masking":  # a picture or two in each noise
        return [p for p in pictures if p.number <= 2 or p.shape in (3, 4)]
    several = name.startswith("model-vs-human/") or name == "imagenet"
    return [p for p in pictures if p.number <= 2 or (several and p.shape == 3)]


def _ends(images: ImageSet) -> set[str]:
    return {Path(file).suffix for file in images.files}


def test_names_of_sets_are_those_of_the_downloads():
    from bvg.data.downloads import data_sets, read_catalogue

    assert set(SETS) <= {*read_catalogue(), *data_sets()}
    assert {name for name in SETS if name.startswith("model-vs-human/")} == {
        f"model-vs-human/{name}" for name in DATA_SETS
    }


def test_real_labels_fit_the_validation_images(folder):
    images = imagenet_val(folder / "imagenet", CATEGORIES)
    assert len(images) == 32
    table = read_real(folder / "imagenet-real" / "real.json")
    assert len(table) == 32
    scored = with_real_labels(images, table)
    both = np.stack([scored.columns["real_1"], scored.columns["real_2"]])
    assert (both[0] == scored.labels).all()
    assert set(both[1]) <= {-1, *map(sets.lookalike, SIXTEEN)}


def test_some_real_labels_are_two_and_some_are_none():
    ((_, text),) = SETS["imagenet-real"].draw(0, Picture(0, 0, 20))
    lengths = [len(labels) for labels in json.loads(text)]
    assert len(lengths) == 320
    assert 8 <= lengths.count(0) <= 40
    assert 50 <= lengths.count(2) <= 110
    assert lengths.count(0) + lengths.count(1) + lengths.count(2) == 320


def test_annotations_fit_the_validation_images(folder):
    images = imagenet_val(folder / "imagenet", CATEGORIES)
    annotations = read_annotations(folder / "imagenet-x")
    labels = read_val_labels(folder / "imagenet-x")
    own = {
        val_number(Path(name).stem): k for name, k in zip(images.names, images.labels, strict=True)
    }
    assert labels == own and len(own) == 32
    classes = dict(zip(annotations.numbers, annotations.classes, strict=True))
    assert classes.items() <= own.items()


def test_factors_are_what_sets_a_picture_apart(tmp_path):
    for name, text in SETS["imagenet-x"].draw(0, Picture(0, 0, 20)):
        (tmp_path / name).write_text(text + "\n")
    annotations = read_annotations(tmp_path)
    assert len(annotations.numbers) == 320 - 16 * 3
    named = [FACTORS[k] if k >= 0 else "" for k in annotations.factors]
    assert {*named} == {"smaller", "larger", "pose", ""}
    keys = {val_number(Path(sets.val_name(key)).stem): key for key in world.matched(20)}
    for number, factor in zip(annotations.numbers, named, strict=True):
        size, turn = world.size_and_turn(0, "val", keys[number], sets.VAL_BORDER)
        assert (size < 70) == (factor == "smaller")
        assert (size > 88) == (factor == "larger")
        assert abs(turn) > 0.8 * world.TURN or factor != "pose"


def test_the_size_is_that_of_the_drawn_shape():
    """A disc has one tone's texture and its own colours: the ground is what is left."""
    ratios = []
    for number in range(1, 9):
        key = Picture(CATEGORIES.index("disc"), CATEGORIES.index("disc"), number)
        size, _ = world.size_and_turn(0, "val", key)
        ground = world.colours(world.generator(0, "val", key))[0]
        apart = np.abs(world.render(0, "val", key) / 255 - ground).max(axis=2) > 0.2
        ratios.append(apart.sum() / size**2)
    assert np.std(ratios) < 0.05 * np.mean(ratios)


def test_the_likeliest_mistake_is_another_category():
    assert all(sets.lookalike(k) != k for k in SIXTEEN)
    assert CATEGORIES[sets.lookalike(CATEGORIES.index("ring"))] == "disc"


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.key)
def test_variants_are_read_with_their_own_classes(folder, variant):
    images = variant_images(folder / variant.key, variant, CATEGORIES)
    few = {"imagenet-a": sets.HARD, "imagenet-r": sets.RENDERED}.get(variant.key)
    shown = {CATEGORIES[label] for label in images.labels}
    assert shown == set(few or CATEGORIES)
    assert images.notes.get(RESTRICTED) == (sorted(few) if few else None)
    assert "partial" not in images.notes
    assert _ends(images) <= {".jpg", ".jpeg"}


def test_v2_is_another_draw_of_the_validation_pictures():
    ((_, again),) = SETS["imagenet-v2"].draw(0, Picture(4, 4, 1))
    ((_, val),) = SETS["imagenet"].draw(0, Picture(4, 4, 1))
    assert again.shape == val.shape == (256, 256, 3)
    assert np.mean(again != val) > 0.5


@pytest.mark.parametrize(
    ("name", "published", "corruptions"),
    [("imagenet-c", IMAGENET_C, 19), ("imagenet-c-bar", IMAGENET_CBAR, 10)],
)
def test_corruptions_and_severities_are_the_published_ones(folder, name, published, corruptions):
    severities = (1, 2, 3, 4, 5)
    images = corruption_folders(
        folder / name,
        published,
        CATEGORIES,
        published.corruptions,
        severities,
        partial=True,  # here of two categories only
    )
    assert len(images) == corruptions * 5 * 2


def test_the_corruptions_of_c_grow_with_severity(folder):
    picture = next(iter(SETS["imagenet-c"].pictures(2)))
    clean = world.render(0, "imagenet-c", picture).astype(np.float32)
    drawn = dict(SETS["imagenet-c"].draw(0, picture))
    assert len(drawn) == 19 * 5
    name = f"{CATEGORIES[0]}/{CATEGORIES[0]}_1.JPEG"
    for kind in ("gaussian_noise", "defocus_blur", "contrast", "brightness"):
        one, five = (np.abs(drawn[f"{kind}/{k}/{name}"] - clean).mean() for k in (1, 5))
        assert one < five


def test_laion_c_has_six_corruptions_at_five_levels(folder):
    images = laion_c(folder / "laion-c", CATEGORIES, partial=True)  # here of two categories
    assert len(images) == 6 * 5 * 2
    assert images.names[:2] == images.names[-2:] == ("arrow/arrow_1", "bolt/bolt_1")
    assert len(list(SETS["laion-c"].pictures(20))) == 16


def test_p_has_ten_perturbations_of_one_sequence_per_category(folder):
    assert len(list(SETS["imagenet-p"].pictures(20))) == 16
    images = imagenet_p(folder / "imagenet-p", CATEGORIES, partial=True)  # here two of them
    assert len(images) == 10 * 2
    assert set(images.conditions) == set(PERTURBATIONS)
    frames = images.reader(images.path(0))
    assert [frame.size for frame in frames] == [(224, 224)] * 8


def test_anagrams_are_a_complete_set_of_nine_categories(folder):
    images = visual_anagrams(folder / "visual-anagrams", 72, CATEGORIES)
    assert images.notes == {} and images.classes == anagrams.SHOWN
    assert np.bincount(images.labels).tolist() == [16] * 9


def test_every_two_categories_are_in_frequency_conflict(folder):
    images = frequency_cue_conflict(folder / "frequency-cue-conflict", CATEGORIES)
    pairs = {*zip(images.labels.tolist(), images.columns["high"].tolist(), strict=True)}
    assert len(images) == len(pairs) == 16 * 15
    assert images.reader(images.path(239))[0].size == (224, 224)


def test_objects_are_on_their_own_and_on_other_backgrounds(folder):
    images = imagenet9(folder / "imagenet9", CATEGORIES, partial=True)  # here two objects
    assert len(images) == 8 * 2 and tuple(dict.fromkeys(images.conditions)) == BACKGROUNDS
    assert set(images.names) == {f"{name}/{name}_1" for name in CATEGORIES[:2]}
    picture = Picture(5, 5, 2)
    drawn = {variant: image for variant, _, image in backgrounds.variants(0, picture)}
    covered = backgrounds.foreground(0, picture)[1][..., 0]
    inside, outside = covered == 1, covered == 0
    for variant in ("mixed_same", "mixed_rand", "mixed_next", "only_fg"):
        assert np.array_equal(drawn[variant][inside], drawn["original"][inside])
        assert np.mean(drawn[variant][outside] != drawn["original"][outside]) > 0.9
    for variant in ("only_bg_t", "no_fg"):
        assert np.array_equal(drawn[variant][outside], drawn["original"][outside])
    assert not drawn["only_fg"][outside].any()
    assert not drawn["no_fg"][inside].any() and not drawn["only_bg_b"][inside].any()


def test_mixed_backgrounds_are_of_the_same_the_next_and_any_category():
    pictures = list(SETS["imagenet9"].pictures(20))
    others = [backgrounds.others(0, picture) for picture in pictures]
    for picture, of in zip(pictures, others, strict=True):
        assert of["mixed_same"].shape == picture.shape and of["mixed_same"] in pictures
        assert of["mixed_same"].number != picture.number
        assert of["mixed_next"].shape == (picture.shape + 1) % 16
    assert len({of["mixed_rand"].shape for of in others}) > 12


def test_critical_band_masking_has_every_octave_and_strength(folder):
    images = critical_band_masking(folder / "critical-band-masking", CATEGORIES)
    assert set(images.conditions) == {*OCTAVES}
    assert {name.partition("/")[0] for name in images.names} == {*SPLITS}
    assert {int(label) for label in images.labels} == {*SIXTEEN}
    spread = {}
    for index, condition in enumerate(images.conditions):
        pixels = np.asarray(Image.open(images.path(index)))
        assert pixels.shape == (224, 224, 3) and (pixels == pixels[..., :1]).all()
        spread.setdefault(condition, []).append(pixels.std() / 255)
    assert max(spread["criticalband/f=0/sd=0"]) < 0.08 < min(spread["criticalband/f=3/sd=0.16"])


def test_refined_bias_has_each_category_as_shape_and_as_texture(folder):
    images = refined_bias(folder / "refined-bias", CATEGORIES)
    assert len(images) == 2 * 2 * 16
    assert images.conditions == ("shape",) * 32 + ("texture",) * 32
    assert images.labels.tolist() == [k for k in SIXTEEN for _ in range(2)] * 2


def test_model_vs_human_has_every_condition_of_every_set(folder):
    images = model_vs_human(
        folder / "model-vs-human",
        CATEGORIES,
        DATA_SETS,
        partial=True,  # here a few pictures of each
    )
    wanted = {f"{name}/{c}" for name, data in DATA_SETS.items() for c in data.conditions}
    assert set(images.conditions) == wanted
    for index in range(0, len(images), 37):
        with Image.open(images.path(index)) as image:
            assert image.size == (224, 224)


def test_stylized_pictures_never_have_their_own_texture():
    pictures = list(SETS["model-vs-human/stylized"].pictures(20))
    assert all(p.shape != p.texture for p in pictures)
    assert {p.shape for p in pictures} == set(SIXTEEN)


@pytest.mark.parametrize("name", SETS)
def test_a_set_says_how_many_files_it_has_and_draws_them_again_the_same(name):
    keys = list(SETS[name].pictures(2))
    assert SETS[name].count(2) == len(keys) * SETS[name].files
    first, second = (dict(SETS[name].draw(0, keys[-1])) for _ in range(2))
    assert len(first) == SETS[name].files
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[file], second[file]) for file in first)


def test_another_seed_draws_other_pictures_of_every_set():
    for name, data in SETS.items():
        key = list(data.pictures(20))[-1]
        drawn = [next(iter(data.draw(seed, key)))[1] for seed in (0, 1)]
        assert not np.array_equal(*drawn), name


def test_no_two_files_of_a_set_have_one_name():
    for name, data in SETS.items():
        if data.files == 1 and "real" not in name:
            keys = list(data.pictures(1))[:: max(1, world.CONFLICT_INSTANCES * 7)]
            files = [file for key in keys for file, _ in data.draw(0, key)]
            assert len(set(files)) == len(keys), name
