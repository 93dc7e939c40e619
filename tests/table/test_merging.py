import json

import pytest

from bvg.scores.metric import Metric
from bvg.table.merging import NO_WEIGHTS, apart, chosen, merge, remarks, renamed, same_models
from bvg.table.sources import from_folder
from collection_helpers import accuracy, finish, imagenet, observe
from conftest import refusal


def results_of(folder):
    return from_folder(folder)[0]


def test_a_row_per_model_and_a_column_per_measure(tmp_path):
    finish(tmp_path, "imagenet", "b", imagenet(70))
    finish(tmp_path, "imagenet", "a", imagenet(60))
    finish(tmp_path, "imagenet_v2", "a", {"top1_acc/imagenet-v2": accuracy(50, 10_000)})
    table = merge(results_of(tmp_path))
    assert table.models == ["a", "b"]
    assert table.columns == ["top1_acc/imagenet", "top1_acc/imagenet-v2"]
    assert table.cells["a", "top1_acc/imagenet-v2"].value == 50
    assert ("b", "top1_acc/imagenet-v2") not in table.cells


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"limit": 500}, "limit was not given and is now 500"),
        ({"precision": "bf16"}, "precision was fp32 and is now bf16"),
        ({"count": 400}, "the number of images was 50000 and is now 400"),
    ],
)
def test_two_protocols_in_one_column_are_refused(changed, words, tmp_path):
    finish(tmp_path, "imagenet", "a", imagenet(60))
    finish(tmp_path, "imagenet", "b", imagenet(70), **changed)
    sentence = refusal(merge, results_of(tmp_path))
    assert "imagenet was evaluated in 2 ways (from a to b" in sentence
    assert words in sentence
    assert ("--allow" in sentence) == ("count" not in changed)


def test_or_split_into_columns_of_their_own(tmp_path):
    finish(tmp_path, "imagenet", "a", imagenet(60), limit=500)
    for name in "bc":
        finish(tmp_path, "imagenet", name, imagenet(70))
    table = merge(results_of(tmp_path), split=True)
    plain, other = table.columns
    assert (plain, other) == ("top1_acc/imagenet", "top1_acc/imagenet [protocol 2]")
    assert {model for model, column in table.cells if column == plain} == {"b", "c"}
    assert table.protocols["imagenet [protocol 2]"]["protocol"]["limit"] == 500
    assert table.protocols["imagenet"]["protocol"]["limit"] is None
    assert [table.protocols[key]["models"] for key in sorted(table.protocols)] == [2, 1]


def test_or_allowed_by_name(tmp_path):
    finish(tmp_path, "imagenet", "a", imagenet(60), seed=1)
    finish(tmp_path, "imagenet", "b", imagenet(70), seed=2)
    assert "seed was 1 and is now 2" in refusal(merge, results_of(tmp_path))
    assert merge(results_of(tmp_path), allowed=("seed",)).columns == ["top1_acc/imagenet"]


def test_two_sets_of_weights_in_one_row_are_refused(tmp_path):
    finish(tmp_path, "imagenet", "a", imagenet(60), weights="one")
    finish(tmp_path, "imagenet_v2", "a", {}, weights="two")
    sentence = refusal(merge, results_of(tmp_path))
    assert sentence.startswith("a is another model in imagenet_v2/a than in imagenet/a")
    assert "the model's weights changed" in sentence


@pytest.mark.parametrize(
    ("entry", "same"),
    [("templates", False), ("text_sha256", False), ("spec", True), ("file_sha256", True)],
)
def test_a_model_is_known_by_its_texts_too(tmp_path, entry, same):
    for name, value in (("imagenet", "one"), ("imagenet_v2", "two")):
        path = finish(tmp_path, name, "a", {f"top1_acc/{name}": accuracy(60)}) / "summary.json"
        summary = json.loads(path.read_text())
        summary["identity"]["model"][entry] = value
        path.write_text(json.dumps(summary))
    if same:
        assert len(merge(results_of(tmp_path)).cells) == 2
    else:
        assert "a is another model in" in refusal(merge, results_of(tmp_path))


