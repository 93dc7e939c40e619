import pytest

from bvg.published.faults import other_images
from bvg.published.reading import TOP1, Value
from bvg.published.tables import read_published

C, OOD, ADVERSARIAL = "relative-acc/imagenet-c/15", "relative-acc/ood", "relative-acc/adversarial"


def values_of(model: str, accuracy: float, corrupted: float) -> list[Value]:
    of = {TOP1: accuracy, C: corrupted, OOD: 0.5, ADVERSARIAL: 0.1, "shape-bias": 0.2}
    return [Value(model, measure, value, "index.html", "1") for measure, value in of.items()]


def test_robustness_of_accurate_models_that_fail_on_corruptions_is_dropped():
    values = [
        *values_of("a1", 80.4, 0.05),  # elsewhere 0.63
        *values_of("alexnet", 56.5, 0.34),
        *values_of("bagnet9", 45.8, 0.15),
        *values_of("resnet50", 76.1, 0.51),
    ]
    kept, sentences = other_images(values)
    assert [v for v in kept if v.model != "a1"] == values[5:]
    assert {v.measure for v in kept if v.model == "a1"} == {TOP1, "shape-bias"}
    assert len(sentences) == 1
    assert "of a1." in sentences[0]
    assert other_images(values[5:]) == (values[5:], [])


@pytest.mark.parametrize("source", ["testbed", "robustbench"])
def test_no_accurate_network_of_another_table_would_be_dropped(source):
    table = read_published()
    own = table[table["source"] == source].pivot_table("value", "model", "measure")
    column = "top1_acc/imagenet-c/15"
    share = (own[column] / own[TOP1])[own[TOP1] > 60].dropna()
    assert len(share) >= 5
    assert share.min() > 0.25
