"""Configural shape on photographs with invented labels, and the published values."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import Resize, ToTensor

import eval_css
from oracles.css import animal_of, scores
from parquet_helpers import anagram_rows, write_anagrams

MODEL = "mobilenet_v1_025"
# Their rows in the authors' tables.
ROWS = {
    "BagNet-9": "resnet50_bagnet9",
    "AlexNet": "alexnet_in1k_v1_7be5be79",
    "ResNet-50": "resnet50_in1k",
    "ResNet-50, stylised ImageNet": "resnet50_stylized",
    "ResNet-50, SWSL": "resnet50_fb_swsl_ig1b_ft_in1k",
    "ViT-B/16": "vitb16_in1k",
    "DINOv2 ViT-L/14": "dinov2_vitl14_lc",
    "SigLIP 2 ViT-L/16, zero-shot": "siglip2_256_vitl16_zeroshot",
}


def test_published_values_are_those_of_the_authors_tables(fixtures):
    path = fixtures / "published" / "external" / "doshi_css.csv"
    with open(path, newline="", encoding="utf-8") as file:
        table = {row["model"]: row for row in csv.DictReader(file)}
    for pairs, known in eval_css.PUBLISHED.items():
        assert known.keys() == ROWS.keys()
        for name, values in known.items():
            row = table[ROWS[name]]
            assert values == (float(row[f"acc_{pairs}"]), float(row[f"css_{pairs}"])), name
    human = table["human"]
    assert (float(human["acc_72"]), float(human["css_72"])) == eval_css.HUMAN_VALUES


def test_144_photographs_through_a_real_model_are_the_straight_line(fixtures, networks, tmp_path):
    rows = anagram_rows()
    paths = sorted((fixtures / "imagenet" / "val").rglob("*.JPEG"))[::2][:144]
    small = [Image.open(path).convert("RGB").resize((256, 256)) for path in paths]
    assert len(small) == 144
    folder = write_anagrams(tmp_path / "data", rows, images=[np.asarray(x) for x in small])
    argv = ["--model", f"{fixtures}/models/mobilenet_tf.py:{MODEL}", "--wandb", "disabled"]
    argv += ["--visual_anagrams", str(folder), "--results", str(tmp_path / "results")]
    assert eval_css.main([*argv, "--num_workers", "0"]) == 0
    plain, squash = [], Resize((224, 224))
    for row, image in zip(rows, small, strict=True):
        with torch.inference_mode():
            logits = networks[MODEL](ToTensor()(squash(image))[None])[0]
        answer, margin = animal_of(logits.tolist(), row["label"])
        plain.append((row["anagram_id"], row["label"], row["foil"], answer, margin))
    summary = tmp_path / "results" / "css_72" / MODEL / "summary.json"
    metrics, expected = json.loads(summary.read_text())["metrics"], scores(plain)
    assert metrics["css/72"]["value"] == pytest.approx(expected["css"])
    assert metrics["top1_acc/anagrams/72"]["value"] == pytest.approx(expected["accuracy"])
    for name in ("one-right", "none-right", "foil-rate", "pair-margin"):
        assert metrics[f"css/72/{name}"]["value"] == pytest.approx(expected[name], abs=1e-4), name
