"""make_imagenet_c.py: its files hold what --generate --as_published shows, and runs resume."""

import json
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import make_imagenet_c
from bvg.data.imagenet import imagenet_val
from bvg.data.loading import decoded_batches
from bvg.data.preprocessing import STUDY
from bvg.files import lock_folder
from bvg.run.batches import as_batch
from bvg.stimuli.corruptions.frost_textures import load_frost
from bvg.stimuli.imagenet_c import imagenet_c
from conftest import CLASSES, draw
from forks import fork

FEW = ("--corruptions", "gaussian_noise", "contrast", "frost", "--severities", "1", "5")
BLURS = ("glass_blur", "motion_blur", "zoom_blur")  # the last two were published otherwise


@pytest.fixture
def make(val_folder, tmp_path):
    val = val_folder(3)

    for seed in range(2):
        draw(tmp_path / "frost" / f"frost{seed}.png", seed, (300, 260))

    def run(out: str, *words: str, code: int = 0) -> Path:
        argv = ["--imagenet", str(val), "--out", str(tmp_path / out), *FEW, *run.frost, *words]
        assert make_imagenet_c.main(argv) == code
        return tmp_path / out

    run.val, run.frost = val, ("--frost", str(tmp_path / "frost"))
    return run


def contents(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*.JPEG"))
        if not path.name.startswith(".")
    }


def test_files_hold_the_pixels_of_generated_images_as_published(make):
    names = ("gaussian_noise", *BLURS, "frost")
    out = make("c", "--batch-size", "5", "--corruptions", *names)
    images = imagenet_val(make.val, CLASSES)
    stimuli = imagenet_c(names, (1, 5), True, load_frost(make.frost[1]))
    compared = 0
    for part in decoded_batches(images, (STUDY,), 0, 4, 0, pin_memory=False):
        batch = as_batch(images, part.views[0], part.indices, torch.device("cpu"), 0)
        for condition, x in stimuli(batch):
            corruption, _, severity = condition.rpartition("_")
            for name, shown in zip(batch.names, x, strict=True):
                file = out / corruption / severity / Path(name).with_suffix(".JPEG")
                with Image.open(file) as image:
                    assert image.size == (224, 224) and image.format == "JPEG"
                    pixels = np.asarray(image)
                np.testing.assert_array_equal(pixels, (shown * 255).round().permute(1, 2, 0))
                compared += 1
    assert compared == 12 * 10 == len(contents(out))


def test_a_second_run_writes_nothing_and_a_gap_is_filled(make, capsys):
    out = make("c")
    assert "wrote 72 files" in capsys.readouterr().out
    before = contents(out)
    (out / "contrast/5/bee/bee_001.JPEG").unlink()
    (out / "frost/1/cat/cat_002.JPEG").write_bytes(b"")
    make("c", "--batch_size", "1")
    assert "wrote 2 files" in capsys.readouterr().out
    assert contents(out) == before
    make("c")
    assert "wrote 0 files" in capsys.readouterr().out


def test_corruptions_can_be_added(make, capsys):
    make("c", "--corruptions", "contrast")
    make("c")
    assert "wrote 48 files" in capsys.readouterr().out.splitlines()[-1]
    assert contents(make("c")) == contents(make("whole"))


def test_files_made_otherwise_are_not_mixed_in(make, tmp_path, capsys):
    out = make("c")
    before = contents(out)
    for words, what in (
        (("--seed", "1"), "seed was 0 and is now 1"),
        (("--quality", "90"), "quality was 85 and is now 90"),
        (("--limit", "4"), "the number of images was 12 and is now 4"),
    ):
        make("c", *words, code=2)
        sentence = capsys.readouterr().err
        assert what in sentence and "--out" in sentence
    assert contents(out) == before
    (tmp_path / "foreign" / "fog").mkdir(parents=True)
    make("foreign", code=2)
    assert "did not create" in capsys.readouterr().err
    (out / "made_by.json").write_text("{")
    make("c", code=2)
    assert "cannot be read" in capsys.readouterr().err


def test_a_limit_is_the_same_images_everywhere(make):
    out = make("c", "--limit", "5")
    chosen = {
        tuple(sorted(str(p.relative_to(folder)) for p in folder.rglob("*.JPEG")))
        for folder in out.glob("*/[15]")
    }
    assert len(chosen) == 1 and len(*chosen) == 5


def test_a_broken_image_is_named(make, capsys):
    next((make.val / "val" / "ant").iterdir()).write_bytes(b"no image")
    make("c", code=2)
    assert "cannot be decoded (it is not an image)" in capsys.readouterr().err


def test_only_one_process_writes(make, tmp_path, capsys):
    with ExitStack() as held:
        lock_folder(make("c"), held)
        make("c", code=75)
    assert "another process" in capsys.readouterr().err


def test_killed_and_run_again_is_the_same(make, tmp_path, monkeypatch):
    whole = contents(make("whole"))
    save = make_imagenet_c.save_jpeg

    def slowly(*arguments):
        time.sleep(0.02)
        save(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(make_imagenet_c, "save_jpeg", slowly)
        process = fork(make, "c", "--batch_size", "2", said=tmp_path / "killed")
    deadline = time.monotonic() + 100
    while not (tmp_path / "c").is_dir() or not contents(tmp_path / "c"):
        assert process.is_alive() and time.monotonic() < deadline
        time.sleep(0.002)
    process.kill()
    process.join()
    halfway = contents(tmp_path / "c")
    assert 0 < len(halfway) < len(whole)
    assert all(whole[name] == data for name, data in halfway.items())
    make("c")
    assert contents(tmp_path / "c") == whole


def test_the_record_says_what_the_files_are(make):
    record = json.loads((make("c") / "made_by.json").read_text())
    assert (
        record["frost"].startswith("2 photographs")
        and record["seed"] == 0
        and record["quality"] == 85
    )