def test_an_observer_of_a_models_name_has_a_row_of_its_own(tmp_path):
    finish(tmp_path, "imagenet", "resnet50", imagenet(76))
    for name in ("humans", "resnet50"):
        observe(tmp_path, name, {"shape-bias": Metric(0.2, n=1200)})
    results, notes = apart(results_of(tmp_path))
    table = merge(results)
    assert table.models == ["humans", "resnet50", "resnet50 (decisions)"]
    assert table.observers == ["humans", "resnet50 (decisions)"]
    assert [column for model, column in table.cells if model == "resnet50"] == ["top1_acc/imagenet"]
    assert len(notes) == 1 and "resnet50 (decisions)" in notes[0]


PROBE = {"size": 224, "coarse": False, "parameters": 0, "spread": 1.0, "logits": [1.0, -2.0]}


def _probed(folder, benchmark: str, probe: dict | None) -> None:
    """Write a result of the model `a`, whose weights PyTorch knows nothing of."""
    metrics = {f"top1_acc/{benchmark}": accuracy(60)}
    path = finish(folder, benchmark, "a", metrics, weights="none") / "summary.json"
    record = json.loads(path.read_text())
    if probe:
        record["identity"]["model"]["probe"] = probe
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (PROBE, True),
        (PROBE | {"logits": [1.001, -2.002]}, True),  # another device
        (PROBE | {"size": 288, "logits": [5.0, 5.0]}, True),  # in its own view
        (None, True),  # recorded before there was a probe
        (PROBE | {"logits": [1.5, -2.0]}, False),
        (PROBE | {"logits": [-1.0, 2.0]}, False),
    ],
)
def test_models_with_hidden_weights_are_told_apart_by_the_probe(tmp_path, other, same):
    _probed(tmp_path, "imagenet", PROBE)
    _probed(tmp_path, "imagenet_v2", other)
    if same:
        assert merge(results_of(tmp_path)).models == ["a"]
    else:
        assert "--overwrite" in refusal(merge, results_of(tmp_path))


@pytest.mark.parametrize(
    ("change", "ways"), [({}, 1), ({"logits": [1.001, -2.0]}, 1), ({"logits": [3.0, 1.0]}, 2)]
)
def test_a_probe_of_the_attacked_model_makes_no_protocol_of_its_own(tmp_path, change, ways):
    source = {"spec": "victim", "weights_sha256": "v"}
    known = PROBE | {"parameters": 9}
    for model, probe in (("a", known), ("b", known | change)):
        probed = source | {"probe": probe}
        finish(tmp_path, "imagenet_adv", model, {"top1_acc/clean": accuracy(60)}, source=probed)
    table = merge(results_of(tmp_path), split=True)
    assert len(table.protocols) == ways
    assert table.protocols["imagenet_adv"]["protocol"]["source"] == source


def test_models_that_share_weights_are_named(tmp_path):
    finish(tmp_path, "imagenet", "tv_resnet50", imagenet(60), weights="one")
    finish(tmp_path, "imagenet_v2", "mine", {}, weights="one")
    finish(tmp_path, "imagenet", "other", imagenet(60), weights="two")
    (sentence,) = same_models(results_of(tmp_path))
    assert sentence.startswith("mine and tv_resnet50 have the same weights")
    assert "--without" in sentence


def test_models_without_registered_weights_are_not_the_same(tmp_path):
    for name in "ab":
        finish(tmp_path, "imagenet", name, imagenet(60), weights=NO_WEIGHTS)
    assert same_models(results_of(tmp_path)) == []


def test_two_values_in_one_cell_are_refused_and_equal_ones_are_one(tmp_path):
    finish(tmp_path, "imagenet_shape_bias", "a", {"shape-bias": Metric(0.25, n=1200)})
    finish(tmp_path, "imagenet_model_vs_human", "a", {"shape-bias": Metric(0.25, n=1200)})
    assert len(merge(results_of(tmp_path)).cells) == 1
    other = tmp_path / "other"
    finish(other, "imagenet_shape_bias", "a", {"shape-bias": Metric(0.25, n=1200)})
    finish(other, "imagenet_model_vs_human", "a", {"shape-bias": Metric(0.3, n=1200)})
    sentence = refusal(merge, results_of(other))
    assert "shape-bias of a is 0.3 in imagenet_model_vs_human/a and 0.25" in sentence


def test_one_column_from_two_benchmarks_is_of_as_many_images(tmp_path):
    finish(tmp_path, "imagenet_shape_bias", "a", {"shape-bias": Metric(0.25, n=600)})
    finish(tmp_path, "imagenet_model_vs_human", "b", {"shape-bias": Metric(0.3, n=1200)})
    assert "shape-bias is of 1,200 images in imagenet_model_vs_human/b and of 600 in" in refusal(
        merge, results_of(tmp_path)
    )


