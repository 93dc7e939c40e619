"""What checking low precision against fp32 has shown: the state of a run, and the report on it."""

from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any

from bvg.data.image_set import ImageSet, class_balanced
from bvg.run.settings import VERIFIED

# Images of each condition on which the error is measured: one in PART, within these limits.
PART, FEWEST, MOST = 64, 32, 128
FACTOR = 2.0  # bound / largest error measured (docs/speed.md)
LEAST = 1e-4  # of bounds; the rounding of fp32 itself depends on the size of a batch
FP32, FP16, TF32, SIMULATED = "fp32", "fp16", "tf32", "simulated fp16"


@dataclass
class Error:
    """The error of a condition's logits.

    inputs: number of those on which it was measured. largest: of them. least: of the bound.
    raises: how often the bound was raised. seen: number of inputs that have been answered.
    """

    inputs: int = 0
    largest: float = 0.0
    least: float = LEAST
    raises: int = 0
    seen: int = 0

    @property
    def bound(self) -> float:
        """Return the margin up to which answers are recomputed; infinity if it is unknown."""
        return max(FACTOR * self.largest, self.least) if self.inputs else inf


@dataclass
class State:
    """What the images so far have shown.

    form: the arithmetic. measured: number of inputs on which the error was measured before.
    per_image: how many there were of each file. images: the number of files. inputs: of the model,
    of which `near` were too near another decision (in fp32, `repaired` of them have another one),
    and `audited` sampled from the others (`changed` of them have another one). errors: by
    condition.
    """

    form: str
    measured: int = 0
    per_image: float = 0.0
    images: int = 0
    inputs: int = 0
    near: int = 0
    repaired: int = 0
    audited: int = 0
    changed: int = 0
    errors: dict[str, Error] = field(default_factory=dict)

    def seen(self, condition: str) -> int:
        """Return the number of the condition's inputs that have been answered."""
        return self.errors[condition].seen if condition in self.errors else 0


def measured_sample(images: ImageSet, seed: int) -> ImageSet:
    """Return the images on which the error is measured: some of each condition, of many classes."""
    conditions = len(set(images.conditions)) or 1
    count = len(images) // conditions // PART
    return class_balanced(images, min(MOST, max(FEWEST, count)), seed)


def state_from(content: dict[str, Any]) -> State:
    """Return the state that a chunk recorded."""
    errors = {name: Error(**values) for name, values in content["errors"].items()}
    return State(**content | {"errors": errors})


def report(state: State, precision: str) -> dict[str, Any]:
    """Return what summary.json says about the check."""
    low, high = clopper_pearson(state.changed, state.audited)
    common = {"inputs": state.inputs, "changed": state.changed}
    if precision != VERIFIED:
        return {"sampled": state.audited, **common, "changed_95": [low, high]}
    accepted = state.inputs - state.near  # audited, or kept from low precision
    recomputed = state.near + state.audited
    bounds = {name: error.bound for name, error in state.errors.items()}
    return {
        "form": state.form,
        **common,
        "recomputed_share": recomputed / state.inputs if state.inputs else 0.0,
        "measured": state.measured,
        "near": state.near,
        "repaired": state.repaired,
        "audited": state.audited,
        "changed_at_most": upper_bound(state.changed, state.audited) if accepted else 0.0,
        "raises": sum(error.raises for error in state.errors.values()),
        # None: everything was recomputed
        "bounds": {name: bound if isfinite(bound) else None for name, bound in bounds.items()},
    }


def sentence(name: str, found: dict[str, Any], precision: str) -> str:
    """Return the report on a model in one line."""
    if precision != VERIFIED:
        low, high = found["changed_95"]
        return (
            f"{name}: {found['changed']:,} of {found['sampled']:,} sampled decisions differ "
            f"between {precision} and fp32 (95 % interval {low:.2%} – {high:.2%} of all)"
        )
    if found["form"] == FP32:
        return f"{name}: all {found['inputs']:,} inputs computed in fp32"
    return (
        f"{name}: {found['form']}, {found['recomputed_share']:.1%} of {found['inputs']:,} inputs "
        f"recomputed in fp32 ({found['repaired']:,} decisions repaired); of the others, "
        f"{found['changed']:,} of {found['audited']:,} audited ones had changed, so at most "
        f"{found['changed_at_most']:.3%} have (95 %); {found['measured']:,} more were computed in "
        "both precisions before, to measure the error"
    )


def upper_bound(changed: int, audited: int, confidence: float = 0.95) -> float:
    """Return Clopper and Pearson's exact one-sided upper bound of a proportion.

    About 3 / audited if none has changed.
    """
    from scipy.special import betaincinv  # here, because most runs do without it

    if changed >= audited:
        return 1.0
    return float(betaincinv(changed + 1, audited - changed, confidence))


def clopper_pearson(changed: int, audited: int) -> tuple[float, float]:
    """Return Clopper and Pearson's exact 95 % interval of a proportion."""
    low = 1 - upper_bound(audited - changed, audited, 0.975)
    return low, upper_bound(changed, audited, 0.975)
