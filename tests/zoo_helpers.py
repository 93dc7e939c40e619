"""What the tests of load_model share."""

import io

import torch

HEAD = 'category = "c"\nmethod = "m"\npaper = "p"\nyear = 2020\nlicense = "l"\n'
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def pixels(size: int = 32) -> torch.Tensor:
    return torch.rand((2, 3, size, size), generator=torch.Generator().manual_seed(1))


def normalised(x: torch.Tensor, mean=IMAGENET[0], std=IMAGENET[1]) -> torch.Tensor:
    return torch.stack([(x[:, c] - mean[c]) / std[c] for c in range(3)], 1)


def assert_frozen(model: torch.nn.Module) -> None:
    assert not any(module.training for module in model.modules())
    assert not any(parameter.requires_grad for parameter in model.parameters())


def saved(content, *, legacy: bool = False) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


def prefixed(state: dict, prefix: str) -> dict:
    return {prefix + key: value for key, value in state.items()}


def assert_same(found: dict, expected: dict) -> None:
    assert set(found) == set(expected)
    assert all(torch.equal(found[key], expected[key]) for key in expected)
