"""The 17 data sets in their published layouts, and what is said of other layouts."""

import shutil

import numpy as np
import pytest

from bvg.data.categories import CATEGORIES
from bvg.data.model_vs_human import DATA_SETS, condition_of, locate_stimuli, model_vs_human
from bvg.errors import UserError
from conftest import draw, refusal
from model_vs_human_helpers import image_names, write_data_set, write_stimuli


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory):
    return write_stimuli(tmp_path_factory.mktemp("mvh"), per_condition=3)


def test_every_published_layout_is_one_set_of_images(stimuli):
    images = model_vs_human(stimuli, CATEGORIES, DATA_SETS, True)
    assert len(images) == 3 * sum(len(d.conditions) for d in DATA_SETS.values())
    assert list(dict.fromkeys(n.partition("/")[0] for n in images.names)) == [*DATA_SETS]
    expected = [f"{name}/{c}" for name, d in DATA_SETS.items() for c in d.conditions]
    assert sorted(set(images.conditions)) == sorted(expected)
    for name, label, shown in zip(images.names, images.labels, images.conditions, strict=True):
        data_set, _, inside = name.partition("/")
        folders = DATA_SETS[data_set].folders
        category = inside.partition("/")[0] if folders else inside.split("_")[4]
        assert CATEGORIES[label] == category
        assert shown.partition("/")[0] == data_set
        assert images.path([*images.names].index(name)).is_file()
    texture = images.columns["texture"]
    cue = np.array([name.startswith("cue-conflict/") for name in images.names])
    assert (texture[~cue] == -1).all()
    assert (texture[cue] >= 0).all()
    assert images.notes["partial"]["contrast"] == {"images": 24, "expected_images": 1280}


def test_a_choice_of_data_sets_comes_in_the_published_order(stimuli):
    images = model_vs_human(stimuli, CATEGORIES, ["sketch", "edge"], True)
    assert [n.partition("/")[0] for n in images.names] == ["edge"] * 3 + ["sketch"] * 3
    assert images.notes["data_sets"] == {"edge": 3, "sketch": 3}


def test_the_published_numbers_of_images_and_conditions():
    assert sum(d.images for d in DATA_SETS.values()) == 160 * 2 + 1280 * 10 + 1120 * 3 + 800 * 2
    assert len(DATA_SETS) == 17
    assert DATA_SETS["eidolonI"].excluded == ("1-10-10", "64-10-10", "128-10-10")
    assert DATA_SETS["eidolonII"].excluded == ("1-3-10", "32-3-10", "64-3-10", "128-3-10")
    assert DATA_SETS["eidolonIII"].counted == ("2-0-10", "4-0-10", "8-0-10")
    for data_set in DATA_SETS.values():
        assert set(data_set.excluded) < set(data_set.conditions)
        assert data_set.images % len(data_set.conditions) == 0


@pytest.mark.parametrize(
    ("data_set", "written", "condition"),
    [
        ("uniform-noise", "0.90", "0.9"),
        ("uniform-noise", "0.00", "0.0"),
        ("high-pass", "3", "3.0"),
        ("high-pass", "Inf", "inf"),
        ("false-colour", "true", "True"),
        ("contrast", "C100", "c100"),
        ("contrast", "c20", "c20"),
        ("edge", "NaN", "0"),
        ("power-equalisation", "pow", "pow"),
        ("low-pass", "nan", "nan"),
        ("eidolonI", "128-10-10", "128-10-10"),
    ],
)
def test_conditions_are_found_however_they_are_written(data_set, written, condition):
    assert condition_of(data_set, written) == condition


def test_conditions_are_named_as_in_the_specification_not_as_in_the_file(tmp_path):
    write_data_set(tmp_path, "uniform-noise", 1, spelling={"0.9": "0.90", "0.0": "0.00"})
    images = model_vs_human(tmp_path, CATEGORIES, ["uniform-noise"], True)
    assert "uniform-noise/0.9" in images.conditions
    assert any("_0.90_" in name for name in images.names)


def test_an_archive_unpacked_into_a_folder_of_its_own_is_understood(tmp_path):
    for name in ("edge", "contrast", "cue-conflict"):
        write_data_set(tmp_path / name, name, 2)
    images = model_vs_human(tmp_path, CATEGORIES, ["edge", "contrast", "cue-conflict"], True)
    assert len(images) == 2 * 10
    assert images.files[0].startswith("edge/edge/")
    assert not images.names[0].startswith("edge/edge/")
    assert all(images.path(k).is_file() for k in range(len(images)))


