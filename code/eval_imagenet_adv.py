"""Adversarial robustness: accuracy on images that were changed, within ε, to be got wrong.

    python code/eval_imagenet_adv.py --model resnet50.tv_in1k --imagenet /data/imagenet
    python code/eval_imagenet_adv.py --model resnet50.tv_in1k --attack pgd fgsm --eps 0.5/255 1/255
    python code/eval_imagenet_adv.py --model resnet50.tv_in1k --source resnext50_32x4d.tv_in1k
        --attack targeted --as_ood

Papers: Gavrikov & Keuper, "Can Biases in ImageNet Models Explain Generalization?", CVPR 2024 (pgd:
L∞, ε = 0.5/255, 40 steps of 2/255, random start, the last iterate counts); Madry et al., ICLR 2018
(PGD); Goodfellow et al., ICLR 2015 (fgsm); Croce & Hein, ICML 2020 (autoattack, with the package
pyautoattack); Orhan, "Robustness properties of Facebook's ResNeXt WSL models", 2019 (targeted).
Data: the 50,000 validation images (https://image-net.org/download, ILSVRC2012; a login is needed).
An attack is a result of its own, imagenet_adv_<attack>[_first][_from_<source>]. Images that are
wrong as they are count as broken and are not attacked. Random starts and targets are keyed by
(seed, image). ε is in units of the pixel range [0, 1]; of pgd-l2 over all pixels and channels.
Writes top1_acc/clean and top1_acc/<attack>/eps=<ε>[/from=<source>] (percent of all images), such as
top1_acc/PGD-40/eps=0.5_255; …/PGD-40-any/… (no iterate is wrong); metric/<attack>/eps=<ε>/
median-steps, …/median-perturbation, …/masked-gradients; figures of all models of the call.
"""

import sys
from pathlib import Path

from analysis.adversarial_figure import adversarial_figure, adversarial_pictures
from analysis.drawing import png_and_pdf
from evaluation.adversarial_files import pictures_folder
from evaluation.attack_flags import attack_arguments, configure
from evaluation.benchmark import Benchmark, Finished
from evaluation.decisions import among_all_classes
from evaluation.imagenet_flags import imagenet_folder, imagenet_images
from evaluation.session import main
from scoring.adversarial import adversarial_metrics, doubts, survival
from stimuli.batch import unchanged


def files(finished: list[Finished], args, example) -> list[Path]:
    """Draw robust accuracy by ε and by steps, and the adversarial images that were kept."""
    benchmark = finished[0].folder.parent
    curves = png_and_pdf(benchmark, "robustness")
    steps = {model.name: survival(model.predictions) for model in finished}
    survived = {name: found for name, found in steps.items() if found}
    adversarial_figure({model.name: model.metrics for model in finished}, survived, curves)
    written = curves
    for folder in (benchmark, *(model.folder for model in finished)):
        pictures = pictures_folder(folder, None)
        if args.save_adversarial and pictures.is_dir():
            panel = png_and_pdf(folder, "adversarial_images")
            adversarial_pictures(pictures, panel)
            written = [*written, pictures, *panel]
    return written


ADVERSARIAL = Benchmark(
    name="imagenet_adv",
    arguments=attack_arguments,
    locate=imagenet_folder,
    images=imagenet_images,
    stimuli=unchanged,
    decision=among_all_classes,
    score=adversarial_metrics,
    headline=("top1_acc/clean",),
    decision_columns=("first_success", "masked_gradients"),
    float_columns=("perturbation",),
    files=files,
    configure=configure,
    remarks=doubts,
)

if __name__ == "__main__":
    sys.exit(main(ADVERSARIAL, __doc__))
