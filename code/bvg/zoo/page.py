"""The page docs/models.md, made from the table."""

from collections.abc import Iterable, Sequence

from bvg.zoo.listing import where_from
from bvg.zoo.table import TRAINING_DATA, ZooModel

_TITLES = {
    "baseline": "Baseline",
    "training_recipes": "Training recipes",
    "augmentation": "Augmentation",
    "stylized": "Stylized-ImageNet",
    "contrastive": "Contrastive learning",
    "adversarial_training": "Adversarial training",
    "freezing": "Frozen filters",
    "architecture": "Other architectures",
    "transformer": "Vision transformers",
    "more_data": "More data",
    "self_supervised": "Self-supervised, more data",
    "zero_shot": "Zero-shot",
    "untrained": "Untrained",
}
_HEAD = ("model", "method", "trained on", "M", "px", "study", "published", "from", "licence")

_TOP = """# The models of the zoo

This page is generated from the table, code/bvg/zoo/models/*.toml, by

    python code/zoo.py docs

{available} models are available and {gone} are unavailable. Names are those of the study's
published table or, for models of other systems, theirs. `python code/zoo.py show NAME` prints the
paper, every source, the hash and the layout of the files.

M: millions of parameters. px: side of the training images. study: top-1 accuracy in the study's
table, in percent, with Resize 256, crop 224, bilinear for all models. published: the publisher's
top-1 accuracy, with the model's own preprocessing. No file has been downloaded yet, as development
had no network access: the sources, hashes and layouts are from the publishers' and other projects'
public files, and each layout is tested with a synthetic checkpoint. To check all of them, run
`python code/zoo.py check --all`.
"""

_CHECKED = """## What every model is checked for

Before any long work, each model is run on four synthetic pictures (noise with the spectrum of
photographs, a fixed function of the picture size): one by one, as a batch, and as the same batch
again; in fp32 and, with `--precision bf16` or `fp16`, in that precision. The following are refused,
with the reason:

| what | why | what to do |
|---|---|---|
| probabilities or percentages (rows sum to 1 or 100), or only numbers in [0, 1] | a softmax of them is nearly uniform: shape bias .152 → .190 for one model | return logits or log-probabilities; for CLIP, similarities times their scale. If they are logits, set the attribute `outputs = "logits"` |
| outputs that depend on the other images of the batch | batch normalization in training mode, or without running statistics: the accuracy changes with the batch size | call `eval()`, or use `--allow_unstable`, which records it |
| weights or buffers that change while the model answers | running statistics or observers in training mode: answers depend on the images before | the same |
| random outputs | dropout in training mode: the accuracy changes from run to run | the same |
| a tuple, dict or `ModelOutput`; a shape other than (images, classes); integers | `squeeze()` fails on a last batch of one image | return the tensor of logits |
| NaN or infinite logits (-inf for single classes is fine) | a damaged checkpoint, or too large for 16 bits | see the message |
| 16-bit or 64-bit weights that fail on fp32 images | | `.float()`, or `--precision fp16` or `bf16` where that works |

After a run, a warning is printed, and kept in summary.json, if the answers are no better than guesses
([fidelity.md](fidelity.md#all-benchmarks)): permuted classes, a wrong normalization, untrained weights.

The same logits for every picture, or no registered parameters, only print a warning. VOneNet and the
models of diffusion noise draw their noise per image, so they pass.

**The convention of the input.** A model that gets RGB where it expects BGR, or another normalization than
it was trained with, gives plausible numbers. A run on clean ImageNet photographs that has at least 45,000
of them left, such as `eval_imagenet.py` on the whole set, therefore begins with a check of models that are not
the zoo's. It shows 32 photographs, of as many classes, as they are, in BGR and in grey, with another usual
normalization or one undone, in 0–255, at 64 and 128 px and out of proportion (sizes only where the
model does not state its own). The convention in which the model knows them best is compared with the one in
use on 224 others. A warning with the remedy is printed, and kept in summary.json as `input_check`, if it
raises the probabilities of the right classes (p < 0.001 in an exact sign-flip test, each convention at its
best temperature; of classes, where not all of the model's are shown) and top-1 accuracy by 3 points. The
check takes 2 % of the computation, and no answer changes. `--check_top1 N` makes it with N photographs (an
eighth of them, at least 32, in all conventions) for any model and run, and compares the accuracy with the
zoo's number. [fidelity.md](fidelity.md#models) has the share of mistakes that are found. What no flag can
correct, a factory (`--model my.py:bgr`) does:

    class BGR(torch.nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, x):  # RGB in [0, 1]
            return self.network(x.flip(1))

    def bgr():
        return BGR(my_network())
"""  # noqa: E501
_OFFLINE = """## Without a network

Cached weights are loaded without a network: the zoo's and other checkpoints from
`$BVG_WEIGHTS`, timm's, open_clip's and Hugging Face's from `$HF_HOME`, torchvision's from
`$TORCH_HOME`. For those in `$HF_HOME`, the Hugging Face hub is queried once; if it does not
respond, the model is loaded from the cache or, if it is not cached, the script ends with one
sentence. The hub client's own settings apply:

| variable | meaning |
|---|---|
| `HF_HUB_OFFLINE=1` | never query the hub, for nodes without internet |
| `HF_HUB_ETAG_TIMEOUT` | seconds to wait for a response (default: 10) |
| `HF_HUB_DOWNLOAD_TIMEOUT` | seconds without a byte after which a download fails (default: 10) |
| `HF_ENDPOINT` | a mirror of the hub |
| `HF_TOKEN` | an access token, for gated models |
"""

