"""Logits → ranked answers.

A decision maps (B, classes) logits to columns: `answers` (B, K) int16, best first; `confidence`
(B,) float32, the probability of the best answer; and further columns of a benchmark, (B,) int16 or
float32. A decision with a second parameter is also given the labels, (B,) int64.
Ties go to the class with the lower index, on every device: sorts are stable.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from inspect import signature

import torch

from bvg.data.categories import CATEGORIES, CATEGORY_INDICES
from bvg.data.imagenet import are_imagenet
from bvg.errors import UserError, first_few
from bvg.predictions.table import LABEL_PROBABILITY
from bvg.stimuli.batch import on_device

Decision = Callable[..., dict[str, torch.Tensor]]
RANKS = 5  # answers kept per image
UNRESTRICTED = tuple(f"unrestricted_{rank}" for rank in range(1, RANKS + 1))


def decided(
    decide: Decision, logits: torch.Tensor, labels: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return the columns of a decision, which need not take the labels."""
    return decide(logits, labels) if len(signature(decide).parameters) > 1 else decide(logits)


def top5(logits: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    """Return the five best classes (fewer if the model has fewer).

    With labels, adds `label_probability`, the probability of each label, (B,) float32.
    """
    probabilities = _wide(logits).softmax(dim=1)
    answers = _ranked(logits.float(), probabilities)
    if labels is not None:
        answers[LABEL_PROBABILITY] = probabilities.gather(1, labels[:, None])[:, 0].float()
    return answers


def top5_among(classes: Sequence[int]) -> Decision:
    """Return the decision among the classes with these indices.

    This is how ImageNet-A and -R, which have 200 of the 1000 classes, are scored (Hendrycks et al.
    2021). Adds `unrestricted_1` to `unrestricted_5`: the best five of all the model's classes, -1
    if it has fewer.
    """
    chosen = tuple(sorted(classes))

    def decide(logits: torch.Tensor) -> dict[str, torch.Tensor]:
        of_all = _ranked(logits.float(), logits)["answers"]
        missing = of_all.new_full((len(of_all), RANKS - of_all.shape[1]), -1)
        indices = _on(logits.device, chosen)
        among = logits[:, indices]
        ranked = _ranked(among.float(), _wide(among).softmax(dim=1))
        ranked["answers"] = indices[ranked["answers"].long()].to(torch.int16)
        unrestricted = torch.cat([of_all, missing], dim=1)
        return ranked | dict(zip(UNRESTRICTED, unrestricted.unbind(dim=1), strict=True))

    return decide


def sixteen_way(classes: tuple[str, ...]) -> Decision:
    """Return the decision among 16 entry-level categories (Geirhos et al. 2018).

    classes: of the model's logits. For ImageNet's, categories are ranked by the mean probability of
    their classes. Adds `answer_max`, an alternative rule (ood-benchmarks): the category of the best
    among the classes that belong to a category. For a model whose classes are the categories, both
    rules are the identity. Raises UserError for a model of any other classes.
    """
    if categories_of(classes) == classes:
        return _both_rules
    members = [list(indices) for indices in CATEGORY_INDICES.values()]
    flat = [index for indices in members for index in indices]
    category_of = tuple(k for k, indices in enumerate(members) for _ in indices)

    def decide(logits: torch.Tensor) -> dict[str, torch.Tensor]:
        means = _category_means(_wide(logits).softmax(dim=1))
        answers = _ranked(means, means)
        best = of_classes(logits, flat).float().argmax(dim=1)
        answers["answer_max"] = _on(best.device, category_of)[best].to(torch.int16)
        return answers

    return decide


def best_groups(groups: Sequence[Sequence[int]]) -> Decision:
    """Return the decision among groups of classes, ranked by the mean probability of their members.

    groups: the members of each, as indices of the logits. Answers are numbers of groups, and the
    confidence is the mean of the best one.
    """

    def decide(logits: torch.Tensor) -> dict[str, torch.Tensor]:
        means = _group_means(_wide(logits).softmax(dim=1), groups)
        return _ranked(means, means)

    return decide


def top5_and_category(classes: tuple[str, ...]) -> Decision:
    """Return the decision among all classes, together with the best of the 16 categories.

    Adds `category`, by mean probability as in `sixteen_way`; -1 for models of other classes than
    ImageNet's.
    """
    known = are_imagenet(classes)

    def decide(logits: torch.Tensor) -> dict[str, torch.Tensor]:
        probabilities = _wide(logits).softmax(dim=1)
        answers = _ranked(logits.float(), probabilities)
        if known:
            category = _ranked(_category_means(probabilities), probabilities)["answers"][:, 0]
        else:
            category = torch.full((len(logits),), -1, dtype=torch.int16, device=logits.device)
        return {**answers, "category": category}

    return decide


def top5_and_ranks(classes: Sequence[str], groups: Mapping[str, Sequence[str]]) -> Decision:
    """Return the decision among all classes, together with the rank of each group of classes.

    classes: of the model's logits. groups: their members, by name. Adds `rank_<name>`, the best
    rank of a group's members among all classes, from 1 to the number of classes.
    """
    members = {name: [classes.index(one) for one in group] for name, group in groups.items()}

    def decide(logits: torch.Tensor) -> dict[str, torch.Tensor]:
        order = logits.float().sort(dim=1, descending=True, stable=True).indices
        ranks = order.argsort(dim=1) + 1
        best = {f"rank_{name}": of_classes(ranks, own).amin(dim=1) for name, own in members.items()}
        return top5(logits) | {name: rank.to(torch.int16) for name, rank in best.items()}

    return decide


def largest_of(groups: Mapping[str, Sequence[int]]) -> Decision:
    """Return the decision among groups of classes, by the largest logit of each.

    groups: the indices of their members, by name. The confidence is that of the softmax over the
    groups' largest logits (Doshi et al. 2025). Adds `margin`: by how much the label's exceeds the
    largest of the other groups, divided by √2, which is the distance from the decision boundary.
    """
    members = [list(indices) for indices in groups.values()]

    def decide(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        largest = torch.stack([of_classes(logits, own).amax(dim=1) for own in members], dim=1)
        scores, label = _wide(largest), labels[:, None]
        others = scores.scatter(1, label, -torch.inf).amax(dim=1)
        margin = (scores.gather(1, label)[:, 0] - others) / 2**0.5
        return _ranked(largest.float(), scores.softmax(dim=1)) | {"margin": margin.float()}

    return decide


def top1_category(category_of: Sequence[int]) -> Decision:
    """Return the decision for the category of the best of all classes, -1 if it has none.

    category_of: the category of each class of the logits, (C,), -1 for none. The confidence is the
    best class's probability.
    """
    numbers = tuple(category_of)

    def decide(logits: torch.Tensor) -> dict[str, torch.Tensor]:
        of_all = top5(logits)
        best = of_all["answers"][:, :1].long()
        return of_all | {"answers": _on(best.device, numbers)[best].to(torch.int16)}

    return decide


def top5_and_probability(name: str, position: int) -> Decision:
    """Return the decision among all classes, together with the probability of one of them.

    position: of the class among the logits. Adds `<name>_probability`.
    """

    def decide(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        probability = _wide(logits).softmax(dim=1)[:, position].float()
        return top5(logits, labels) | {f"{name}_probability": probability}

    return decide


def top5_and_category_sums(classes: tuple[str, ...]) -> Decision:
    """Return the decision among all classes that also notes which of the 16 categories is largest.

    Adds `category`, the category whose classes have the largest sum of probabilities, and
    `category_over_half`, the one that has more than half of all (Burgert et al. 2025), -1 where
    none has. For a model of other classes than ImageNet's, both are -1.
    """
    known = are_imagenet(classes)

    def decide(logits: torch.Tensor) -> dict[str, torch.Tensor]:
        probabilities = _wide(logits).softmax(dim=1)
        answers = _ranked(logits.float(), probabilities)
        none = torch.full((len(logits),), -1, dtype=torch.int16, device=logits.device)
        if not known:
            return {**answers, "category": none, "category_over_half": none}
        members = [list(indices) for indices in CATEGORY_INDICES.values()]
        sums = torch.stack([of_classes(probabilities, own).sum(dim=1) for own in members], dim=1)
        best = _ranked(sums, sums)["answers"][:, 0]
        over_half = torch.where(sums.amax(dim=1) > 0.5, best, none)
        return {**answers, "category": best, "category_over_half": over_half}

    return decide


def categories_of(model_classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the categories in `sixteen_way`.

    Raises UserError unless the classes are ImageNet's, or there are as many as categories.
    """
    if are_imagenet(model_classes):
        return CATEGORIES
    if len(model_classes) != len(CATEGORIES):
        raise UserError(
            f"a model of {len(model_classes)} classes cannot choose among 16 categories: it needs "
            "ImageNet's 1000 classes, or the 16 categories as its classes, but has "
            f"{first_few(model_classes)}"
        )
    return model_classes


def _wide(logits: torch.Tensor) -> torch.Tensor:
    """Return the logits in double precision, so that small probabilities do not vanish."""
    return logits.float() if logits.device.type == "mps" else logits.double()


def of_classes(columns: torch.Tensor, indices: Sequence[int]) -> torch.Tensor:
    """Return the columns with these indices, (B, K) of (B, classes).

    Given as a list, a GPU would wait for their copy each time.
    """
    return columns[:, _on(columns.device, tuple(indices))]


@cache
def _on(device: torch.device, numbers: tuple[int, ...]) -> torch.Tensor:
    """Return the numbers on the device, where they are copied to once; (N,) int64."""
    return on_device(torch.tensor(numbers, dtype=torch.int64), device)


def _ranked(scores: torch.Tensor, probabilities: torch.Tensor) -> dict[str, torch.Tensor]:
    order = scores.sort(dim=1, descending=True, stable=True).indices[:, :RANKS]
    confidence = probabilities.gather(1, order[:, :1])[:, 0]
    return {"answers": order.to(torch.int16), "confidence": confidence.float()}


def _category_means(probabilities: torch.Tensor) -> torch.Tensor:
    return _group_means(probabilities, [*CATEGORY_INDICES.values()])


def _group_means(probabilities: torch.Tensor, groups: Sequence[Sequence[int]]) -> torch.Tensor:
    means = [of_classes(probabilities, members).mean(dim=1) for members in groups]
    return torch.stack(means, dim=1)


def _both_rules(logits: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the five best categories of a model whose classes are categories, by both rules."""
    answers = top5(logits)
    return {**answers, "answer_max": answers["answers"][:, 0]}
