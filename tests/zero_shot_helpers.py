"""Tiny models of open_clip with random weights, in folders of the hub's layout."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

VISION = {"image_size": 32, "layers": 1, "width": 32, "patch_size": 8, "head_width": 16}
TEXT = {"context_length": 24, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
CLIP = {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT}
SQUASHED = {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3, "resize_mode": "squash"}
SENTENCES = ["a photo of a great white shark", "missile", "sun-glasses: t-shirt (dog's), no. 1!"]


def siglip() -> dict:
    """Return a configuration like SigLIP's: sigmoid's bias, 64 tokens, padding, canonical text."""
    text = {
        **TEXT,
        "context_length": 64,
        "vocab_size": 300,
        "hf_tokenizer_name": "in the folder",
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
    }
    return CLIP | {"init_logit_bias": -10.0, "custom_text": True, "text_cfg": text}


def custom_text() -> dict:
    """Return a configuration whose text tower is a module of its own with a class token."""
    text = {**TEXT, "embed_cls": True, "pad_id": 0, "output_tokens": False}
    return CLIP | {"custom_text": True, "text_cfg": text}


def write_model(folder: Path, config: dict, preprocess: dict | None = None, seed: int = 0) -> Path:
    """Return `folder` with a model of this configuration and random weights."""
    import open_clip

    folder.mkdir(parents=True)
    content = {"model_cfg": config, "preprocess_cfg": preprocess or {}}
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    if "hf_tokenizer_name" in config["text_cfg"]:
        write_tokenizer(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
        for parameter in model.parameters():  # so that texts differ more than by initialization
            if parameter.ndim > 1:
                parameter.data = torch.randn_like(parameter) * parameter.shape[-1] ** -0.5
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    return folder


def write_tokenizer(folder: Path) -> None:
    """Write a tokenizer with SigLIP's conventions: sentencepiece, </s> at the end, padding."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<unk>", "</s>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    words = [*SENTENCES, *(chr(code) for code in range(33, 127)), "A Photo Of", "PHOTO"]
    tokenizer.train_from_iterator(words * 3, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", tokenizer.token_to_id("</s>"))]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="</s>", pad_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
