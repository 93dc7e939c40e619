"""A real network knows photographs best in its own convention, and every other one is noticed."""

from dataclasses import replace

import numpy as np

from bvg.data.image_set import class_balanced
from bvg.data.imagenet import imagenet_val
from bvg.data.preprocessing import STUDY
from bvg.run.command_line import options
from bvg.run.evaluate import load_models
from bvg.run.input_check import answers, conventions, is_better
from bvg.run.settings import settings_from


def test_a_mistake_in_a_real_networks_input_is_noticed(fixtures):
    name = f"{fixtures}/models/mobilenet_tf.py:mobilenet_v1_025"
    args = options(model=[name], device="cpu")
    (model,), classes = load_models(args)
    images = class_balanced(imagenet_val(fixtures / "imagenet", classes, True), 64, 0)
    others = [other for other in conventions(model.model, STUDY) if not other.view]
    found = answers(model, STUDY, images, others, settings_from(args))
    assert 0.4 < found.right[0].mean() < 0.7  # 55 % of all 400
    known = found.log_probability.mean(axis=1)
    assert known.argmax() == 0
    missed = []
    for k, other in enumerate(others, start=1):  # a model that gets this, and expects the other
        order = np.array([k, 0])
        wrong = replace(
            found, right=found.right[order], log_probability=found.log_probability[order]
        )
        if not is_better(wrong):
            missed.append(other.expects)
    assert not missed
