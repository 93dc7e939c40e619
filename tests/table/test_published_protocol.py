"""Scripts whose constants were changed on purpose: the table says so, and compares nothing."""

import json

import pytest
import torch

import collect
import eval_criticalband
import eval_imagenet_adv
import eval_imagenet_c
import eval_imagenet_cbar
import eval_imagenet_w
import eval_spectral
import eval_suppression
from bvg.analysis.standing import own_results, standing
from bvg.data.categories import CATEGORIES, CATEGORY_INDICES
from bvg.data.imagenet import imagenet_classes
from bvg.run.decisions import protocol_of, sixteen_way
from bvg.stimuli.attacks import Attack
from bvg.stimuli.suppression import bilateral
from bvg.table.published_protocol import PUBLISHED, departures
from conftest import draw_val, write_model
from standing_helpers import own_table, published_rows, result


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    draw_val(folder, 2)
    return folder, f"{write_model(folder)}:one"


@pytest.fixture
def record(world, tmp_path, monkeypatch):
    """Return a function that runs a script without figures, and returns its result's record."""
    data, model = world

    def run(script, *words):
        monkeypatch.setattr(script, "figures", lambda *_: None, raising=False)
        argv = ["--model", model, "--imagenet", str(data), "--num_workers", "0"]
        assert script.main([*argv, "--results", str(tmp_path / "results"), *words]) == 0
        (path,) = (tmp_path / "results").glob("*/*/summary.json")
        summary = json.loads(path.read_text())
        identity = summary["identity"]
        return identity["benchmark"], identity["protocol"] | summary.get("scored_with", {})

    return run


@pytest.mark.parametrize(
    "script", [eval_spectral, eval_criticalband, eval_imagenet_adv, eval_suppression]
)
def test_the_scripts_are_of_the_published_protocol_and_record_it(script, record):
    benchmark, found = record(script, "--limit", "4")
    assert PUBLISHED[benchmark].keys() <= found.keys()
    assert departures(benchmark, found) == []


def test_so_are_those_of_other_data():
    for name, data in (
        ("imagenet_c", eval_imagenet_c.IMAGENET_C),
        ("imagenet_cbar", eval_imagenet_cbar.IMAGENET_CBAR),
    ):
        assert PUBLISHED[name] == {"mean_of": " ".join(data.corruptions)}
    watermark = PUBLISHED["imagenet_w"]
    assert watermark["text"] == eval_imagenet_w.TEXT
    assert watermark["alpha"] == eval_imagenet_w.ALPHA
    assert watermark["position"] == [*eval_imagenet_w.POSITION]


@pytest.mark.parametrize(
    ("script", "constant", "value", "said"),
    [
        (eval_spectral, "MEAN_CUTOFFS", (0.2, 0.3), "0.2 0.3 instead of 0.1 0.2 0.3 0.4 0.5"),
        (eval_criticalband, "BANDS", (1, 2, 3, 4, 5), "1 2 3 4 5 instead of"),
        (
            eval_imagenet_adv,
            "ATTACKS",
            {"pgd": ("PGD-{steps}", Attack(steps=40, step=1 / 255), ["0.5/255"])},
            "step 0.003922 instead of 0.007843",
        ),
        (
            eval_suppression,
            "CUES",
            eval_suppression.CUES | {"texture": (bilateral(8, 110),)},
            "texture bilateral/8/110",
        ),
    ],
)
def test_another_constant_is_a_departure(script, constant, value, said, record, monkeypatch):
    monkeypatch.setattr(script, constant, value)
    (phrase,) = departures(*record(script, "--limit", "4"))
    assert said in phrase


def test_another_mapping_of_categories_is_recorded_and_a_departure():
    classes = imagenet_classes()
    decide = sixteen_way(classes, CATEGORY_INDICES | {"oven": (766, 827)})
    logits = torch.full((1, 1000), -10.0)
    logits[0, 827] = 10.0  # no class of a published category
    assert CATEGORIES[decide(logits)["answers"][0, 0]] == "oven"
    (phrase,) = departures("imagenet_shape_bias", protocol_of(decide))
    assert "oven: 766 827 instead of" in phrase
    assert protocol_of(sixteen_way(classes)) == {}


def test_results_of_earlier_versions_are_not_suspected():
    assert departures("imagenet_spectral", {"cutoffs": [0.1, 0.5]}) == []
    assert departures("of_ones_own", {"cutoffs": [0.1, 0.5]}) == []


def test_the_table_says_so(record, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(eval_spectral, "MEAN_CUTOFFS", (0.2, 0.3))
    record(eval_spectral)
    out = tmp_path / "table"
    assert collect.main(["--results", str(tmp_path / "results"), "--out", str(out)]) == 0
    notes = json.loads((out / "provenance.json").read_text())["notes"]
    (note,) = [note for note in notes if "imagenet_spectral" in note]
    assert "mean_cutoffs 0.2 0.3 instead of 0.1 0.2 0.3 0.4 0.5" in note
    assert note in capsys.readouterr().out


def test_it_has_no_place_among_published_values(tmp_path):
    column = "metric/bandpass/LPP"

    def place(folder, cutoffs):
        known = result("mine", "imagenet_spectral")
        known["identity"]["scored_with"] = {"mean_cutoffs": cutoffs}
        table = own_table(folder, {"mine": {column: 0.5}}, [known])
        rows = published_rows(("a", 0.6), ("b", 0.4), measure=column)
        (row,) = standing(own_results(table, {column})[0], rows).to_dict("records")
        return row["of"], row["reason"]

    assert place(tmp_path / "as_published", "0.1 0.2 0.3 0.4 0.5") == (2, "")
    of, reason = place(tmp_path / "other", "0.2 0.3")
    assert of == 0 and "0.2 0.3 instead of" in reason
