"""REFINED-BIAS: its layout, its labels, and what is refused."""

import shutil

import pytest

from bvg.data.imagenet import imagenet_classes
from bvg.data.refined_bias import CLASSES, classes_of, refined_bias
from conftest import refusal
from variant_helpers import jpeg, lay_out

WNIDS = imagenet_classes()


@pytest.fixture
def stimuli(tmp_path, monkeypatch):
    monkeypatch.setattr("bvg.data.refined_bias.IMAGES", 2)
    folders = [f"refined_bias_{cue}/{name}" for cue in CLASSES for name in CLASSES[cue]]
    return lay_out(tmp_path / "refined", folders, 2, jpeg())


def test_the_complete_set(stimuli):
    images = refined_bias(stimuli, WNIDS)
    assert len(images) == 40
    assert images.conditions == ("shape",) * 20 + ("texture",) * 20
    assert all(images.path(index).is_file() for index in range(40))
    for name, label, cue in zip(images.names, images.labels, images.conditions, strict=True):
        assert WNIDS[label] == CLASSES[cue][name.partition("/")[0]][0]
    assert images.notes == {}


def test_every_wnid_is_one_of_imagenet_s_and_belongs_to_one_class():
    wnids = [w for classes in CLASSES.values() for group in classes.values() for w in group]
    assert set(wnids) <= set(WNIDS)
    assert len(wnids) == len(set(wnids)) == 24


def test_the_folder_of_the_repository_is_understood(stimuli, tmp_path):
    (tmp_path / "repository" / "refined_bias").mkdir(parents=True)
    shutil.move(stimuli, tmp_path / "repository" / "refined_bias" / "datasets")
    assert len(refined_bias(tmp_path / "repository", WNIDS)) == 40


@pytest.mark.parametrize("lost", ["refined_bias_shape/clock", "refined_bias_texture/zebra/0.JPEG"])
def test_an_incomplete_set_needs_partial(stimuli, lost):
    path = stimuli / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "--partial" in refusal(refined_bias, stimuli, WNIDS)
    images = refined_bias(stimuli, WNIDS, partial=True)
    (cue,) = images.notes
    assert images.notes[cue]["partial"]["expected_images"] == 20
    assert images.notes[cue]["partial"]["images"] == len(images) - 20


@pytest.mark.parametrize("name", ["8x8_zebra_3.png", "0.png"])
def test_files_of_another_class_and_converted_ones_are_refused(stimuli, name):
    folder = stimuli / "refined_bias_texture" / "tiger"
    (folder / "4x4_tiger_1.png").write_bytes(jpeg())
    assert len(refined_bias(stimuli, WNIDS, True)) == 41
    (folder / name).write_bytes(jpeg())
    assert name in refusal(refined_bias, stimuli, WNIDS, True)


def test_other_folders_are_refused(stimuli, tmp_path):
    assert str(stimuli) in refusal(refined_bias, stimuli / "refined_bias_shape", WNIDS)
    (tmp_path / "empty").mkdir()
    assert "--refined_bias" in refusal(refined_bias, tmp_path / "empty", WNIDS)
    (stimuli / "refined_bias_shape" / "zebra").mkdir()
    assert "zebra" in refusal(refined_bias, stimuli, WNIDS)


def test_folders_of_the_models_own_classes_are_understood(tmp_path):
    folders = [f"refined_bias_{cue}/{name}" for cue in CLASSES for name in ("bee", "ant")]
    images = refined_bias(lay_out(tmp_path / "own", folders, 2, jpeg()), ("ant", "bee", "cat"))
    assert images.labels.tolist() == [0, 0, 1, 1] * 2
    assert images.conditions == ("shape",) * 4 + ("texture",) * 4
    assert images.notes == {}
    own = classes_of(images.root, images.classes)
    assert own == {cue: {"ant": ("ant",), "bee": ("bee",)} for cue in CLASSES}


def test_names_of_ones_own_classes_may_be_in_any_files_name(tmp_path):
    lay_out(tmp_path, [f"refined_bias_{cue}/{name}" for cue in CLASSES for name in ("1", "0")], 2)
    assert len(refined_bias(tmp_path, ("0", "1", "2"))) == 8  # such as 0/1.JPEG


def test_folders_of_wnids_are_not_the_published_classes(tmp_path):
    model = tuple({name for own in CLASSES.values() for m in own.values() for name in m})
    wnids = [members[0] for own in CLASSES.values() for members in own.values()]
    lay_out(tmp_path / "refined_bias_shape", wnids[:10])
    lay_out(tmp_path / "refined_bias_texture", wnids[10:])
    # A class of several wnids would have one only.
    assert "is not one of the 10 classes of shape" in refusal(refined_bias, tmp_path, model, True)


def test_a_model_of_other_classes_is_refused(stimuli):
    assert "n0" in refusal(refined_bias, stimuli, ("ant", "bee"))
    assert "n02391049" in refusal(
        refined_bias, stimuli, tuple(wnid for wnid in WNIDS if wnid != "n02391049")
    )
