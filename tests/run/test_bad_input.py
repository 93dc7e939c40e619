"""What a user can get wrong: one sentence, exit code 2, no traceback, nothing half-written."""

import json
import subprocess

import pytest
import torch
from PIL import Image

import eval_imagenet
import eval_shape_bias
from bvg.predictions.table import read_predictions
from conftest import CLASSES, draw


@pytest.fixture
def imagenet(model_file, val_folder, tmp_path, capsys):
    """Return a function that runs eval_imagenet on four classes and gives (code, out, err)."""
    data = val_folder(5)

    def run(*words: str, model: str | None = None):
        argv = ["--model", model or f"{model_file}:one", "--num_workers", "0"]
        if "--imagenet" not in words:
            argv += ["--imagenet", str(data)]
        if "--results" not in words:
            argv += ["--results", str(tmp_path / "results")]
        capsys.readouterr()
        code = eval_imagenet.main([*argv, *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    run.data = data / "val"
    run.results = tmp_path / "results"
    return run


def _refused(outcome, *words: str) -> None:
    code, _, err = outcome
    assert code == 2
    assert "Traceback" not in err
    sentences = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(sentences) == 1, err
    for word in words:
        assert word in sentences[0]


def _final_files(folder) -> list[str]:
    return sorted(
        p.name
        for p in folder.rglob("*")
        if p.suffix in {".parquet", ".json", ".csv"} and "partial" not in p.parts
    )


def test_a_good_run_ends_with_the_table(imagenet):
    code, out, err = imagenet()
    assert code == 0
    table = [line.split() for line in out.strip().splitlines()]
    table = table[table.index(["model", "metric", "value", "95", "%", "interval", "images"]) + 1 :]
    assert [row[:2] for row in table[:2]] == [
        ["one", "top1_acc/imagenet"],
        ["one", "top5_acc/imagenet"],
    ]
    assert all(row[0] == "one" for row in table)
    assert err == ""
    assert _final_files(imagenet.results) == ["predictions.parquet", "summary.json"]


def test_missing_and_empty_folders(imagenet, tmp_path):
    _refused(imagenet("--imagenet", str(tmp_path / "no")), "does not exist", "--imagenet")
    (tmp_path / "empty").mkdir()
    _refused(imagenet("--imagenet", str(tmp_path / "empty")), "no images or class folders")


def test_no_folder_at_all_says_where_imagenet_comes_from(model_file, capsys, tmp_path):
    argv = ["--model", f"{model_file}:one", "--results", str(tmp_path / "r")]
    assert eval_imagenet.main(argv) == 2
    err = capsys.readouterr().err
    assert "--imagenet" in err
    assert "BVG_IMAGENET" in err
    assert "python code/download.py imagenet" in err


def test_the_environment_names_the_folder(model_file, capsys, tmp_path, val_folder, monkeypatch):
    monkeypatch.setenv("BVG_IMAGENET", str(val_folder(1)))
    argv = ["--model", f"{model_file}:one", "--results", str(tmp_path / "r"), "--num-workers", "0"]
    assert eval_imagenet.main(argv) == 0


@pytest.fixture
def spoil(imagenet):
    """Return a function that puts a bad file among the images."""

    def put(kind: str):
        path = imagenet.data / "bee" / f"{kind}.JPEG"
        if kind == "truncated":
            whole = draw(path, 1, size=(300, 300)).read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
        elif kind == "text":
            path.write_text("not an image")
        elif kind == "dot":
            draw(path, 1, size=(1, 1))
        return path

    return put


@pytest.mark.parametrize("kind", ["truncated", "text", "dot"])
def test_a_bad_image_is_named_or_skipped_and_recorded(imagenet, spoil, kind):
    path = spoil(kind)
    _refused(imagenet("--batch_size", "4"), str(path), "--skip_bad_images")
    assert _final_files(imagenet.results) == []
    code, out, _ = imagenet("--skip-bad-images", "--batch_size", "4")
    assert code == 0
    assert "one: resuming at image 8 of 21" in out
    assert "1 image(s) skipped" in out
    summary = json.loads((imagenet.results / "imagenet/one/summary.json").read_text())
    assert summary["images"]["evaluated"] == 20
    assert [entry["image"] for entry in summary["images"]["skipped"]] == [f"bee/{kind}.JPEG"]
    assert summary["metrics"]["top1_acc/imagenet"]["n"] == 20


def test_what_was_done_before_a_bad_image_is_kept(imagenet, spoil):
    path = spoil("text")
    _refused(imagenet("--batch_size", "2"))
    chunks = list(imagenet.results.rglob("chunk-*.parquet"))
    assert [chunk.name for chunk in chunks] == ["chunk-00000000-00000010.parquet"]
    Image.new("RGB", (40, 40)).save(path, "JPEG")
    _refused(imagenet("--batch_size", "2"), "the images (their names, sizes or labels) changed")


def test_nothing_but_bad_images(imagenet):
    for path in imagenet.data.rglob("*.png"):
        path.write_text("x")
    _refused(imagenet("--skip_bad_images"), "none of the 20 images can be decoded")
    assert _final_files(imagenet.results) == []


def test_grey_and_cmyk_images_are_used(imagenet):
    Image.open(imagenet.data / "ant/ant_000.png").convert("L").save(imagenet.data / "ant/grey.jpg")
    cmyk = Image.open(imagenet.data / "ant/ant_001.png").convert("CMYK")
    cmyk.save(imagenet.data / "ant" / "cmyk.jpg")
    code, out, _ = imagenet()
    assert code == 0
    assert "decoded 22 images" in out


def test_unknown_model_suggests_near_names(imagenet):
    _refused(imagenet(model="resnet5O"), "resnet50")


def test_checkpoints_that_do_not_fit(imagenet, tmp_path, model_file):
    arch = ["--arch", f"{model_file}:one"]
    from bvg.zoo.loading import load_model

    state = load_model(f"{model_file}:one").state_dict()
    missing = {key: value for key, value in state.items() if key != "head.bias"}
    torch.save(missing, tmp_path / "missing.pth")
    _refused(imagenet(*arch, model=f"file://{tmp_path}/missing.pth"), "missing keys: head.bias")
    torch.save({"state_dict": state, "args": torch.nn.Linear(1, 1)}, tmp_path / "pickled.pth")
    _refused(imagenet(*arch, model=f"file://{tmp_path}/pickled.pth"), "Linear", "refused")
    _refused(imagenet(*arch, model=f"file://{tmp_path}/none.pth"), "does not exist")


@pytest.mark.parametrize(
    "words",
    ["--mean .5 .5 .5", "--std 1 1 1", "--arch vgg11", "--weights_key ema", "--weights-key ema"],
)
def test_flags_of_checkpoints_are_not_ignored_in_silence(imagenet, words):
    code, _, err = imagenet(*words.split())
    assert code == 0
    assert err.startswith(f"warning: {words.split()[0].replace('-key', '_key')} ")
    assert "file://" in err


def test_flags_of_checkpoints_are_for_the_checkpoints_of_a_call(imagenet, model_file, tmp_path):
    from bvg.zoo.loading import load_model

    raw, averaged = (load_model(f"{model_file}:{name}").state_dict() for name in ("one", "two"))
    torch.save({"model": raw, "ema": averaged}, tmp_path / "w.pth")
    models = [f"{model_file}:two", f"file://{tmp_path}/w.pth"]
    words = ["--arch", f"{model_file}:one", "--mean", "0", "0", "0", "--std", "1", "1", "1"]
    _refused(imagenet("--model", *models, *words), "--weights_key model or ema")
    code, _, err = imagenet("--model", *models, *words, "--weights_key", "ema")
    assert (code, "warning" in err) == (0, False)
    predictions = [
        read_predictions(imagenet.results / "imagenet" / name / "predictions.parquet")
        for name in ("two", "w")
    ]
    assert (predictions[0].answers == predictions[1].answers).all()
    assert (predictions[0].confidence == predictions[1].confidence).all()
    summary = (imagenet.results / "imagenet/w/summary.json").read_text()
    assert "under 'ema'" in summary


def test_statistics_for_pixels_up_to_255(imagenet, model_file, tmp_path):
    from bvg.zoo.loading import load_model

    torch.save(load_model(f"{model_file}:one").state_dict(), tmp_path / "w.pth")
    model, arch = f"file://{tmp_path}/w.pth", ["--arch", f"{model_file}:one"]
    mean, std = ["--mean", "124", "116", "104"], ["--std", "58", "57", "57"]
    _refused(imagenet(*arch, *mean, *std, model=model), "mean 124 116 104", "[0, 1]")
    _refused(imagenet(*arch, *std, model=model), "std 58 57 57", "[0, 1]")
    assert (
        imagenet(*arch, "--mean", ".5", ".5", ".5", "--std", ".2", ".2", ".2", model=model)[0] == 0
    )


def test_two_models_of_one_name(imagenet, model_file, tmp_path):
    spec = f"{model_file}:one"
    _refused(imagenet("--model", spec, spec), "two models are named 'one'", "RUNNAME=MODEL")
    assert imagenet("--model", f"first={spec}", f"second={spec}")[0] == 0
    assert (imagenet.results / "imagenet" / "second" / "summary.json").exists()


def test_a_model_of_other_classes_must_name_them(imagenet, model_file):
    model_file.write_text(model_file.read_text().replace('classes = ("ant"', 'other = ("ant"'))
    _refused(imagenet(), "4 logits, not ImageNet's 1000", "attribute `classes`")


def test_a_model_that_fails_on_images(imagenet, model_file):
    model_file.write_text(model_file.read_text().replace("nn.Conv2d(3,", "nn.Conv2d(5,"))
    _refused(imagenet(), "model one fails on an image of 224 x 224 pixels")


def test_a_results_path_that_is_a_file(imagenet, tmp_path):
    (tmp_path / "file").write_text("x")
    _refused(imagenet("--results", str(tmp_path / "file")), "--results")


def test_read_only_and_full_results_folders(imagenet, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system needs the right to mount one (root)")
    try:
        (disk / "ballast").write_bytes(b"0" * 56 * 1024)
        _refused(imagenet("--results", str(disk / "results")), "space is left")
        assert _final_files(disk) == []
        (disk / "ballast").unlink()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        _refused(imagenet("--results", str(disk / "other")), "read-only", "--results")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_device_that_is_not_there(imagenet):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    _refused(imagenet("--device", "cuda"), "--device cpu")
    _refused(imagenet("--device", "abacus"), "--device cpu")


@pytest.mark.parametrize("words", [["--limit", "0"], ["--batch_size", "x"], ["--precision", "f8"]])
def test_flags_with_values_that_make_no_sense(imagenet, words):
    with pytest.raises(SystemExit) as stop:
        imagenet(*words)
    assert stop.value.code == 2


def test_changed_weights_are_refused_and_overwritten(imagenet, model_file):
    assert imagenet()[0] == 0
    assert "already complete" in imagenet()[1]
    model_file.write_text(model_file.read_text().replace("Tiny(1)", "Tiny(7)"))
    _refused(imagenet(), "the model's Python file changed; the model's weights changed")
    assert imagenet("--overwrite")[0] == 0


def test_shape_bias_of_stimuli_that_are_not_there(model_file, tmp_path, capsys):
    argv = ["--model", f"{model_file}:one", "--results", str(tmp_path / "r")]
    outcome = eval_shape_bias.main([*argv, "--stimuli", str(tmp_path / "no")])
    _refused((outcome, "", capsys.readouterr().err), "--stimuli")
    folder = tmp_path / "stimuli"
    draw(folder / "ant" / "ant1-bee1.png", 1)
    outcome = eval_shape_bias.main([*argv, "--stimuli", str(folder)])
    _refused((outcome, "", capsys.readouterr().err), "4 classes cannot choose among 16 categories")
    assert len(CLASSES) == 4
