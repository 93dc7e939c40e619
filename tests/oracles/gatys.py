"""Gatys' style transfer in NumPy: VGG-19's convolutions, Gram matrices, losses and gradients."""

import numpy as np

DEPTHS = (2, 2, 4, 4, 4)  # convolutions between poolings


def convolution(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return a 3 × 3 convolution of (C, H, W) behind a border of one black pixel."""
    height, width = x.shape[1:]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    out = np.zeros((len(weight), height, width)) + bias[:, None, None]
    for row in range(3):
        for column in range(3):
            part = padded[:, row : row + height, column : column + width]
            out += np.einsum("oc,chw->ohw", weight[:, :, row, column], part)
    return out


def pooled(x: np.ndarray) -> np.ndarray:
    """Return the largest of each 2 × 2 pixels; an odd edge is dropped."""
    rows, columns = x.shape[1] // 2, x.shape[2] // 2
    cells = x[:, : 2 * rows, : 2 * columns].reshape(len(x), rows, 2, columns, 2)
    return cells.max(axis=(2, 4))


def features(x: np.ndarray, state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return relu1_1 … relu5_4 of a network's input, (3, H, W)."""
    found = {}
    for scale, depth in enumerate(DEPTHS, 1):
        if scale > 1:
            x = pooled(x)
        for number in range(1, depth + 1):
            layer = f"conv{scale}_{number}"
            x = np.maximum(convolution(x, state[f"{layer}.weight"], state[f"{layer}.bias"]), 0)
            found[f"relu{scale}_{number}"] = x
    return found


def gram(x: np.ndarray) -> np.ndarray:
    """Return the mean over pixels of the product of each two channels of (C, H, W)."""
    channels = len(x)
    out = np.empty((channels, channels))
    for i in range(channels):
        for j in range(channels):
            out[i, j] = (x[i] * x[j]).mean()
    return out


def style_loss(x: np.ndarray, wanted: np.ndarray) -> float:
    """Return 1000 / C² times the mean squared difference of the Gram matrix from the wanted one."""
    return 1000 / len(x) ** 2 * ((gram(x) - wanted) ** 2).mean()


def style_gradient(x: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the derivative of the style loss by each feature.

    dL/dG = 2 · 1000 / C² · (G − A) / C², and dG_ij/dF_kp = (δ_ik F_jp + δ_jk F_ip) / (H·W).
    """
    channels, height, width = x.shape
    by_gram = 2 * 1000 / channels**2 * (gram(x) - wanted) / channels**2
    out = np.zeros_like(x)
    for i in range(channels):
        for j in range(channels):
            out[i] += by_gram[i, j] * x[j] / (height * width)
            out[j] += by_gram[i, j] * x[i] / (height * width)
    return out


def loss(x: np.ndarray, content: np.ndarray, texture: np.ndarray, state: dict) -> float:
    """Return the published loss of a network's input."""
    own, wanted, theirs = (features(picture, state) for picture in (x, content, texture))
    total = ((own["relu4_2"] - wanted["relu4_2"]) ** 2).mean()
    for scale in range(1, 6):
        layer = f"relu{scale}_1"
        total += style_loss(own[layer], gram(theirs[layer]))
    return total
