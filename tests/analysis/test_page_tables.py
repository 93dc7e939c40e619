import json

import numpy as np
import pytest

from bvg.analysis.study import analyse
from bvg.page.stimuli import example_stimuli
from bvg.page.tables import matrices, runs
from bvg.page.tables import tests as rows_of_tests
from conftest import draw, refusal
from study_helpers import made_up, quick, read


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    frame = made_up(9)
    frame["metric/bandpass/HPP"] = 0.25
    with pytest.MonkeyPatch.context() as patch:
        quick(patch)
        return analyse(read(frame, tmp_path_factory.mktemp("table")))


def test_matrices_have_a_cell_for_every_pair(study):
    total, at, other = matrices(study)
    assert [m["n"] for m in (total, at, other)] == [9, 3, 6]
    assert total["targets"][:5] == ["ID", "Robustness", "Concepts", "Adversarial", "ImageNet"]
    assert total["aggregates"] == 4
    assert {len(cells) for _, cells in total["rows"]} == {14}
    cells = dict(total["rows"])
    constant = cells["high-frequency bias"][0]
    assert (constant["r"], constant["weak"], constant["shade"]) == ("–", True, 0)
    assert "all 9 models have the same value" in constant["said"]
    assert constant.keys() == cells["shape bias"][0].keys()
    row = study.correlations.iloc[0]
    assert cells["shape bias"][0]["r"] == f"{row['r']:.2f}".replace("-", "−")
    assert "after Holm's correction" in cells["shape bias"][0]["said"]


def perfect(models: int, tmp_path):
    frame = made_up(models)
    frame["shape-bias"] = np.linspace(0.1, 0.9, models)
    for name in ("imagenet", "imagenet-v2", "imagenet-real"):
        frame[f"top1_acc/{name}"] = np.linspace(30, 80, models)
    frame.loc["model_1", "top1_acc/imagenet-r"] = np.nan
    return analyse(read(frame, tmp_path))


@pytest.mark.parametrize(("models", "weak", "p"), [(4, True, "= 0.08"), (5, False, "= 0.02")])
def test_bold_faint_and_frames_follow_the_permutation_p(models, weak, p, tmp_path, monkeypatch):
    quick(monkeypatch)
    total = matrices(perfect(models, tmp_path))[0]
    cell = dict(total["rows"])["shape bias"][0]
    assert (cell["r"], cell["weak"], cell["survives"]) == ("1.00", weak, False)
    assert not cell["zero"]  # t's p is 0, which only the study's look follows
    assert f"p {p} by permutation" in cell["said"]
    assert "t approximation" not in cell["said"]
    assert cell["range"] == ""  # resamples of so few say nothing
    assert ("too few for p < 0.05" in total["note"]) == weak


def test_n_is_shown_where_it_is_less_than_the_groups(tmp_path, monkeypatch):
    quick(monkeypatch)
    total = matrices(perfect(12, tmp_path))[0]
    cells = dict(zip(total["targets"], dict(total["rows"])["shape bias"], strict=True))
    shown = {name: cell["n"].replace("\u00a0", " ") for name, cell in cells.items() if cell["n"]}
    assert shown == {"Concepts": "n = 11", "R": "n = 11"}
    assert "n = 12" in cells["ID"]["said"]
    assert "by the t approximation, as in the study, p < 0.0001" in cells["ID"]["said"]


def test_tests_are_sorted_by_size_and_leave_out_what_is_undefined(study):
    rows = rows_of_tests(study)
    defined = study.correlations["r"].notna().sum()
    assert len(rows) == defined
    sizes = [abs(float(row[4].replace("−", "-"))) for row in rows]
    assert sizes == sorted(sizes, reverse=True)


def test_runs_are_told_from_the_provenance(tmp_path):
    assert runs(tmp_path / "benchmark.csv") == ([], [])
    protocol = {
        "limit": 48,
        "precision": "fp32",
        "severities": [1, 3, 5],
        "seed": 0,
        "corruptions": ["a"] * 19,
        "as_published": False,
        "preprocessing": {"crop": 224},
    }
    record = {
        "protocols": {"imagenet_c": {"protocol": protocol, "images": {"count": 48}, "models": 1}},
        "results": {},
        "notes": ["imagenet of a failed: boom"],
    }
    (tmp_path / "provenance.json").write_text(json.dumps(record))
    (run,), notes = runs(tmp_path / "benchmark.csv")
    assert notes == ["imagenet of a failed: boom"]
    assert (run["benchmark"], run["models"], run["images"]) == ("imagenet_c", 1, 48)
    assert run["how"] == (
        "a class-balanced subset (limit 48); fp32; crop 224; severities: 1 3 5; "
        "corruptions: 19 of them"
    )
    (tmp_path / "provenance.json").write_text("{")
    assert "cannot be read" in refusal(runs, tmp_path / "benchmark.csv")


def test_an_attack_is_told_in_words(tmp_path):
    attack = {"steps": 40, "step": 2 / 255, "random_start": True, "decay": False, "norm": "Linf"}
    how = {"protocol": {"attacks": {"PGD-40": attack, "FGSM": {}}, "eps": ["1/255"]}, "images": {}}
    record = {"protocols": {"imagenet_adv_pgd": how}, "results": {}}
    (tmp_path / "provenance.json").write_text(json.dumps(record))
    (run,), notes = runs(tmp_path / "benchmark.csv")
    assert run["how"] == (
        "attacks: PGD-40 (steps 40, step 0.00784, random start, norm Linf), FGSM; eps: 1/255"
    )
    assert notes == []


def test_stimuli_are_those_that_the_benchmarks_drew(tmp_path):
    assert example_stimuli(None) == []
    assert example_stimuli(tmp_path) == []
    draw(tmp_path / "imagenet_spectral" / "example_stimuli.png", 0, (2000, 300))
    folder = tmp_path / "imagenet_shape_bias" / "a"
    folder.mkdir(parents=True)
    summary = {"images": {"folder": str(tmp_path / "cues")}}
    (folder / "summary.json").write_text(json.dumps(summary))
    assert [e["width"] for e in example_stimuli(tmp_path)] == [1400]
    for number in range(7):
        draw(tmp_path / "cues" / "bear" / f"bear{number}-cat1.png", number, (224, 224))
    cues, spectral = example_stimuli(tmp_path)
    assert cues["height"] == 224
    assert spectral["height"] == 210
    assert spectral["data"].startswith("data:image/webp;base64,")