@pytest.mark.parametrize(
    ("entry", "value"),
    [("precision", "bf16"), ("preprocessing", {"resize": 288, "crop": 288}), ("seed", 1)],
)
def test_one_column_from_two_benchmarks_is_of_one_protocol(tmp_path, entry, value):
    for k, (name, how) in enumerate((("shape_bias", {}), ("model_vs_human", {entry: value}))):
        metrics = {"shape-bias": Metric(0.25, n=1200)}
        finish(tmp_path, f"imagenet_{name}", "ab"[k], metrics, **how)
    results = results_of(tmp_path)
    sentence = refusal(merge, results)
    assert "shape-bias was measured in two ways" in sentence and entry in sentence
    assert merge(results, allowed=(entry,)).models == ["a", "b"]


def test_parts_of_the_images_are_said(tmp_path):
    finish(tmp_path, "imagenet", "a", imagenet(60), limit=500)
    for model, images in (("a", {"skipped": ["x", "y"]}), ("b", {"partial": {"images": 900}})):
        path = finish(tmp_path, "imagenet_v2", model, {}) / "summary.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"images": images}))
    finish(tmp_path, "imagenet_r", "a", {})
    notes = remarks(results_of(tmp_path))
    assert [note.partition(" ")[0] for note in notes] == ["imagenet", "imagenet_v2", "imagenet_v2"]
    assert "--limit 500" in notes[0] and "--partial" in notes[1] and "up to 2 were" in notes[2]


@pytest.mark.parametrize(("model", "notes"), [("resnet50.tv_in1k", 1), ("miniature_plain", 0)])
def test_the_miniatures_data_sets_have_numbers_of_their_own(model, notes, tmp_path):
    path = finish(tmp_path, "imagenet_model_vs_human", model, {}) / "summary.json"
    images = {"data_sets": {}, "partial": {"colour": {"images": 32, "expected_images": 1280}}}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"images": images}))
    assert len(remarks(results_of(tmp_path))) == notes


def test_benchmarks_that_were_not_evaluated_alike_are_said(tmp_path):
    ready = {"crop": 224, "keep_ready": True}
    finish(tmp_path, "imagenet", "a", imagenet(60))
    finish(tmp_path, "imagenet_c", "a", {}, preprocessing=ready)
    assert remarks(results_of(tmp_path)) == []
    finish(tmp_path, "imagenet_v2", "a", {}, precision="bf16")
    finish(tmp_path, "imagenet_r", "a", {}, preprocessing={"resize": 288, "crop": 288})
    precision, view = remarks(results_of(tmp_path))
    assert "bf16 in imagenet_v2" in precision
    assert "288 of 288 px in imagenet_r" in view and "imagenet_c" not in view
    assert remarks(results_of(tmp_path), ("preprocessing",)) == [precision]


def test_doubtful_results_are_said(tmp_path):
    """A model that guesses, a summary that was edited, no protocol, and a folder renamed."""
    for name, value in (("a", 60), ("b", 75), ("tv_resnet50", 60), ("resnet50_dino", 60)):
        path = finish(tmp_path, "imagenet", name, imagenet(60)) / "summary.json"
        summary = json.loads(path.read_text())
        summary["metrics"]["top1_acc/imagenet"]["value"] = value
        if name == "a":
            summary["warning"] = "its answers are no better than guesses"
            del summary["identity"]["protocol"]
        if name == "tv_resnet50":
            summary["identity"]["model"]["spec"] = "resnet50_dino"
        path.write_text(json.dumps(summary))
    renamed_model, guesses, protocol, edited = remarks(results_of(tmp_path))
    assert renamed_model == (
        "the results of tv_resnet50 are of resnet50_dino, another model of the zoo"
    )
    assert guesses == "imagenet/a: its answers are no better than guesses"
    assert protocol.startswith("imagenet/a: its protocol")
    assert edited.startswith("imagenet/b: top1_acc/imagenet is 75") and "59 to 61" in edited


def test_undefined_values_give_way_to_defined_ones(tmp_path):
    finish(tmp_path, "imagenet_shape_bias", "a", {"shape-bias": Metric(0.25, n=1200)})
    finish(tmp_path, "imagenet_model_vs_human", "a", {"shape-bias": Metric(None, n=1200, note="x")})
    assert merge(results_of(tmp_path)).cells["a", "shape-bias"].value == 0.25


