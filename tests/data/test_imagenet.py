"""ImageNet val in the layouts that people keep it in, and the messages for those it is not in."""

import csv

import numpy as np
import pytest
import torch
from scipy.io import savemat
from timm.data import ImageNetInfo

from bvg.data.imagenet import VAL_CLASSES, are_imagenet, classes_in, imagenet_classes, imagenet_val
from bvg.errors import UserError
from conftest import CLASSES, draw

WNIDS = ("n00000001", "n00000002", "n00000003")
TRUTH = [3, 1, 2, 1, 3]  # class numbers (from 1, in wnid order) of val images 1 to 5


@pytest.fixture
def flat(tmp_path):
    for number in range(1, 6):
        draw(tmp_path / "imagenet" / "val" / f"ILSVRC2012_val_{number:08d}.JPEG", number)
    return tmp_path / "imagenet"


def _devkit(folder) -> None:
    """Write the devkit's two files; its class numbers are not in wnid order, as in the real one."""
    folder.mkdir(parents=True)
    number_of = {1: 2, 2: 3, 3: 1}  # wnid rank → the devkit's number
    fields = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    synsets = np.empty(4, dtype=fields)
    for rank, wnid in enumerate(WNIDS, start=1):
        synsets[rank - 1] = (number_of[rank], wnid, "a thing, another", 0)
    synsets[3] = (4, "n00000009", "an inner node", 3)
    savemat(folder / "meta.mat", {"synsets": synsets})
    lines = "".join(f"{number_of[rank]}\n" for rank in TRUTH)
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text(lines)


def _torchvision(folder) -> None:
    torch.save(
        (dict.fromkeys(WNIDS, ("thing",)), [WNIDS[k - 1] for k in TRUTH]), folder / "meta.bin"
    )


def _kaggle(folder) -> None:
    with open(folder / "LOC_val_solution.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ImageId", "PredictionString"])
        for number in (4, 1, 3, 5, 2):  # not in order
            wnid = WNIDS[TRUTH[number - 1] - 1]
            writer.writerow([f"ILSVRC2012_val_{number:08d}", f"{wnid} 1 2 3 4 {wnid} 5 6 7 8 "])


def _synset_labels(folder) -> None:
    lines = "\n".join(WNIDS[k - 1] for k in TRUTH)
    (folder / "imagenet_2012_validation_synset_labels.txt").write_text(lines + "\n")


@pytest.mark.parametrize(
    "write",
    [
        lambda root: _devkit(root / "ILSVRC2012_devkit_t12" / "data"),
        lambda root: _devkit(root / "val" / "data"),
        _torchvision,
        _kaggle,
        _synset_labels,
    ],
)
@pytest.mark.parametrize("inside", ["", "val"])
def test_flat_files_get_their_labels_from_any_ground_truth(flat, write, inside):
    write(flat)
    images = imagenet_val(flat / inside, WNIDS)
    assert images.labels.tolist() == [k - 1 for k in TRUTH]
    assert images.names[0] == "n00000003/ILSVRC2012_val_00000001.JPEG"
    assert images.path(0).exists()


def test_flat_files_without_ground_truth_say_what_to_put_where(flat):
    with pytest.raises(UserError, match=r"there is no ground truth in or above .* ILSVRC2012_dev"):
        imagenet_val(flat, WNIDS)


def test_a_flat_file_of_another_name_is_refused(flat):
    _synset_labels(flat)
    draw(flat / "val" / "holiday.jpg", 1)
    with pytest.raises(
        UserError, match=r"first is holiday.jpg.* archive's names \(ILSVRC2012_val_00000001"
    ):
        imagenet_val(flat, WNIDS)


def test_class_folders_from_the_root_and_from_val(val_folder):
    data = val_folder(3)
    for root in (data, data / "val"):
        images = imagenet_val(root, CLASSES)
        assert images.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
        assert images.names[3] == "bee/bee_000.png"
        assert not images.notes


def test_labels_are_positions_in_the_models_classes_not_ranks_of_folders(val_folder):
    data = val_folder(1)
    images = imagenet_val(data, ("dog", "cat", "bee", "ant"))
    assert dict(zip(images.names, images.labels.tolist(), strict=True))["dog/dog_000.png"] == 0


@pytest.mark.parametrize(("given", "right"), [("val/ant", "val"), ("..", "data")])
def test_one_level_too_low_or_too_high_names_the_right_folder(val_folder, given, right):
    data = val_folder(1)
    with pytest.raises(UserError) as error:
        imagenet_val(data / given, CLASSES)
    place = (data / "val") if right == "val" else data
    assert str(place) in str(error.value)


def test_an_empty_or_foreign_folder_says_what_is_expected(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"contains no images or class folders .* --imagenet"):
        imagenet_val(tmp_path / "empty", CLASSES)
    with pytest.raises(UserError, match="does not exist"):
        imagenet_val(tmp_path / "nowhere", CLASSES)
    (tmp_path / "bare" / "ant").mkdir(parents=True)
    with pytest.raises(UserError, match="class folders, but no readable image"):
        imagenet_val(tmp_path / "bare", CLASSES)


def test_a_subset_needs_partial_and_is_recorded(val_folder):
    data = val_folder(2)
    more = (*CLASSES, "eel")
    with pytest.raises(UserError, match=r"8 images of 4 classes, not 8 of 5: .* --partial"):
        imagenet_val(data, more)
    images = imagenet_val(data, more, partial=True)
    assert images.notes["partial"]["expected_classes"] == 5


def test_folders_that_are_no_classes_are_refused(val_folder):
    data = val_folder(1)
    (data / "val" / "unicorn").mkdir()
    with pytest.raises(UserError, match=r"not classes of the model \(unicorn\)"):
        imagenet_val(data, CLASSES)


def test_imagenet_itself_expects_fifty_thousand(tmp_path):
    classes = imagenet_classes()
    assert len(classes) == VAL_CLASSES
    assert list(classes) == sorted(classes)
    assert classes[0] == "n01440764"
    assert are_imagenet(classes)
    assert not are_imagenet(CLASSES)
    draw(tmp_path / "val" / classes[0] / "a.JPEG", 0)
    with pytest.raises(UserError, match=r"1 images of 1 classes, not 50,000 of 1,000"):
        imagenet_val(tmp_path, classes)


def test_the_classes_are_timms_wherever_it_keeps_them(monkeypatch):
    monkeypatch.setattr("bvg.data.imagenet.timm_file", lambda name: None)
    assert imagenet_classes.__wrapped__() == imagenet_classes()
    assert imagenet_classes() == tuple(ImageNetInfo("imagenet-1k").label_names())


def test_classes_are_found_below_conditions(tmp_path):
    wnid = imagenet_classes()[7]
    (tmp_path / "a" / "noise" / "gaussian_noise" / "1" / wnid).mkdir(parents=True)
    (tmp_path / "b" / "val" / wnid).mkdir(parents=True)
    (tmp_path / "c" / "val" / "bear").mkdir(parents=True)
    (tmp_path / "c" / "val" / "cat").mkdir(parents=True)
    (tmp_path / "d").mkdir()
    assert classes_in(tmp_path / "a") == classes_in(tmp_path / "b") == imagenet_classes()
    assert classes_in(tmp_path / "c") == ("bear", "cat")
    assert classes_in(tmp_path / "d") == imagenet_classes()  # empty: said later, by its layout
