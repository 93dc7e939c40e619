"""Training of a miniature model from pictures and a recipe."""

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from miniature.augmentation import attacked, augmented, mixed, views
from miniature.measure import BATCH, normalised
from miniature.network import WIDTH, MiniatureNet
from miniature.recipes import Recipe

LEARNING_RATE = 4e-3
WEIGHT_DECAY = 1e-3
TEMPERATURE = 0.2
"""Of the contrastive loss: the cosines between views are divided by it."""
PROJECTION = (128, 64)
HEAD_STEPS = 400

Curve = list[dict[str, float]]
"""By epoch, the mean loss and the accuracy on the training images."""
Step = Callable[[torch.Tensor, float], tuple[torch.Tensor, torch.Tensor]]
"""The indices of a batch and the relative strength of an attack → loss and hits."""


def fit(
    images: torch.Tensor, labels: torch.Tensor, recipe: Recipe, seed: int, name: str = ""
) -> tuple[MiniatureNet, Curve]:
    """Return the trained network and its learning curve.

    `images` is uint8 (N, 3, 224, 224), `labels` int64 (N,). The same arguments give the same
    network on the same machine with the same number of threads. For contrastive recipes, the
    accuracy is how often the nearest other view is of the same image, or label.
    """
    torch.manual_seed(seed + recipe.seed)
    rng = torch.Generator().manual_seed(seed + recipe.seed)
    model = MiniatureNet()
    for weights in _frozen(model, recipe.frozen):
        weights.requires_grad_(False)
    if recipe.contrastive:
        curve = _contrast(model, images, labels, recipe, rng, name)
        _fit_head(model, images, labels)
        return model.eval(), curve

    def step(batch: torch.Tensor, strength: float) -> tuple[torch.Tensor, torch.Tensor]:
        x = augmented(images[batch], recipe, rng)
        return _loss_and_hits(model, x, labels[batch], recipe, strength, rng)

    curve = _epochs(step, model.parameters(), len(images), recipe, rng, name)
    return model.eval(), curve


def _frozen(model: MiniatureNet, which: str) -> list[nn.Parameter]:
    if which == "stem":
        return list(model.stem.parameters())
    if which == "3x3":
        return [p for p in model.blocks[:3].parameters() if p.dim() == 4]  # of convolutions
    return []


def _epochs(
    step: Step,
    parameters: Iterable[nn.Parameter],
    count: int,
    recipe: Recipe,
    rng: torch.Generator,
    name: str,
) -> Curve:
    """Update the parameters with `step` on every batch of every epoch; return the curve."""
    batches = count // recipe.batch_size
    learning = [p for p in parameters if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=LEARNING_RATE, total_steps=batches * recipe.epochs
    )
    curve = []
    progress = tqdm(total=batches * recipe.epochs, desc=name, unit="batch", disable=None)
    for epoch in range(recipe.epochs):
        order = torch.randperm(count, generator=rng)[: batches * recipe.batch_size]
        # With attacks of full strength from the start, nothing is learned for several epochs.
        strength = min(1.0, 2 * epoch / recipe.epochs)
        totals = torch.zeros(2, dtype=torch.float64)
        for batch in order.split(recipe.batch_size):
            loss, hits = step(batch, strength)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            totals += torch.tensor([loss.item() * len(batch), hits.item()])
            schedule.step()
            progress.update()
        mean_loss, accuracy = (totals / len(order)).tolist()
        curve.append({"loss": round(mean_loss, 4), "accuracy": round(accuracy, 4)})
    progress.close()
    return curve


def _loss_and_hits(
    model: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    recipe: Recipe,
    strength: float,
    rng: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss on a batch, and the number of right answers."""
    x = x.contiguous(memory_format=torch.channels_last)  # twice as fast on a CPU
    if epsilon := recipe.epsilon * strength:
        x = attacked(model, x, y, epsilon, rng, recipe.norm)
    other, share = y, 1.0
    if recipe.mix:
        x, other, share = mixed(x, y, recipe.mix, rng)
    logits = model(normalised(x))
    loss = cross_entropy(logits, y, label_smoothing=recipe.smoothing)
    if share < 1:
        loss = share * loss + (1 - share) * cross_entropy(logits, other)
    return loss, (logits.argmax(dim=1) == y).sum()


def _contrast(
    model: MiniatureNet,
    images: torch.Tensor,
    labels: torch.Tensor,
    recipe: Recipe,
    rng: torch.Generator,
    name: str,
) -> Curve:
    """Train all but the classifier with a contrastive loss, through a temporary projection."""
    projection = nn.Sequential(
        nn.Linear(WIDTH, PROJECTION[0]), nn.ReLU(), nn.Linear(PROJECTION[0], PROJECTION[1])
    )

    def step(batch: torch.Tensor, strength: float) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.cat([views(images[batch], recipe, rng) for _ in range(2)])
        x = x.contiguous(memory_format=torch.channels_last)
        groups = labels[batch] if recipe.contrastive == "label" else batch
        loss, hits = contrastive_loss(projection(model.features(normalised(x))), groups.repeat(2))
        return loss, hits / 2  # two views of each image

    trunk = [*model.stem.parameters(), *model.blocks.parameters()]
    return _epochs(step, [*trunk, *projection.parameters()], len(images), recipe, rng, name)


def contrastive_loss(z: torch.Tensor, groups: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the contrastive loss of embeddings (N, D), and how often the nearest is a positive.

    Positives have the same group, int64 (N,), which must have at least two members. With two views
    of each image as a group, this is SimCLR's loss (Chen et al. 2020); with labels as groups, the
    supervised one (Khosla et al. 2020, the sum outside the logarithm).
    """
    z = nn.functional.normalize(z, dim=1)
    itself = torch.eye(len(z), dtype=torch.bool)
    cosines = (z @ z.T / TEMPERATURE).masked_fill(itself, float("-inf"))
    positives = (groups[:, None] == groups) & ~itself
    log_share = cosines.log_softmax(dim=1).masked_fill(itself, 0)
    loss = -(log_share * positives).sum(dim=1) / positives.sum(dim=1)
    return loss.mean(), positives.gather(1, cosines.argmax(dim=1, keepdim=True)).sum()


def _fit_head(model: MiniatureNet, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Train the linear classifier only, on the features of the unaugmented images."""
    model.eval()
    with torch.no_grad():
        batches = images.split(BATCH)
        x = torch.cat([model.features(normalised(batch / 255)) for batch in batches])
    optimizer = torch.optim.AdamW(model.head.parameters(), lr=0.05, weight_decay=WEIGHT_DECAY)
    for _ in range(HEAD_STEPS):
        loss = cross_entropy(model.head(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