_GUESSED = """## Unconfirmed

These load, but not everything that the table says about them is confirmed. Loading one prints this,
and where in its file the weights were found; no layout is tried silently.
"""

_GONE = """## Not available
"""

_DATA = """## Training data

The sources of a model's training images, with or without labels, its own or its teacher's. Models
trained on more than IN-1k and SIN may have seen images of the test sets; `python code/zoo.py list
--imagenet_only` excludes them, and analyses can do so by `trained_on`.
"""

_ADD = """## Adding a model in five lines

At the end of code/bvg/zoo/models/recipes.toml, for example, whose `[defaults]` hold the category,
the year and the rest for all of its rows:

    [my_resnet50]
    method = "my augmentation"
    paper = "me, 2026"
    license = "MIT"
    files = [{ source = ["https://me.org/my.pth"], strip = "module." }]

That is a timm resnet50 whose file is a bare state dict, each key with the prefix `module.`.
`container` says under which key of the file the state dict is, `arch` names another architecture,
`sha256` the hash, `mean` and `std` the normalization; table.py describes every field.

    python code/zoo.py check my_resnet50

downloads it and loads it strictly, or reports in one sentence what does not fit. Then regenerate
this page (a test compares it with the table) and add a synthetic checkpoint of the new layout to
tests/publishers.py (another test requires it). A private model needs no row:
`--model file://my.pth --arch resnet50`.
"""

_CHECKPOINTS = """## Your own checkpoint

`--model file://my.pth` takes what torch.save, safetensors and NumPy (npz) write. The architecture
is `--arch`, the normalization `--mean` and `--std`, for pixels in [0, 1]; the flags apply to all
`file://` models of a call, and a warning is printed if there is none. Weights are loaded strictly:
every name and shape must be the architecture's. Files that `train.py` wrote record all three, and
so does timm's config.json beside the weights.

**Normalization.** Without `--mean` and `--std`, `mean` and `std` in the file are used (divided by
255 where both are above 1), else ImageNet's; the run prints which. If timm trains the architecture
with others (many vision transformers), or the network has a mean and a std itself, they have to be
given.

**Raw or averaged.** Files often hold several sets of weights. As in timm's loader
(`timm.models.load_state_dict` with its default `use_ema=True`), those under `state_dict_ema`,
then `model_ema`, are preferred; the run prints this. Of any others, those that fit the architecture
are used if only one set does, wherever in the file it is; where several fit (`teacher` and
`student`, `model` and `ema`, MoCo's `encoder_q` and `encoder_k`), the file is refused with a list
of them. `--weights_key KEY` chooses: a dotted path, which may end in a prefix of the names in a
state dict, such as `model`, `teacher.backbone`, `state_dict.module.encoder_q`; `.` is the top
level of the file.

**Prefixes.** One that all names share (`module.`, `_orig_mod.`, Lightning's `model.`) is removed
if the names are then exactly the architecture's, and so is the counter of PyTorch's
`AveragedModel`. The result records what was used (`found` in the summary's `model`).

**Classes.** 1000 logits are ImageNet's in the order of the sorted wnids, unless the model (or
what the `--arch` factory returns) has an attribute `classes`: the names of its logits, in their
order. If these are the wnids or torchvision's English names, in any order, with or without
TensorFlow's background class, the logits are brought into ImageNet's order, without the
background, and every benchmark works. Other names are those of the data set's folders. The same
holds for `class_to_idx`, `idx_to_class`, `id2label`, `class_names` and `label_names`, of the model,
a module in it, or its `config`, and in the checkpoint or its `hyper_parameters`, if they name as
many classes as there are logits; a line is printed if the logits are brought into another order.
The numbers 0 to 999 as names are positions among the wnids. Names that are spelled otherwise are
ImageNet's if most stand where their classes do. A module that reorders the logits of one that
states names has to state the new order in `classes`.

**Settings.** What a factory's file sets for the whole process (TF32, the default dtype and device,
gradients, Pillow's limits, the working folder) is restored when it has returned the model.
"""

