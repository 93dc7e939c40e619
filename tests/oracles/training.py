"""What a training step should compute, written as its papers have it."""

import math

import numpy as np

# Recipe: rate, epochs at whose ends it is divided by ten, epochs in all, epochs of warm-up.
SCHEDULES = {
    "A": (0.1, (20, 40), 60, 0),
    "B": (0.1, (15, 30), 45, 0),
    "C": (0.01, (30,), 60, 0),
    "alexnet": (0.001, (20, 40), 60, 0),
    "vgg16": (0.01, (20, 40), 60, 0),
    "debiased": (0.2, (30, 60, 90), 100, 5),
}


def learning_rates(name: str, steps: int) -> list[float]:
    """Return the rate of every update of a recipe, with `steps` updates per epoch."""
    rate, drops, epochs, warmup = SCHEDULES[name]
    rates = []
    for epoch in range(epochs):
        for step in range(steps):
            if epoch < warmup:
                rates.append(rate * (epoch * steps + step + 1) / (warmup * steps))
            else:
                rates.append(rate * 0.1 ** sum(drop <= epoch for drop in drops))
    return rates


def mixed_loss(clean, stylized, labels, order, gamma: float) -> float:
    """Return the mean of both halves' losses, example by example."""
    losses = []
    for logits, label in zip(clean, labels, strict=True):
        losses.append(_cross_entropy(logits, label))
    for logits, label, other in zip(stylized, labels, labels[order], strict=True):
        shape, texture = _cross_entropy(logits, label), _cross_entropy(logits, other)
        losses.append(gamma * shape + (1 - gamma) * texture)
    return sum(losses) / len(losses)


def _cross_entropy(logits, label: int) -> float:
    return math.log(sum(math.exp(value) for value in logits)) - logits[label]


def normalized(x: np.ndarray, epsilon: float = 1e-5) -> np.ndarray:
    """Return (B, C, H, W) as an untrained batch normalization returns it in training."""
    mean, variance = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon)
