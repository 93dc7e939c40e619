"""Logits → ranked answers.

A decision maps (B, classes) logits to columns: `answers` (B, K) int16, best first; `confidence`
(B,) float32, the probability of the best answer; and further columns of a benchmark, (B,) int16 or
float32. A decision with a second parameter is also given the labels, (B,) int64.
Ties go to the class with the lower index, on every device: sorts are stable.

A decision may declare how near it is to another one (`with_margins`), which --precision verified
needs. If no difference between two logits changes by more than a margin, neither do the best
answer, whether the label is among the answers, and the whole-number columns. Margins are in units
of logits: if all logits change by between a and b, so do the largest of several, and the logarithm
of the sum or mean of their exponentials. So a difference of the logarithms of two categories' mean
probabilities changes by at most b - a, as the difference of two logits does.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from inspect import signature
from typing import Any

import torch

from bvg.data.categories import CATEGORIES, CATEGORY_INDICES
from bvg.data.imagenet import are_imagenet
from bvg.errors import UserError, first_few
from bvg.predictions.table import LABEL_PROBABILITY
from bvg.stimuli.batch import on_device

Decision = Callable[..., dict[str, torch.Tensor]]
# (B, classes) float64 logits, (B,) labels → margins, (B,).
Margins = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
RANKS = 5  # answers kept per image
UNRESTRICTED = tuple(f"unrestricted_{rank}" for rank in range(1, RANKS + 1))
_MARGINS, _ORDERED, _PROTOCOL = "margins", "ordered", "protocol"  # attributes of decisions


def decided(
    decide: Decision, logits: torch.Tensor, labels: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return the columns of a decision, which need not take the labels."""
    return decide(logits, labels) if len(signature(decide).parameters) > 1 else decide(logits)


def with_margins(decide: Decision, margins: Margins, ordered: bool = False) -> Decision:
    """Return the decision, with its margins declared; see above.

    ordered: whether they also cover the order of the answers.
    """
    setattr(decide, _MARGINS, margins)
    setattr(decide, _ORDERED, ordered)
    return decide


def with_protocol(decide: Decision, protocol: Mapping[str, Any]) -> Decision:
    """Return the decision, with entries that `evaluate` adds to the protocol of its results."""
    setattr(decide, _PROTOCOL, dict(protocol))
    return decide


def protocol_of(decide: Decision) -> dict[str, Any]:
    """Return the entries of the protocol that the decision declares."""
    return getattr(decide, _PROTOCOL, {})


def margins_of(decide: Decision) -> Margins | None:
    """Return the margins that the decision declares, if it does."""
    return getattr(decide, _MARGINS, None)


def differ(
    decide: Decision,
    one: dict[str, torch.Tensor],
    other: dict[str, torch.Tensor],
    labels: torch.Tensor,
) -> torch.Tensor:
    """Return where two sets of a decision's columns differ in what its margins cover, (B,) bool."""
    found = torch.zeros_like(labels, dtype=torch.bool)
    for ranks, others in zip(_ranks(one), _ranks(other), strict=True):
        if getattr(decide, _ORDERED, False):
            found |= (ranks != others).any(dim=1)
        known, still = ((answers == labels[:, None]).any(dim=1) for answers in (ranks, others))
        found |= (ranks[:, 0] != others[:, 0]) | (known != still)
    for name, values in one.items():
        if name not in ("answers", *UNRESTRICTED) and not values.is_floating_point():
            found |= values != other[name]
    return found