def test_what_is_chosen_and_left_out(tmp_path):
    for model in "ab":
        finish(tmp_path, "imagenet", model, imagenet(60))
        finish(tmp_path, "imagenet_v2", model, {})
    results = results_of(tmp_path)

    def names(*arguments):
        return [f"{r.benchmark}/{r.model}" for r in chosen(results, *arguments)]

    assert names(["a"], [], []) == ["imagenet/a", "imagenet_v2/a"]
    assert names([], ["imagenet"], []) == ["imagenet/a", "imagenet/b"]
    assert names([], [], ["b", "imagenet_v2/a"]) == ["imagenet/a"]
    finish(tmp_path, "imagenet", "c", imagenet(60))
    (tmp_path / "old").mkdir()
    (tmp_path / "imagenet" / "c").rename(tmp_path / "old" / "a")
    results = results_of(tmp_path)  # a second result of one model and benchmark
    assert names(["a"], ["imagenet"], []) == ["imagenet/a"] * 2
    assert [r.source for r in chosen(results, ["a"], ["imagenet"], ["old/a"])] == ["imagenet/a"]
    assert "no result is of 'z'" in refusal(chosen, results, ["z"], [], [])
    assert "no results remain" in refusal(chosen, results, [], [], ["a", "b"])


def test_generated_corruptions_may_count_as_imagenet_c(tmp_path):
    metrics = {"top1_acc/imagenet-c": accuracy(40)}
    finish(tmp_path, "imagenet_c_generated", "a", metrics)
    results = results_of(tmp_path)
    assert merge(results).columns == ["imagenet_c_generated/top1_acc/imagenet-c"]
    as_c = renamed(results, {"imagenet_c_generated": "imagenet_c"})
    assert merge(as_c).columns == ["top1_acc/imagenet-c"]


def _compared(results, model, value, humans):
    metrics = {"top1_acc/edge": accuracy(50), "error-consistency/edge": Metric(value)}
    name = "imagenet_model_vs_human"
    finish(results, name, model, metrics, scored_with={"humans": humans})


def test_comparisons_with_other_humans_are_no_column(tmp_path):
    _compared(tmp_path, "a", 0.2, "10 observers")
    _compared(tmp_path, "b", 0.3, "10 observers")
    _compared(tmp_path, "c", 0.4, "2 observers")
    _compared(tmp_path, "d", None, None)
    sentence = refusal(merge, results_of(tmp_path))
    assert "10 observers" in sentence and "2 observers" in sentence and "--allow" in sentence
    table = merge(results_of(tmp_path), split=True)
    column = "error-consistency/edge"
    assert table.cells["b", column].value == 0.3
    assert ("c", column) not in table.cells
    assert table.cells["c", f"{column} [protocol 2]"].value == 0.4
    assert table.cells["d", "top1_acc/edge"].value == 50
    assert table.cells["c", "top1_acc/edge [protocol 2]"].value == 50
    allowed = merge(results_of(tmp_path), allowed=("humans",))
    assert allowed.cells["c", column].value == 0.4


def test_results_without_humans_share_a_column_with_any(tmp_path):
    _compared(tmp_path, "a", 0.2, "10 observers")
    _compared(tmp_path, "b", None, None)
    finish(tmp_path, "imagenet_model_vs_human", "old", {"top1_acc/edge": accuracy(40)})
    table = merge(results_of(tmp_path))
    assert [table.cells[m, "top1_acc/edge"].value for m in ("a", "b", "old")] == [50, 50, 40]


def test_results_that_record_no_constants_are_of_the_published_ones(tmp_path):
    """Those of earlier versions, however many others are of a changed script."""
    key = "metric/bandpass/LPP"
    for name, cutoffs in (("one", "0.2 0.3"), ("two", "0.2 0.3"), ("old", None)):
        scored_with = {"mean_cutoffs": cutoffs} if cutoffs else None
        finish(tmp_path, "imagenet_spectral", name, {key: Metric(0.5)}, scored_with=scored_with)
    assert "mean_cutoffs" in refusal(merge, results_of(tmp_path))
    published = {"mean_cutoffs": "0.1 0.2 0.3 0.4 0.5"}
    finish(tmp_path, "imagenet_spectral", "new", {key: Metric(0.5)}, scored_with=published)
    rest = [result for result in results_of(tmp_path) if result.model in ("old", "new")]
    assert merge(rest).columns == [key]
