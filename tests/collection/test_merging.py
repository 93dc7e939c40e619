import pytest

from collection.merging import NO_WEIGHTS, chosen, merge, renamed, same_models
from collection.sources import from_folder
from collection_helpers import accuracy, finish, imagenet
from conftest import refusal
from scoring.metric import Metric


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
    assert "imagenet was measured in 2 ways (from a to b" in sentence
    assert words in sentence


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


def test_or_allowed_by_name(tmp_path):
    finish(tmp_path, "imagenet", "a", imagenet(60), seed=1)
    finish(tmp_path, "imagenet", "b", imagenet(70), seed=2)
    assert "seed was 1 and is now 2" in refusal(merge, results_of(tmp_path))
    assert merge(results_of(tmp_path), allowed=("seed",)).columns == ["top1_acc/imagenet"]


def test_two_sets_of_weights_in_one_row_are_refused(tmp_path):
    finish(tmp_path, "imagenet", "a", imagenet(60), weights="one")
    finish(tmp_path, "imagenet_v2", "a", {}, weights="two")
    sentence = refusal(merge, results_of(tmp_path))
    assert sentence.startswith("a has other weights in imagenet_v2/a than in imagenet/a")


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
    assert "no result is of 'z'" in refusal(chosen, results, ["z"], [], [])
    assert "nothing is left" in refusal(chosen, results, [], [], ["a", "b"])


def test_generated_corruptions_may_count_as_imagenet_c(tmp_path):
    metrics = {"top1_acc/imagenet-c": accuracy(40)}
    finish(tmp_path, "imagenet_c_generated", "a", metrics)
    results = results_of(tmp_path)
    assert merge(results).columns == ["imagenet_c_generated/top1_acc/imagenet-c"]
    as_c = renamed(results, {"imagenet_c_generated": "imagenet_c"})
    assert merge(as_c).columns == ["top1_acc/imagenet-c"]
