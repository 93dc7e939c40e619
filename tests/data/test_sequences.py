"""ImageNet-P on disk: every layout that is accepted, every mistake that is named."""

import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from bvg.data.image_set import class_balanced
from bvg.data.imagenet import imagenet_classes
from bvg.data.imagenet_p import PERTURBATIONS, imagenet_p, read_frames
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import READY_224
from conftest import CLASSES, draw, refusal
from sequence_helpers import moving, write_frames, write_mp4


@pytest.fixture
def world(tmp_path):
    """Return ImageNet-P of four classes and two sequences each, of three frames in folders."""
    for p, perturbation in enumerate(PERTURBATIONS):
        for label, name in enumerate(CLASSES):
            for number in range(2):
                folder = tmp_path / "p" / perturbation / name / f"{name}_{number}"
                write_frames(folder, moving(100 * p + 10 * label + number, 3, size=16))
    return tmp_path / "p"


def test_entries_go_by_perturbation_and_share_their_names(world):
    images = imagenet_p(world, CLASSES)
    assert len(images) == 10 * 8 and images.classes == CLASSES
    assert [images.conditions[k] for k in range(0, 80, 8)] == list(PERTURBATIONS)
    assert images.files[9] == "shot_noise/ant/ant_1"
    assert images.names[9] == images.names[1] == "ant/ant_1"
    assert images.labels[:8].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert images.reader is read_frames and "partial" not in images.notes
    chosen = class_balanced(images, 4, seed=0)
    assert len(chosen) == 40 and len(set(chosen.names)) == 4


def test_perturbations_with_the_same_frames_are_noticed(tmp_path, capsys):
    for number, name in enumerate(("snow", "tilt")):
        folder = tmp_path / name / "ant" / "ant_0"
        write_frames(folder, moving(number, 3, size=48))
        Image.fromarray(moving(9, 1, size=48)[0]).save(folder / "000.png")  # the clean one
    chosen = (tmp_path, CLASSES, ["snow", "tilt"], True)
    assert "conditions_with_same_files" not in imagenet_p(*chosen).notes
    shutil.rmtree(tmp_path / "tilt")
    (tmp_path / "tilt").symlink_to("snow")
    assert imagenet_p(*chosen).notes["conditions_with_same_files"] == [["snow", "tilt"]]
    assert "snow and tilt" in capsys.readouterr().err


def test_frames_are_in_the_order_of_their_numbers(tmp_path):
    frames = moving(1, 12, size=24)
    write_frames(tmp_path / "unpadded", frames, "img{}.png")
    write_frames(tmp_path / "padded", frames, "{:04d}.png")
    for kind in ("unpadded", "padded"):
        found = [np.asarray(frame) for frame in read_frames(tmp_path / kind)]
        np.testing.assert_array_equal(np.stack(found), np.stack(frames))


def test_missing_frames_are_noticed(tmp_path):
    write_frames(tmp_path / "s", moving(1, 5, size=24), "x_frame{}.png")
    assert len(read_frames(tmp_path / "s")) == 5
    (tmp_path / "s" / "x_frame3.png").unlink()
    with pytest.raises(ValueError, match="frame 3 is missing"):
        read_frames(tmp_path / "s")
    (tmp_path / "s" / "x_frame4.png").rename(tmp_path / "s" / "last.png")  # names of other kinds
    assert len(read_frames(tmp_path / "s")) == 4


def test_grey_frames_become_rgb(tmp_path):
    draw(tmp_path / "s" / "0.png", 1)
    Image.open(tmp_path / "s" / "0.png").convert("L").save(tmp_path / "s" / "1.jpg")
    assert [frame.mode for frame in read_frames(tmp_path / "s")] == ["RGB", "RGB"]


def test_videos_and_folders_of_frames_are_the_same_set(world, tmp_path):
    pytest.importorskip("av", reason="PyAV is not installed: pip install av")
    images = imagenet_p(world, CLASSES)
    videos = tmp_path / "videos"
    for index in range(len(images)):
        frames = [np.asarray(frame) for frame in read_frames(images.path(index))]
        write_mp4(videos / f"{images.files[index]}.mp4", frames, lossless=True)
    filmed = imagenet_p(videos, CLASSES)
    assert list(filmed.names) == list(images.names)
    assert list(filmed.conditions) == list(images.conditions)
    assert filmed.files[0] == "gaussian_noise/ant/ant_0.mp4"
    assert str(filmed.notes["decoder"]).startswith("PyAV ") and "decoder" not in images.notes
    for index in (0, 33, 79):
        for one, other in zip(
            read_frames(filmed.path(index)), read_frames(images.path(index)), strict=True
        ):
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("workers", [0, 2])
def test_sequences_of_different_lengths_are_loaded_and_bad_ones_reported(world, workers):
    folder = world / "snow" / "ant"
    write_frames(folder / "ant_0", moving(5, 7, size=224), "{}.png")
    shutil.rmtree(folder / "ant_1")
    (folder / "ant_1").mkdir()
    (world / "snow" / "bee" / "bee_0" / "img1.png").write_bytes(b"no image")
    images = imagenet_p(world, CLASSES, ["snow"])
    batches = list(decoded_batches(images, (READY_224,), 0, 3, workers, False))
    assert [batch.indices.tolist() for batch in batches] == [[0], [3, 4, 5], [6, 7]]
    assert batches[0].frames.tolist() == [7 + 3]  # img0 … img2 are still there
    assert [view.shape for view in batches[1].views] == [(9, 224, 224, 3)]
    failures = dict(failure for batch in batches for failure in batch.failures)
    assert failures[1] == "the folder holds no frames"
    assert failures[2].startswith("its frame img1.png cannot be decoded")
    assert batches[1].resized == [3, 4, 5]  # frames of 16 pixels


