"""Attacks as their definitions say, one image at a time, in plain PyTorch."""

import torch


def loss_gradient(model, x, label):
    """Return the gradient of the cross-entropy at one image (3, H, W), and the answer there."""
    point = x.clone().unsqueeze(0).requires_grad_(True)
    logits = model(point)
    loss = -torch.log_softmax(logits, dim=1)[0, label]
    return torch.autograd.grad(loss, point)[0][0], int(logits[0].argmax())


def pgd_linf(model, image, label, start, epsilon, step, steps):
    """Return the iterates x_0 … x_steps of untargeted L∞ PGD."""
    iterates = [start]
    for _ in range(steps):
        gradient, _ = loss_gradient(model, iterates[-1], label)
        moved = iterates[-1] + step * gradient.sign()
        iterates.append((image + (moved - image).clamp(-epsilon, epsilon)).clamp(0, 1))
    return iterates


def pgd_l2(model, image, label, start, epsilon, step, steps):
    """Return the iterates of untargeted L2 PGD."""
    iterates = [start]
    for _ in range(steps):
        gradient, _ = loss_gradient(model, iterates[-1], label)
        moved = iterates[-1] + step * gradient / gradient.norm()
        perturbation = moved - image
        perturbation = perturbation * min(1.0, epsilon / float(perturbation.norm()))
        iterates.append((image + perturbation).clamp(0, 1))
    return iterates


def towards(model, image, target, start, epsilon, step, steps):
    """Return the last iterate of targeted L∞ PGD."""
    x = start
    for _ in range(steps):
        gradient, _ = loss_gradient(model, x, target)
        x = (image + (x - step * gradient.sign() - image).clamp(-epsilon, epsilon)).clamp(0, 1)
    return x


def linear_robust(weights, bias, image, label, epsilon):
    """Return whether a linear model f = w·x + b stays right within ε (L∞) and [0, 1].

    weights: (K, 3, H, W). Against each rival, the worst is every pixel moved against the margin.
    """
    for rival in range(len(weights)):
        difference = weights[label] - weights[rival]
        worst = (image - epsilon * difference.sign()).clamp(0, 1)
        if rival != label and (difference * worst).sum() + bias[label] - bias[rival] <= 0:
            return False
    return True