def test_missing_data_sets_are_named_with_both_remedies(tmp_path):
    write_data_set(tmp_path, "edge", 1)
    write_data_set(tmp_path, "sketch", 1)
    sentence = refusal(locate_stimuli, str(tmp_path), ["edge", "colour", "rotation"])
    assert "lacks the data set(s) colour, rotation:" in sentence
    assert "python code/download.py model-vs-human" in sentence
    assert sentence.endswith("with --partial (or --datasets edge sketch)")
    assert locate_stimuli(str(tmp_path), ["sketch", "edge"]) == tmp_path
    assert locate_stimuli(str(tmp_path), ["edge", "colour"], partial=True) == tmp_path
    assert "lacks the data set(s) colour" in refusal(
        locate_stimuli, str(tmp_path), ["colour"], True
    )
    images = model_vs_human(tmp_path, CATEGORIES, ["edge", "colour"], True)
    assert {condition.partition("/")[0] for condition in images.conditions} == {"edge"}


def test_the_folder_comes_from_the_flag_the_variable_or_the_cache(tmp_path, monkeypatch):
    assert "download.py model-vs-human" in refusal(locate_stimuli, None, ["edge"])
    cache = tmp_path / "cache"
    monkeypatch.setenv("BVG_CACHE", str(cache))
    write_data_set(cache / "data" / "model-vs-human", "edge", 1)
    assert locate_stimuli(None, ["edge"]) == cache / "data" / "model-vs-human"
    write_data_set(tmp_path / "own", "edge", 1)
    monkeypatch.setenv("BVG_MODEL_VS_HUMAN", str(tmp_path / "own"))
    assert locate_stimuli(None, ["edge"]) == tmp_path / "own"
    assert "does not exist" in refusal(locate_stimuli, str(tmp_path / "no"), ["edge"])


def test_one_level_too_high_or_low_is_told(tmp_path):
    write_data_set(tmp_path / "datasets", "edge", 1)
    write_data_set(tmp_path / "datasets", "contrast", 1)
    right = tmp_path / "datasets"
    assert f"{right} does: give that one" in refusal(locate_stimuli, str(tmp_path), ["edge"])
    inside = (
        right / "edge",
        right / "edge" / CATEGORIES[5],
        right / "contrast" / "dnn",
        right / "contrast" / "dnn" / "session-1",
    )
    for wrong in inside:
        assert f"contains it, {right}, with --stimuli" in refusal(
            locate_stimuli, str(wrong), ["edge"]
        )
    (tmp_path / "empty").mkdir()
    assert "of the 17 data sets" in refusal(locate_stimuli, str(tmp_path / "empty"), ["edge"])


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("contrast/dnn/session-1/0001_cop_dnn_c50_unicorn_10_n01_1.png", "names no category"),
        ("contrast/dnn/session-1/0001_cop_dnn_c20_bear_10_n01_1.png", "names no condition"),
        ("contrast/dnn/session-1/picture.png", "names no category"),
        ("edge/unicorn/unicorn1.png", "unicorn is not one of the 16 categories"),
        ("edge/bear/airplane1.png", "of airplane by its name, and of bear by its folder"),
        ("cue-conflict/bear/bear.png", "is not named <shape><n>-<texture><m>"),
    ],
)
def test_names_that_do_not_fit_are_refused(tmp_path, file, said):
    name = file.partition("/")[0]
    write_data_set(tmp_path, name, 1)
    draw(tmp_path / file, 1)
    with pytest.raises(UserError, match=said):
        model_vs_human(tmp_path, CATEGORIES, [name])


@pytest.mark.parametrize(
    ("name", "said"), [("contrast", "files dnn/session-1/<a>_"), ("edge", "category folders")]
)
def test_a_data_set_without_stimuli_is_refused(tmp_path, name, said):
    (tmp_path / name / "dnn").mkdir(parents=True)
    if name == "edge":
        (tmp_path / name / "dnn").rmdir()
    assert said in refusal(model_vs_human, tmp_path, CATEGORIES, [name])


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("sketch", "0001_sty_dnn_0_bear_00_bear-0001-ILSVRC2012-val-00000002.png"),
        ("stylized", "0001_ske_dnn_0_bear_00_bear-0001-sketch-2.png"),
        ("sketch", "0001_cop_dnn_c05_bear_10_n01_1.png"),
    ],
)
def test_stimuli_of_another_data_set_are_refused(tmp_path, name, file):
    write_data_set(tmp_path, name, 1)
    draw(tmp_path / name / "dnn" / "session-1" / file, 1)
    assert file in refusal(model_vs_human, tmp_path, CATEGORIES, [name], True)