_ZERO_SHOT = """## Zero-shot models

`--model open_clip:ARCH/TAG` is any model of `open_clip.list_pretrained()`, `hf-hub:ORG/NAME` one on
the Hugging Face hub, `open_clip:local-dir:FOLDER` one in a folder of the hub's layout
(open_clip_config.json and weights; for your own), and the rows above are shorter names of the first. They need
`pip install open_clip_torch`, and models with a tokenizer or a text tower of Hugging Face
(SigLIP, CLIPA, RoBERTa) `pip install transformers`.

Such a model is a classifier of ImageNet's 1000 classes, for every script: its weights are features
of the class names in every template, made by open_clip's own `build_zero_shot_classifier`, and its
outputs the scaled cosines (plus the bias, for SigLIP), never probabilities. Attacks go through the
image tower. ImageNet-A and -R restrict the 1000 logits, which is the same as using 200 names.

| what | how |
|---|---|
| `--templates` | `openai80` (default, as in open_clip's evaluation), `simple7`, `none` (the name alone), or a text file with one `{}` per line |
| `--class_names` | a text file of 1000 names in the order of the wnids, or of lines `class<TAB>name` for a data set of other classes (default: open_clip's names, of which "missile" and "sunglasses" each stand for two classes) |
| text weights | computed once per model, names, templates and tokenizer, on `--device`, and kept in `$BVG_CACHE/zero_shot`; the name of the file is a hash of all of these and is part of each result's identity |
| activation | QuickGELU where the weights were trained with it, also under a name without `-quickgelu` |
| preprocessing | `--preprocess native`: size, mean, std, interpolation, crop or squash of the model's own configuration; else the study's |
| other sizes | where a benchmark's images have another size than the tower's (224 px stimuli for SigLIP at 256), they are resized on the device (bicubic, antialiased) |
| precision | in fp32 unless `--precision` says otherwise; cosines and logits always are. Published accuracies were mostly computed with mixed precision |
| 16 categories | `shape-bias` averages the probabilities of the classes of each category, as for all models; eval_shape_bias.py also reports `shape-bias/names`, chosen among the 16 names. Published for CLIP RN50: .1952 and .1970, for ViT-L/14 .5991 and .6095 |

The published accuracies are those of open_clip's docs/openclip_results.csv. Models that it lists
twice, with and without QuickGELU, have one row, with the number of the activation that they were
trained with. As nothing could be downloaded, SigLIP's own vocabulary is untested here: the tests
have a small one with the same conventions (canonical text, 64 tokens, padding).

## Hugging Face classifiers

`--model hf:ORG/NAME` or `hf:FOLDER` is any image classifier of transformers (`pip install
transformers`). Each of its 1000 labels must be a name of its class: the wnid, WordNet's synonyms or
the first of them, or torchvision's name. They may be in any order if no name is ambiguous; labels
such as LABEL_0, and weights that do not fill the network exactly, are refused. Preprocessing and
normalization are those of its preprocessor_config.json.
"""  # noqa: E501

_DINO = """## DINOv2

The heads are the publisher's: `dinov2_vits14_lc` reads the class tokens of the last four layers, as
torch hub's function of that name does by default, `…_1layer` that of the last one; both read the
mean of the last layer's patches. Their native preprocessing is Resize 256 (bicubic), crop 224.
Position embeddings are resized from 518 to 224 px as the publisher does, which differs from timm.
"""


def models_page(rows: Iterable[ZooModel]) -> str:
    """Return docs/models.md."""
    rows = [row for row in rows if row.classes == "imagenet-1k"]
    there = [row for row in rows if not row.unavailable]
    gone = [row for row in rows if row.unavailable]
    parts = [_TOP.format(available=len(there), gone=len(gone))]
    for category, title in _TITLES.items():
        members = [row for row in there if row.category == category]
        parts.append(f"## {title}\n\n" + _table([_HEAD, *map(_cells, members)]))
    guessed = [(_code(row.name), row.guess) for row in there if row.guess]
    parts.append(_GUESSED + "\n" + _table([("model", "what is a guess"), *guessed]))
    reasons = [(_code(row.name), row.method, row.unavailable) for row in gone]
    parts.append(_GONE + "\n" + _table([("model", "method", "why"), *reasons]))
    data = [("tag", "what it is"), *TRAINING_DATA.items()]
    parts.append(_DATA + "\n" + _table(data))
    return "\n".join([*parts, _ZERO_SHOT, _DINO, _CHECKED, _OFFLINE, _ADD, _CHECKPOINTS])


def _cells(row: ZooModel) -> tuple[str, ...]:
    name = "<br>".join([_code(row.name), *(f"= {_code(alias)}" for alias in row.aliases)])
    accuracies = (
        "" if top1 is None else f"{top1:.2f}" for top1 in (row.study_top1, row.published_top1)
    )
    size = "" if row.parameters is None else str(row.parameters)
    data = " + ".join(row.trained_on)
    return (
        name,
        row.method,
        data,
        size,
        str(row.train_size),
        *accuracies,
        where_from(row),
        row.license,
    )


def _code(text: str) -> str:
    return f"`{text}`"


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(cell for cell in line) + " |" for line in lines) + "\n"
