"""The sentences for results that do not belong together."""

import pytest

from bvg.predictions.identity import differences, same_outputs

BEFORE = {
    "model": {"weights_sha256": "aa", "spec": "net"},
    "images": {"count": 5, "fingerprint": "bb"},
    "protocol": {"limit": None, "preprocessing": {"crop": 224}},
}


def _changed(path: str, value) -> dict:
    section, key = path.split(".")
    return {**BEFORE, section: {**BEFORE[section], key: value}}


def test_equal_identities_differ_in_nothing():
    assert differences(BEFORE, BEFORE) == []


def test_each_difference_is_named_in_the_users_words():
    cases = [
        ("model.weights_sha256", "cc", "the model's weights changed"),
        ("images.count", 6, "the number of images was 5 and is now 6"),
        ("images.fingerprint", "dd", "the images (their names, sizes or labels) changed"),
        ("protocol.limit", 100, "limit was not given and is now 100"),
        ("protocol.preprocessing", {"crop": 288}, "preprocessing.crop was 224 and is now 288"),
        ("protocol.new", 1, "new was not given and is now 1"),
    ]
    for path, value, sentence in cases:
        assert differences(BEFORE, _changed(path, value)) == [sentence]


PROBE = {
    "size": 224,
    "coarse": False,
    "parameters": 5,
    "spread": 2.0,
    "logits": [1.0, -3.0, 0.5, 4.0],
}


def _shifted(change: float, **entries) -> dict:
    """Return the record with every number off by `change` times the spread."""
    return PROBE | {"logits": [number + 2.0 * change for number in PROBE["logits"]]} | entries


def _probed(probe: dict | None, weights: str = "aa", where: str = "model") -> dict:
    model = {"weights_sha256": weights, "spec": "net"} | ({"probe": probe} if probe else {})
    return {"protocol": {"source": model}} if where == "source" else {"model": model}


@pytest.mark.parametrize(
    ("change", "coarse", "same"),
    [
        (1e-5, False, True),
        (5e-3, False, True),
        (-5e-3, False, True),
        (0.02, False, False),
        (-1.0, False, False),
        (0.02, True, True),
        (0.2, True, True),
        (0.5, True, False),
    ],
)
def test_answers_are_compared_with_a_tolerance(change, coarse, same):
    for one, other in ((PROBE, _shifted(change, coarse=coarse)), (_shifted(change), PROBE)):
        if coarse:
            one = one | {"coarse": True}  # it is enough that one of them is
        assert same_outputs(one, other) == same
        changed = differences(_probed(one), _probed(other))
        assert len(changed) == (not same)
        assert all("outputs for the probe images changed" in phrase for phrase in changed)


def test_the_same_outputs_at_another_scale_are_other_answers():
    hotter = PROBE | {"spread": 2.2, "logits": [1.1 * number for number in PROBE["logits"]]}
    assert not same_outputs(PROBE, hotter)
    assert not same_outputs(PROBE, PROBE | {"logits": [1.0]})


def test_what_cannot_be_compared_is_left_to_the_rest_of_the_identity():
    other = _shifted(1.0)
    assert same_outputs(PROBE, other | {"size": 288})
    unstable = {key: PROBE[key] for key in ("size", "coarse", "parameters")}
    assert same_outputs(unstable, other)
    assert same_outputs(other, unstable)
    unstable_model = {"model": {"unstable": "chance", "probe": unstable}}
    assert len(differences({"model": {"probe": PROBE}}, unstable_model)) == 1


def test_other_weights_are_said_once():
    [phrase] = differences(_probed(PROBE, "aa"), _probed(_shifted(1.0), "bb"))
    assert "weights" in phrase


@pytest.mark.parametrize("where", ["model", "source"])
def test_results_without_a_probe_are_not_taken_for_the_same(where):
    probed = _probed(PROBE, where=where)
    assert len(differences(_probed(None, where=where), probed)) == 1
    assert differences(probed, probed) == []
    assert len(differences(probed, _probed(_shifted(1.0), where=where))) == 1
