"""Checkpoints laid out as their publishers lay them out, from the weights of any network."""

import argparse
import hashlib
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from bvg.zoo.table import ZooModel
from local_server import Site
from zoo_helpers import prefixed, saved

State = dict[str, torch.Tensor]
# A network's state → the contents of its files, and whether each has the format of torch < 1.6.
Layout = Callable[[State], list[tuple[dict, bool]]]


def randomise(network: nn.Module) -> nn.Module:
    """Return the network with numbers that differ by output channel only, so files are small.

    Even so, no two layers, channels or logits are the same.
    """
    generator = torch.Generator().manual_seed(0)
    for key, value in network.state_dict().items():
        if value.is_floating_point():
            signs = torch.randn((len(value), *[1] * (value.ndim - 1)), generator=generator)
            small = 1 / value[0].numel() if value.ndim > 1 else 0.3  # so that nothing explodes
            value.copy_(signs * small)
            if value.ndim == 1 and key.endswith(("weight", "running_var")):
                value.abs_().add_(0.5)
    return network.eval()


def compact(state: State) -> State:
    """Return the same tensors, repetitions not stored (they take no space in a file)."""
    first = (slice(None), slice(0, 1), slice(0, 1), slice(0, 1))
    return {
        k: v[first[: v.ndim]].clone().expand(v.shape) if v.ndim else v for k, v in state.items()
    }


def pytorch_examples(state: State, legacy: bool = False) -> list[tuple[dict, bool]]:
    content = {"epoch": 60, "arch": "resnet50", "state_dict": prefixed(state, "module.")}
    content |= {"best_acc1": torch.tensor(60.0), "optimizer": {"state": {}, "param_groups": []}}
    return [(content, legacy)]


def old_pytorch_examples(state: State) -> list[tuple[dict, bool]]:
    return pytorch_examples(state, legacy=True)


def parallel_features(state: State) -> list[tuple[dict, bool]]:
    """Return a VGG's or AlexNet's, of which only the features were trained in parallel."""
    keys = {k: k.replace("features.", "features.module.") for k in state}
    return [({"epoch": 60, "state_dict": {keys[k]: v for k, v in state.items()}}, True)]


def bare(state: State) -> list[tuple[dict, bool]]:
    return [(state, False)]


def bare_parallel(state: State) -> list[tuple[dict, bool]]:
    return [(prefixed(state, "module."), False)]


def opticsaugment(state: State) -> list[tuple[dict, bool]]:
    accuracy = torch.tensor(74.2, dtype=torch.float64)
    return [({"epoch": 9, "model_state_dict": state, "loss": 1.5, "acc": accuracy}, False)]


def mixbn(state: State) -> list[tuple[dict, bool]]:
    """Return one in which every batch normalisation has an auxiliary twin."""
    norms = [key.removesuffix("running_mean") for key in state if key.endswith("running_mean")]
    twins = {
        f"{norm}aux_bn.{leaf}": state[norm + leaf] + 1
        for norm in norms
        for leaf in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }
    assert len(twins) == 265
    return [({"epoch": 1, "state_dict": prefixed(state | twins, "module."), "acc": 75.3}, False)]


def robustness(state: State) -> list[tuple[dict, bool]]:
    normalizer = {"new_mean": torch.ones(3, 1, 1), "new_std": torch.ones(3, 1, 1)}
    wrong = {key: value + 1 for key, value in state.items()}
    model = (
        prefixed(normalizer, "module.normalizer.")
        | prefixed(state, "module.model.")
        | prefixed(normalizer, "module.attacker.normalize.")
        | prefixed(compact(wrong), "module.attacker.model.")
    )
    return [({"model": model, "optimizer": {}, "schedule": None, "epoch": 89}, False)]


def _head(state: State, name: str) -> tuple[State, State]:
    """Return the backbone, and the classifier `name` as DINO and SwAV save theirs."""
    backbone = {key: value for key, value in state.items() if not key.startswith(f"{name}.")}
    parts = {key: value for key, value in state.items() if key not in backbone}
    return backbone, {key.replace(f"{name}.", "module.linear."): v for key, v in parts.items()}


def dino(state: State) -> list[tuple[dict, bool]]:
    backbone, head = _head(state, "fc")
    return [(backbone, False), ({"epoch": 100, "state_dict": head, "best_acc": 75.3}, False)]


def dino_vit(state: State) -> list[tuple[dict, bool]]:
    backbone, head = _head(state, "head")
    return [(backbone, False), ({"epoch": 100, "state_dict": head, "best_acc": 77.6}, False)]


def swav(state: State) -> list[tuple[dict, bool]]:
    backbone, head = _head(state, "fc")
    names = [f"projection_head.{leaf}" for leaf in ("0.weight", "0.bias", "1.weight", "1.bias")]
    names += ["projection_head.1.running_mean", "projection_head.3.weight", "prototypes.weight"]
    other = {name: torch.ones(2) for name in names}
    content = {"epoch": 99, "state_dict": head, "scheduler": {}, "best_acc": 75.3}
    return [(prefixed(backbone | other, "module."), True), (content, True)]


def simclr_key(key: str) -> str:
    """Return how the converted SimCLR v2 checkpoint calls a key of a ResNet."""
    parts = key.split(".")
    stem = {"conv1": "net.0.0", "bn1": "net.0.1.0"}
    inner = {"conv1": "0", "bn1": "1.0", "conv2": "2", "bn2": "3.0", "conv3": "4", "bn3": "5.0"}
    if parts[0] in stem:
        return ".".join([stem[parts[0]], *parts[1:]])
    if not parts[0].startswith("layer"):
        return key
    place = f"net.{parts[0][-1]}.blocks.{parts[1]}."
    if parts[2] == "downsample":
        return place + "projection." + {"0": "shortcut.", "1": "bn.0."}[parts[3]] + parts[4]
    return place + f"net.{inner[parts[2]]}.{parts[3]}"