@pytest.mark.parametrize("name", ["edge", "cue-conflict", "contrast"])
def test_a_stimulus_that_is_there_twice_is_refused(tmp_path, name):
    _whole_set(tmp_path, name)
    path = next((tmp_path / name).rglob("*.png"))
    copy = path.with_name(f"{path.stem} (1).png" if name == "contrast" else f"{path.stem}.jpg")
    copy.write_bytes(path.read_bytes())
    assert path.name in refusal(model_vs_human, tmp_path, CATEGORIES, [name], True)


def test_a_copy_of_another_data_set_is_noticed(tmp_path, capsys):
    for seed, (_, _, path) in enumerate(image_names("edge", 16)):
        draw(tmp_path / "edge" / path, seed, size=(32, 32))
        draw(tmp_path / "silhouette" / path, 100 + seed, size=(32, 32))
    sets = ["edge", "silhouette"]
    assert "conditions_with_same_files" not in model_vs_human(tmp_path, CATEGORIES, sets).notes
    shutil.rmtree(tmp_path / "silhouette")
    shutil.copytree(tmp_path / "edge", tmp_path / "silhouette")
    assert model_vs_human(tmp_path, CATEGORIES, sets).notes["conditions_with_same_files"] == [sets]
    assert "edge and silhouette" in capsys.readouterr().err


def test_a_session_that_is_there_twice_is_refused(tmp_path):
    _whole_set(tmp_path, "contrast")
    sessions = tmp_path / "contrast" / "dnn"
    shutil.copytree(sessions / "session-1", sessions / "session-1 (2)")
    assert "session-1 (2)" in refusal(model_vs_human, tmp_path, CATEGORIES, ["contrast"])


def _whole_set(root, name, per_condition=16):
    return write_data_set(root, name, per_condition)


def test_a_small_set_of_all_conditions_and_categories_is_whole(tmp_path):
    for name in ("contrast", "edge", "cue-conflict"):
        _whole_set(tmp_path, name)
    images = model_vs_human(tmp_path, CATEGORIES, ["contrast", "edge", "cue-conflict"])
    assert len(images) == 16 * 10


@pytest.mark.parametrize("name", ["colour", "eidolonII", "false-colour"])
def test_missing_conditions_are_refused_unless_partial(tmp_path, name):
    _whole_set(tmp_path, name)
    last = DATA_SETS[name].conditions[-1]
    for path in tmp_path.rglob(f"*_dnn_{last}_*"):
        path.unlink()
    sentence = refusal(model_vs_human, tmp_path, CATEGORIES, [name])
    assert last in sentence and "--partial" in sentence
    images = model_vs_human(tmp_path, CATEGORIES, [name], True)
    assert f"{name}/{last}" not in images.conditions


def test_fewer_images_under_one_condition_are_refused_unless_partial(tmp_path):
    _whole_set(tmp_path, "rotation", 32)
    next(tmp_path.rglob("*_dnn_180_*")).unlink()
    sentence = refusal(model_vs_human, tmp_path, CATEGORIES, ["rotation"])
    assert "31 image(s) of the condition 180" in sentence and "--partial" in sentence
    assert len(model_vs_human(tmp_path, CATEGORIES, ["rotation"], True)) == 4 * 32 - 1


@pytest.mark.parametrize("name", ["silhouette", "cue-conflict", "sketch"])
def test_missing_categories_are_refused_unless_partial(tmp_path, name):
    _whole_set(tmp_path, name)
    pattern = "*_bear_*" if name == "sketch" else "bear/bear*"
    for path in [*tmp_path.rglob(pattern)]:
        path.unlink()
    sentence = refusal(model_vs_human, tmp_path, CATEGORIES, [name])
    assert "bear" in sentence and "--partial" in sentence
    assert len(model_vs_human(tmp_path, CATEGORIES, [name], True)) == 15


def test_a_misspelt_folder_is_named_where_a_data_set_is_missing(tmp_path):
    write_data_set(tmp_path, "edge", 1)
    (tmp_path / "contrst").mkdir()
    assert "contrst" in refusal(locate_stimuli, str(tmp_path), ["edge", "contrast"])