def test_perturbations_may_lie_in_the_folders_of_the_downloads(world):
    flat = imagenet_p(world, CLASSES).fingerprint
    for group, names in {"noise": PERTURBATIONS[:2], "digital": PERTURBATIONS[6:]}.items():
        (world / group).mkdir()
        for name in names:
            (world / name).rename(world / group / name)
    grouped = imagenet_p(world, CLASSES)
    assert grouped.files[0] == "noise/gaussian_noise/ant/ant_0"
    assert grouped.fingerprint == flat


def test_other_perturbations_are_ignored_or_chosen_by_name(world):
    shutil.copytree(world / "snow", world / "gaussian_noise_2")
    (world / "notes").mkdir()
    assert set(imagenet_p(world, CLASSES).conditions) == set(PERTURBATIONS)
    chosen = imagenet_p(world, CLASSES, ["gaussian_noise_2", "tilt"])
    assert list(dict.fromkeys(chosen.conditions)) == ["tilt", "gaussian_noise_2"]
    again = imagenet_p(world, CLASSES, ["tilt", "gaussian_noise_2", "tilt"])
    assert again.fingerprint == chosen.fingerprint  # the order of asking does not matter
    assert "lacks the perturbations shear" in refusal(imagenet_p, world, CLASSES, ["tilt", "shear"])


def test_a_set_that_is_not_whole_is_refused_or_recorded(world):
    shutil.rmtree(world / "snow")
    shutil.rmtree(world / "tilt" / "cat")
    assert "lacks the perturbations snow" in refusal(imagenet_p, world, CLASSES)
    said = refusal(imagenet_p, world, CLASSES, ["tilt"])
    assert "6 sequences of 3 classes, not 6 of 4" in said and "--partial" in said
    images = imagenet_p(world, CLASSES, partial=True)
    assert images.notes["partial"] == {
        "perturbations": {"tilt": {"sequences": 6, "classes": 3}},
        "missing": ["snow"],
    }
    tilted = [k for k in range(len(images)) if images.conditions[k] == "tilt"]
    assert len(images) == 8 * 8 + 6 == len(images.names) and len(tilted) == 6
    assert {images.files[k].split("/")[1] for k in tilted} == {"ant", "bee", "dog"}
    assert {images.names[k].split("/")[0] for k in tilted} == {"ant", "bee", "dog"}


def test_imagenets_own_counts_are_asked_for(tmp_path):
    write_frames(tmp_path / "snow" / "n01440764" / "a", moving(1, 2, size=16))
    said = refusal(imagenet_p, tmp_path, imagenet_classes(), ["snow"])
    assert "1 sequences of 1 classes, not 50,000 of 1,000" in said
    assert len(imagenet_p(tmp_path, imagenet_classes(), ["snow"], partial=True)) == 1


def test_folders_one_level_off_are_named(world, tmp_path):
    for given in (world / "tilt", world / "tilt" / "ant"):
        assert f"contains it, {world}, with --imagenet_p" in refusal(imagenet_p, given, CLASSES)
    assert f"but {world} does" in refusal(imagenet_p, tmp_path, CLASSES)
    (tmp_path / "empty").mkdir()
    said = refusal(imagenet_p, tmp_path / "empty", CLASSES)
    assert "<perturbation>/<class>/<sequence>.mp4" in said and "download.py imagenet-p" in said
    assert "--imagenet_p" in refusal(imagenet_p, tmp_path / "gone", CLASSES)


def test_imagenet_c_is_recognised(tmp_path):
    draw(tmp_path / "snow" / "3" / "ant" / "a.jpg", 1)
    assert "ImageNet-C looks like this" in refusal(imagenet_p, tmp_path, CLASSES, ["snow"])


def test_frames_without_a_folder_of_their_own_are_refused(tmp_path):
    draw(tmp_path / "snow" / "ant" / "a.jpg", 1)
    assert "holds no sequence" in refusal(imagenet_p, tmp_path, CLASSES, ["snow"])


def test_a_sequence_that_is_there_twice_is_refused(world):
    (world / "snow" / "ant" / "ant_0.mp4").write_bytes(b"")
    said = refusal(imagenet_p, world, CLASSES, ["snow"])
    assert "the sequence ant_0 twice" in said and "ant_0.mp4" in said


def test_videos_without_a_decoder_name_the_install_command(tmp_path, monkeypatch):
    (tmp_path / "snow" / "ant").mkdir(parents=True)
    (tmp_path / "snow" / "ant" / "a.MP4").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "av", None)
    said = refusal(lambda: imagenet_p(tmp_path, CLASSES, ["snow"], partial=True))
    assert "pip install 'av" in said and "folder of frames" in said
