"""From logits to ranked answers, against plain Python."""

import numpy as np
import pytest
import torch

from bvg.data.categories import CATEGORIES, CATEGORY_INDICES
from bvg.data.imagenet import imagenet_classes
from bvg.errors import UserError
from bvg.run.decisions import (
    categories_of,
    decided,
    sixteen_way,
    top5,
    top5_and_category,
    top5_and_category_sums,
)
from oracles import straight_line

LOGITS = torch.randn(64, 1000, generator=torch.Generator().manual_seed(0)) * 4


def test_all_classes_are_ranked_best_first():
    answers = top5(LOGITS)
    expected = [straight_line.top_five(row.numpy()) for row in LOGITS]
    assert answers["answers"].tolist() == expected
    best = LOGITS.double().softmax(1).max(1).values
    np.testing.assert_allclose(answers["confidence"].numpy(), best.numpy(), rtol=1e-6)


def test_with_labels_their_probabilities_are_recorded():
    labels = torch.arange(64) * 15
    answers = decided(top5, LOGITS, labels)
    probabilities = np.exp(LOGITS.double().numpy())
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    expected = probabilities[np.arange(64), labels.numpy()]
    assert answers["label_probability"].dtype == torch.float32
    np.testing.assert_allclose(answers["label_probability"].numpy(), expected, rtol=1e-6)
    without = top5(LOGITS)
    assert {*answers} == {*without, "label_probability"}
    assert all((answers[key] == without[key]).all() for key in without)


def test_a_decision_need_not_take_labels():
    def decide(logits):
        return {"answers": logits.argmax(dim=1, keepdim=True)}

    labels = torch.zeros(64, dtype=torch.int64)
    assert (decided(decide, LOGITS, labels)["answers"][:, 0] == LOGITS.argmax(dim=1)).all()
    best = decided(sixteen_way(imagenet_classes()), LOGITS, labels)
    assert {*best} == {"answers", "confidence", "answer_max"}


def test_ties_go_to_the_first_class():
    logits = torch.zeros(2, 9)
    logits[1, [3, 7]] = 2.0
    answers = top5(logits)["answers"].tolist()
    assert answers == [[0, 1, 2, 3, 4], [3, 7, 0, 1, 2]]


def test_categories_by_mean_probability_and_by_the_best_class():
    members = {name: list(indices) for name, indices in CATEGORY_INDICES.items()}
    answers = sixteen_way(imagenet_classes())(LOGITS)
    for row, logits in enumerate(LOGITS):
        values = logits.double().numpy()
        mean_rule = straight_line.category(values, members)
        assert CATEGORIES[answers["answers"][row, 0]] == mean_rule
        best = straight_line.category_of_best(values, members)
        assert CATEGORIES[answers["answer_max"][row]] == best


def test_the_mean_is_not_the_sum():
    logits = torch.full((1, 1000), -20.0)
    logits[0, list(CATEGORY_INDICES["dog"])] = 0.0  # 110 classes share what one knife has not
    logits[0, CATEGORY_INDICES["knife"][0]] = 1.0
    answer = sixteen_way(imagenet_classes())(logits)["answers"][0, 0]
    assert CATEGORIES[answer] == "knife"


def test_a_class_of_no_category_does_not_drown_the_categories():
    logits = torch.zeros(1, 1000)
    logits[0, 0] = 300.0  # a tench: the categories' probabilities vanish in single precision
    logits[0, CATEGORY_INDICES["truck"][0]] = 5.0
    answers = sixteen_way(imagenet_classes())(logits)
    assert CATEGORIES[answers["answers"][0, 0]] == "truck"


def test_ties_between_categories_go_to_the_first_by_name():
    answers = sixteen_way(imagenet_classes())(torch.zeros(1, 1000))
    assert [CATEGORIES[k] for k in answers["answers"][0]] == list(CATEGORIES[:5])


def test_a_model_of_the_categories_themselves_answers_directly():
    names = tuple(f"shape{k:02d}" for k in range(16))
    assert categories_of(names) == names
    assert categories_of(imagenet_classes()) == CATEGORIES
    logits = torch.randn(5, 16, generator=torch.Generator().manual_seed(1))
    answers = sixteen_way(names)(logits)
    assert answers["answers"][:, 0].tolist() == logits.argmax(1).tolist()
    assert answers["answer_max"].tolist() == logits.argmax(1).tolist()
    with pytest.raises(UserError, match="10 classes cannot choose among 16 categories"):
        sixteen_way(tuple("abcdefghij"))


def test_all_classes_and_the_best_category_beside_them():
    answers = top5_and_category(imagenet_classes())(LOGITS)
    alone = top5(LOGITS)
    assert torch.equal(answers["answers"], alone["answers"])
    assert torch.equal(answers["confidence"], alone["confidence"])
    categories = sixteen_way(imagenet_classes())(LOGITS)["answers"][:, 0]
    assert torch.equal(answers["category"], categories)
    other = top5_and_category(("a", "b", "c"))(torch.randn(4, 3))
    assert other["category"].tolist() == [-1] * 4 and other["category"].dtype == torch.int16


def test_the_category_of_the_largest_sum_and_of_more_than_half():
    sharp = torch.cat([LOGITS, LOGITS * 4])  # the latter often sure of a class
    answers = top5_and_category_sums(imagenet_classes())(sharp)
    assert torch.equal(answers["answers"], top5(sharp)["answers"])
    assert torch.equal(answers["confidence"], top5(sharp)["confidence"])
    sure = 0
    for row, logits in enumerate(sharp.double().numpy()):
        exponentials = np.exp(logits - logits.max())
        sums = {
            name: sum(exponentials[index] for index in indices) / exponentials.sum()
            for name, indices in CATEGORY_INDICES.items()
        }
        best = max(sums, key=sums.__getitem__)
        assert CATEGORIES[answers["category"][row]] == best
        over = [k for k, name in enumerate(CATEGORIES) if sums[name] > 0.5]
        assert [int(answers["category_over_half"][row])] == (over or [-1])
        sure += bool(over)
    assert 5 < sure < len(sharp) - 5
    other = top5_and_category_sums(("a", "b", "c"))(torch.randn(4, 3))
    assert other["category"].tolist() == other["category_over_half"].tolist() == [-1] * 4


def test_many_classes_of_little_probability_are_more_than_half_in_sum():
    logits = torch.full((1, 1000), -20.0)
    logits[0, list(CATEGORY_INDICES["dog"])] = 0.0
    logits[0, CATEGORY_INDICES["knife"][0]] = 4.0  # of 110 + 54.6
    answers = top5_and_category_sums(imagenet_classes())(logits)
    assert CATEGORIES[answers["category"][0]] == "dog"
    assert CATEGORIES[answers["category_over_half"][0]] == "dog"
    logits[0, 0] = 5.0  # a tench, 148.4: now nothing is more than half
    answers = top5_and_category_sums(imagenet_classes())(logits)
    assert CATEGORIES[answers["category"][0]] == "dog"
    assert answers["category_over_half"].tolist() == [-1]