def simclr(state: State) -> list[tuple[dict, bool]]:
    head = {"layers.0.weight": torch.ones(2)}
    return [({"resnet": {simclr_key(k): v for k, v in state.items()}, "head": head}, False)]


def with_arguments(state: State) -> list[tuple[dict, bool]]:
    content = {"model": prefixed(state, "module."), "optimizer": {}, "lr_scheduler": {}}
    return [(content | {"epoch": 89, "args": argparse.Namespace(lr=0.1)}, False)]


def diffusion(state: State) -> list[tuple[dict, bool]]:
    """Return the same from a network that is itself the wrapper's `module`."""
    return with_arguments({k.removeprefix("module."): v for k, v in state.items()})


def mae(state: State) -> list[tuple[dict, bool]]:
    return [({"model": state, "args": argparse.Namespace(lr=0.1), "epoch": 99}, False)]


def vonenet(state: State) -> list[tuple[dict, bool]]:
    flags = {"stride": 4, "k_exc": 25, "simple_channels": 256, "noise_mode": "neuronal"}
    return [({"flags": flags, "epoch": 70, "state_dict": prefixed(state, "module.")}, True)]


def dinov2(state: State) -> list[tuple[dict, bool]]:
    """Return the backbone, with a token for masked patches, and the bare linear layer."""
    backbone = {key: value for key, value in state.items() if not key.startswith("head.")}
    head = {key.removeprefix("head."): v for key, v in state.items() if key not in backbone}
    mask = torch.ones_like(state["cls_token"][0])
    return [(backbone | {"mask_token": mask}, False), (head, False)]


def dinov2_giant(state: State) -> list[tuple[dict, bool]]:
    """Return the same with the publisher's names of the gated layers."""
    (backbone, legacy), head = dinov2(state)
    named = {k.replace("fc1", "w12").replace("fc2", "w3"): v for k, v in backbone.items()}
    return [(named, legacy), head]


LAYOUTS: dict[str, tuple[Layout, ...]] = {
    **{
        f"resnet50_trained_on_{data}": (old_pytorch_examples,)
        for data in ("SIN", "SIN_and_IN", "SIN_and_IN_then_finetuned_on_IN")
    },
    "vgg16_trained_on_SIN": (parallel_features,),
    "alexnet_trained_on_SIN": (parallel_features,),
    "resnet50_prime": (bare, bare_parallel),
    **{f"resnet50_pixmix_{epochs}ep": (pytorch_examples,) for epochs in (90, 180)},
    "resnet50_augmix_180ep": (old_pytorch_examples,),
    "resnet50_deepaugment": (old_pytorch_examples,),
    "resnet50_deepaugment_augmix": (old_pytorch_examples,),
    "resnet50_noisymix": (pytorch_examples,),
    **{f"resnet50_tsbias_{t}": (mixbn, pytorch_examples) for t in ("tbias", "sbias", "debiased")},
    "resnet50_opticsaugment": (opticsaugment,),
    "resnet50_diffusionnoise_fixed_nonoise": (with_arguments,),
    "resnet50_diffusionnoise_fixed": (diffusion,),
    "resnet50_diffusionnoise": (with_arguments, pytorch_examples),
    **{f"resnet50_moco_v3_{epochs}ep": (pytorch_examples,) for epochs in (100, 300, 1000)},
    "resnet50_dino": (dino,),
    "resnet50_swav": (swav,),
    "resnet50_simclrv2": (simclr,),
    **{
        f"robust_resnet50_l2_eps{eps}": (robustness,)
        for eps in ("0", "0.01", "0.03", "0.05", "0.1", "0.25", "0.5", "1", "3", "5")
    },
    **{
        f"robust_resnet50_linf_eps{eps}": (robustness,)
        for eps in ("0.5", "1.0", "2.0", "4.0", "8.0")
    },
    "resnext101_32x48d_wsl": (bare,),
    **{f"resnet50_clip_{kind}_labels": (pytorch_examples,) for kind in ("hard", "soft")},
    "vonenet_resnet50": (vonenet,),
    "resnet50_frozen_random": (with_arguments, bare),
    "vit_base_patch16_224.mae_in1k": (mae,),
    "vit_base_patch16_224.mae_in1k_mean0.5": (mae,),
    "vit_base_patch16_224.dino_in1k": (dino_vit,),
    **{
        f"dinov2_vit{size}14{registers}_lc{layers}": (dinov2_giant if size == "g" else dinov2,)
        for size in "sblg"
        for registers in ("", "_reg")
        for layers in ("", "_1layer")
    },
}


def publish(row: ZooModel, site: Site, contents: list[bytes], hashed: bool = True) -> ZooModel:
    """Return the zoo's row with its files at `site` instead of at their publisher's."""
    files = []
    for number, (file, content) in enumerate(zip(row.files, contents, strict=True)):
        site.files[f"/{number}.pth"] = content
        source = (f"{site.url}/{number}.pth?download=1",)
        sha256 = hashlib.sha256(content).hexdigest() if hashed else ""
        files.append(replace(file, source=source, sha256=sha256, md5=""))
    return replace(row, files=tuple(files))


def as_files(layout: Layout, state: State) -> list[bytes]:
    return [saved(content, legacy=legacy) for content, legacy in layout(state)]
