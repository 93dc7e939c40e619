"""The planted robustness is found by the attacks, over a range of ε."""

import torch

from bvg.stimuli.attacks import Attack, AttackedModel
from bvg.stimuli.batch import Batch
from bvg.stimuli.imagenet_adv import adversarial, epsilon_of, gradient_method
from bvg.zoo.loading import load_model
from miniature import world
from miniature.measure import sample

EPSILONS = tuple(map(epsilon_of, ("1/255", "2/255", "4/255", "8/255")))


def _robust(name: str, batch: Batch) -> list[float]:
    model = load_model(name).to(memory_format=torch.channels_last)
    victim = AttackedModel(name, model, 16)
    method = gradient_method("PGD-8", Attack(steps=8, step=2 / 255), 16)
    stimuli = adversarial(victim, (method,), EPSILONS)(batch)
    return [float((victim.answers(x) == batch.labels).float().mean()) for _, x, _ in stimuli]


def test_the_adversarially_trained_model_is_the_more_robust_one():
    pictures = list(world.matched(1))
    drawn = sample(7, "robustness", iter(pictures)).float() / 255
    labels = torch.tensor([picture.shape for picture in pictures])
    names = tuple(map(str, range(len(labels))))
    batch = Batch(drawn.contiguous(memory_format=torch.channels_last), names, labels, 0)
    plain, robust = (_robust(f"miniature_{name}", batch) for name in ("plain", "adversarial"))
    print("clean, 1, 2, 4, 8 / 255: plain", plain, "adversarial", robust)
    assert plain[0] > 0.95 and robust[0] > 0.95
    assert all(a >= b for a, b in zip(robust, plain, strict=True))
    assert robust[3] > plain[3] + 0.5
    assert plain == sorted(plain, reverse=True) and robust == sorted(robust, reverse=True)
