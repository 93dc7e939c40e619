"""--cache_crops: several scripts on the same images decode them once, and answer the same."""

import json

import eval_imagenet
import eval_spectral
from bvg.data import loading
from conftest import draw


def _predictions(main, words, results):
    assert main([*words, "--results", str(results)]) == 0
    (file,) = results.glob("*/one/predictions.parquet")
    return file.read_bytes(), json.loads((file.parent / "summary.json").read_text())


def test_scripts_share_the_crops_and_answer_as_without(
    model_file, val_folder, tmp_path, monkeypatch
):
    words = ["--model", f"{model_file}:one", "--imagenet", str(val_folder(3)), "--batch_size", "5"]
    plain = [_predictions(script.main, words, tmp_path / script.__name__) for script in SCRIPTS]
    cached = [*words, "--cache_crops", str(tmp_path / "cache")]
    decoded = []
    decode = loading.decode
    monkeypatch.setattr(loading, "decode", lambda path: (decoded.append(path), decode(path))[1])
    counts = []
    for script, (answers, summary) in zip(SCRIPTS, plain, strict=True):
        again, described = _predictions(script.main, cached, tmp_path / f"{script.__name__}-2")
        counts.append(len(decoded))
        assert again == answers
        assert described["metrics"] == summary["metrics"]
        assert described["identity"] == summary["identity"]
    assert counts[0] == 12  # and the figure of the second script decodes one image again
    assert counts[1] <= 13


def test_folder_is_found_by_the_variable(model_file, val_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("BVG_CACHE", str(tmp_path / "mine"))
    words = ["--model", f"{model_file}:one", "--imagenet", str(val_folder(1)), "--cache-crops"]
    _predictions(eval_imagenet.main, words, tmp_path / "results")
    (index,) = (tmp_path / "mine" / "crops").glob("*/index.jsonl")
    assert len(index.read_text().splitlines()) == 4


def test_replaced_images_are_refused_as_without_a_cache(model_file, val_folder, tmp_path, capsys):
    data = val_folder(1)
    words = ["--model", f"{model_file}:one", "--imagenet", str(data), "--cache_crops"]
    words += [str(tmp_path / "cache"), "--results", str(tmp_path / "results")]
    assert eval_imagenet.main(words) == 0
    draw(data / "val" / "ant" / "ant_000.png", 5, size=(90, 70))
    assert eval_imagenet.main(words) == 2
    assert "--overwrite" in capsys.readouterr().err


SCRIPTS = (eval_imagenet, eval_spectral)