def _ranks(columns: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    unrestricted = [columns[name] for name in UNRESTRICTED if name in columns]
    return [columns["answers"], *([torch.stack(unrestricted, dim=1)] if unrestricted else [])]


def top5(logits: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    """Return the five best classes (fewer if the model has fewer).

    With labels, adds `label_probability`, the probability of each label, (B,) float32.
    """
    probabilities = as_wide(logits).softmax(dim=1)
    answers = _ranked(logits.float(), probabilities)
    if labels is not None:
        answers[LABEL_PROBABILITY] = probabilities.gather(1, labels[:, None])[:, 0].float()
    return answers


def top5_in_order(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what `top5` does; its margins also cover the order of the answers."""
    return top5(logits, labels)


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
        ranked = _ranked(among.float(), as_wide(among).softmax(dim=1))
        ranked["answers"] = indices[ranked["answers"].long()].to(torch.int16)
        unrestricted = torch.cat([of_all, missing], dim=1)
        return ranked | dict(zip(UNRESTRICTED, unrestricted.unbind(dim=1), strict=True))

    def margins(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        among = logits[:, _on(logits.device, chosen)]
        own = _of_labels(logits, labels)
        return torch.minimum(_gaps(logits, own), _gaps(among, own))

    return with_margins(decide, margins)


def sixteen_way(
    classes: tuple[str, ...], members: Mapping[str, Sequence[int]] = CATEGORY_INDICES
) -> Decision:
    """Return the decision among 16 entry-level categories (Geirhos et al. 2018).

    classes: of the model's logits. For ImageNet's, categories are ranked by the mean probability of
    their classes. members: the indices of these, by category; others than the published ones are
    recorded. Adds `answer_max`, an alternative rule (ood-benchmarks): the category of the best
    among the classes that belong to a category. For a model whose classes are the categories, both
    rules are the identity. Raises UserError for a model of any other classes.
    """
    if categories_of(classes) == classes:
        return _both_rules
    groups = [list(members[name]) for name in CATEGORIES]
    flat = [index for indices in groups for index in indices]
    category_of = tuple(k for k, indices in enumerate(groups) for _ in indices)

    def decide(logits: torch.Tensor) -> dict[str, torch.Tensor]:
        means = _group_means(as_wide(logits).softmax(dim=1), groups)
        answers = _ranked(means, means)
        best = of_classes(logits, flat).float().argmax(dim=1)
        answers["answer_max"] = _on(best.device, category_of)[best].to(torch.int16)
        return answers

    def margins(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        by_max = _largest(logits, groups)
        return torch.minimum(_means_gaps(logits, labels, groups), _best_two(by_max))

    own = {
        name: group
        for name, group in zip(CATEGORIES, groups, strict=True)
        if group != [*CATEGORY_INDICES[name]]
    }
    return with_protocol(with_margins(decide, margins), {"members": own} if own else {})


def best_groups(groups: Sequence[Sequence[int]]) -> Decision:
    """Return the decision among groups of classes, ranked by the mean probability of their members.

    groups: the members of each, as indices of the logits. Answers are numbers of groups, and the
    confidence is the mean of the best one.
    """

    def decide(logits: torch.Tensor) -> dict[str, torch.Tensor]:
        means = _group_means(as_wide(logits).softmax(dim=1), groups)
        return _ranked(means, means)

    return with_margins(decide, partial(_means_gaps, groups=groups))


def top5_and_category(classes: tuple[str, ...]) -> Decision:
    """Return the decision among all classes, together with the best of the 16 categories.

    Adds `category`, by mean probability as in `sixteen_way`; -1 for models of other classes than
    ImageNet's.
    """
    known = are_imagenet(classes)

    def decide(logits: torch.Tensor) -> dict[str, torch.Tensor]:
        probabilities = as_wide(logits).softmax(dim=1)
        answers = _ranked(logits.float(), probabilities)
        if known:
            means = _group_means(probabilities, _members())
            category = _ranked(means, means)["answers"][:, 0]
        else:
            category = torch.full((len(logits),), -1, dtype=torch.int16, device=logits.device)
        return {**answers, "category": category}

    def margins(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        own = _label_gaps(logits, labels)
        return torch.minimum(own, _best_two(_log_means(logits, _members()))) if known else own

    return with_margins(decide, margins)


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

    def margins(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return how near another class is to the best of a group, or `top5`'s margin."""
        nearest = [_label_gaps(logits, labels)]
        for own in members.values():
            where = _on(logits.device, tuple(own))
            distances = (logits - logits[:, where].amax(dim=1, keepdim=True)).abs()
            distances[:, where] = torch.inf  # the group's own classes are never above its best
            nearest.append(distances.amin(dim=1))
        return torch.stack(nearest).amin(dim=0)

    return with_margins(decide, margins)


def largest_of(groups: Mapping[str, Sequence[int]]) -> Decision:
    """Return the decision among groups of classes, by the largest logit of each.

    groups: the indices of their members, by name. The confidence is that of the softmax over the
    groups' largest logits (Doshi et al. 2025). Adds `margin`: by how much the label's exceeds the
    largest of the other groups, divided by √2, which is the distance from the decision boundary.
    """
    members = [list(indices) for indices in groups.values()]

    def decide(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        largest = _largest(logits, members)
        scores, own = as_wide(largest), labels[:, None]
        others = scores.scatter(1, own, -torch.inf).amax(dim=1)
        margin = (scores.gather(1, own)[:, 0] - others) / 2**0.5
        return _ranked(largest.float(), scores.softmax(dim=1)) | {"margin": margin.float()}

    def margins(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return _label_gaps(_largest(logits, members), labels)

    return with_margins(decide, margins)


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

    def margins(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        best, position = logits.max(dim=1)
        own = _on(logits.device, numbers)
        others = logits.masked_fill(own == own[position][:, None], -torch.inf)
        return best - others.amax(dim=1)

    return with_margins(decide, margins)


def top5_and_probability(name: str, position: int) -> Decision:
    """Return the decision among all classes, together with the probability of one of them.

    position: of the class among the logits. Adds `<name>_probability`.
    """

    def decide(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        probability = as_wide(logits).softmax(dim=1)[:, position].float()
        return top5(logits, labels) | {f"{name}_probability": probability}

    return with_margins(decide, _label_gaps)


def top5_and_category_sums(classes: tuple[str, ...]) -> Decision:
    """Return the decision among all classes that also notes which of the 16 categories is largest.

    Adds `category`, the category whose classes have the largest sum of probabilities, and
    `category_over_half`, the one that has more than half of all (Burgert et al. 2025), -1 where
    none has. For a model of other classes than ImageNet's, both are -1.
    """
    known = are_imagenet(classes)

    def decide(logits: torch.Tensor) -> dict[str, torch.Tensor]:
        probabilities = as_wide(logits).softmax(dim=1)
        answers = _ranked(logits.float(), probabilities)
        none = torch.full((len(logits),), -1, dtype=torch.int16, device=logits.device)
        if not known:
            return {**answers, "category": none, "category_over_half": none}
        sums = torch.stack([of_classes(probabilities, own).sum(dim=1) for own in _members()], dim=1)
        best = _ranked(sums, sums)["answers"][:, 0]
        over_half = torch.where(sums.amax(dim=1) > 0.5, best, none)
        return {**answers, "category": best, "category_over_half": over_half}

    def margins(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        own = _label_gaps(logits, labels)
        if not known:
            return own
        sums = _log_sums(logits, _members())
        share = (sums.amax(dim=1) - logits.logsumexp(dim=1)).exp().clamp(max=1)
        half = share.logit().abs()  # the logarithm of its ratio to the sum of all other classes
        return torch.stack([own, _best_two(sums), half]).amin(dim=0)

    return with_margins(decide, margins)


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


def as_wide(logits: torch.Tensor) -> torch.Tensor:
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
    order = _order(scores)
    confidence = probabilities.gather(1, order[:, :1])[:, 0]
    return {"answers": order.to(torch.int16), "confidence": confidence.float()}


def _order(scores: torch.Tensor) -> torch.Tensor:
    """Return the positions of the best RANKS scores (or all), of equal ones the first first."""
    if scores.device.type == "cpu":  # elsewhere, looking for ties would wait for the device
        best = scores.topk(min(RANKS + 1, scores.shape[1]), dim=1)
        if (best.values[:, 1:] < best.values[:, :-1]).all():  # no ties: no need to sort all
            return best.indices[:, :RANKS]
    return scores.sort(dim=1, descending=True, stable=True).indices[:, :RANKS]


def _group_means(probabilities: torch.Tensor, groups: Sequence[Sequence[int]]) -> torch.Tensor:
    means = [of_classes(probabilities, members).mean(dim=1) for members in groups]
    return torch.stack(means, dim=1)


def _both_rules(logits: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the five best categories of a model whose classes are categories, by both rules."""
    answers = top5(logits)
    return {**answers, "answer_max": answers["answers"][:, 0]}


def _members() -> list[list[int]]:
    return [list(indices) for indices in CATEGORY_INDICES.values()]


def _largest(logits: torch.Tensor, groups: Sequence[Sequence[int]]) -> torch.Tensor:
    return torch.stack([of_classes(logits, own).amax(dim=1) for own in groups], dim=1)


def _log_sums(logits: torch.Tensor, groups: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return the logarithm of the sum of the exponentials of each group's logits."""
    return torch.stack([of_classes(logits, own).logsumexp(dim=1) for own in groups], dim=1)


def _log_means(logits: torch.Tensor, groups: Sequence[Sequence[int]]) -> torch.Tensor:
    counts = torch.tensor([len(own) for own in groups], dtype=logits.dtype, device=logits.device)
    return _log_sums(logits, groups) - counts.log()


def _best_two(scores: torch.Tensor) -> torch.Tensor:
    """Return by how much the best score exceeds the second best; infinity if there is one only."""
    if scores.shape[1] < 2:
        return torch.full_like(scores[:, 0], torch.inf)
    best = scores.topk(2, dim=1).values
    return best[:, 0] - best[:, 1]


def _of_labels(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the labels' scores; any other, which is harmless, for labels without one."""
    return scores.gather(1, labels.clamp(0, scores.shape[1] - 1)[:, None])[:, 0]


def _gaps(scores: torch.Tensor, of_labels: torch.Tensor) -> torch.Tensor:
    """Return how near the best answer is to another, or the label to the edge of the answers."""
    gap = _best_two(scores)
    if scores.shape[1] <= RANKS:
        return gap
    best = scores.topk(RANKS + 1, dim=1).values
    last, next_one = best[:, RANKS - 1], best[:, RANKS]
    return torch.minimum(gap, torch.maximum(of_labels - next_one, last - of_labels))


def _label_gaps(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return _gaps(scores, _of_labels(scores, labels))


def _means_gaps(
    logits: torch.Tensor, labels: torch.Tensor, groups: Sequence[Sequence[int]]
) -> torch.Tensor:
    return _label_gaps(_log_means(logits, groups), labels)


def _all_gaps(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the smallest difference between neighbours among the answers and the next class."""
    best = logits.topk(min(RANKS + 1, logits.shape[1]), dim=1).values
    padded = torch.nn.functional.pad(best, (0, 1), value=-torch.inf)  # a single class has no other
    return (padded[:, :-1] - padded[:, 1:]).amin(dim=1)


with_margins(top5, _label_gaps)
with_margins(_both_rules, _label_gaps)
with_margins(top5_in_order, _all_gaps, ordered=True)
