"""Zero-shot logits of one image after the other, one class after the other, in double precision."""

import numpy as np


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.sqrt((vector**2).sum())


def zero_shot_logits(clip, tokenizer, images, names, templates) -> np.ndarray:
    """Return (images, names) logits; images: normalized tensors, (3, H, W)."""
    weights = []
    for name in names:
        features = []
        for template in templates:
            tokens = tokenizer([template.replace("{}", name)])
            features.append(unit(clip.encode_text(tokens)[0].double().numpy()))
        weights.append(unit(np.mean(features, axis=0)))
    scale = np.exp(float(clip.logit_scale))
    bias = 0.0 if clip.logit_bias is None else float(clip.logit_bias)
    logits = []
    for image in images:
        feature = unit(clip.encode_image(image[None])[0].double().numpy())
        logits.append([scale * feature @ weight + bias for weight in weights])
    return np.array(logits)
