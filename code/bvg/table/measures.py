"""The measures that a table of models can have: names of columns, what they are called, units.

Source: Gavrikov & Keuper, "Can Biases in ImageNet Models Explain Generalization?", CVPR 2024.
"""

from bvg.scores.spectral import MEAN_CUTOFFS, PREFIX

SHAPE_BIAS = "shape-bias"
LPP, HPP, SPECTRAL = f"{PREFIX}/LPP", f"{PREFIX}/HPP", f"{PREFIX}/spectral-bias"
IMAGENET = "top1_acc/imagenet"
ADVERSARIAL = "top1_acc/PGD-40/low"  # 40 steps, L∞, ε = 0.5/255
BIASES = {
    SHAPE_BIAS: "shape bias",
    LPP: "low-frequency bias",
    HPP: "high-frequency bias",
    SPECTRAL: "spectral bias",
    "metric/criticalband/bw_norm": "critical band: bandwidth",
    "metric/criticalband/cf_norm": "critical band: centre",
    "metric/criticalband/pns_norm": "critical band: peak sensitivity",
}
# What is left of accuracy when a cue is suppressed.
SUPPRESSED = {
    "metric/suppression/global-shape/relative": "without global shape",
    "metric/suppression/local-shape/relative": "without local shape",
    "metric/suppression/texture/relative": "without texture",
    "metric/suppression/colour/relative": "without colour",
}
# Measures of single cues that came after the study: biases, too, of tables that have them.
CUES = {
    "shape-bias/blur=2.5": "blurred shape bias",
    **SUPPRESSED,
    "refined-bias/shape-mrr": "REFINED-BIAS: shape",
    "refined-bias/texture-mrr": "REFINED-BIAS: texture",
    "css/72": "configural shape (72 pairs)",
    "css/1440": "configural shape (1,440 pairs)",
    "frequency-cue-conflict/low-frequency-bias": "frequency cue conflict",
    "imagenet9/bg-gap": "background gap",
    "object-focus": "object focus",
    "imagenet-w/gap": "watermark gap",
    "critical-band/bandwidth": "bandwidth, published stimuli",
    "critical-band/centre": "centre, published stimuli",
    "critical-band/peak-sensitivity": "peak sensitivity, published stimuli",
}
BENCHMARKS = {
    IMAGENET: "ImageNet",
    "top1_acc/imagenet-v2": "V2",
    "top1_acc/imagenet-real": "ReaL",
    "top1_acc/imagenet-a": "A",
    "top1_acc/imagenet-c": "C",
    "top1_acc/imagenet-cbar": "C-bar",
    "top1_acc/imagenet-sketch": "Sketch",
    "top1_acc/imagenet-r": "R",
    "top1_acc/stylized": "Stylized",
    ADVERSARIAL: "PGD-40",
}
# Shown as single benchmarks where they are there; no part of the study's aggregates.
STAND_INS = {
    "top1_acc/imagenet-c/measured": "C, in part",
    "imagenet_c_generated/top1_acc/imagenet-c": "C, generated",
    "imagenet_c_generated/top1_acc/imagenet-c/measured": "C, generated, in part",
    "top1_acc/laion-c": "LAION-C",
    "top1_acc/laion-c-generated": "LAION-C, generated",
}
LABELS = {**BIASES, **CUES, **BENCHMARKS, **STAND_INS}
# Accuracies relative to the clean one, of whose means LPP and HPP consist.
RELATIVE = tuple(f"{PREFIX}/{band}/{cutoff}" for band in ("LFC", "HFC") for cutoff in MEAN_CUTOFFS)
OUTCOMES = tuple(f"fraction-{name}" for name in ("correct-shape", "correct-texture", "neither"))
STUDY_COLUMNS = (*BIASES, *BENCHMARKS, *RELATIVE, *OUTCOMES, "top1_acc/cue-conflict")
PERCENT = (*BENCHMARKS, *STAND_INS, "top1_acc/cue-conflict")
FRACTIONS = (
    SHAPE_BIAS,
    SPECTRAL,
    *OUTCOMES,
    "shape-bias/blur=2.5",
    "refined-bias/shape-mrr",
    "refined-bias/texture-mrr",
    "css/72",
    "css/1440",
    "frequency-cue-conflict/low-frequency-bias",
)
# Accuracies divided by that of the same images without a filter, or with all cues.
RATIOS = (LPP, HPP, *RELATIVE, *SUPPRESSED)

ADVERSARIALLY_TRAINED = "adversarial_training"
