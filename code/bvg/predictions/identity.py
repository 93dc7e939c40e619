"""Identities of results: what two runs must agree in to be one result, and how they differ."""

from typing import Any

PROBE = "probe"  # the entry of a model's identity that Probe.record returns
PROGRAM = "program"  # the entry with a digest of the script, which may differ (see run/program)
# Root mean square difference, relative to the logits' spread, up to which two outputs for the probe
# are taken as the same model's (docs/fidelity.md). Other devices and libraries cause 1e-5 in fp32,
# up to .2 in 16 bits; another model about 1.
_SAME, _SAME_COARSE = 0.01, 0.3

# The flattened keys in words, for messages.
_NAMES = {
    "images.fingerprint": "the images (their names, sizes or labels)",
    "images.count": "the number of images",
    "model.weights_sha256": "the model's weights",
    "model.file_sha256": "the model's Python file",
    "model.classes_sha256": "the model's attribute `classes`",
    "model.text_sha256": "the names or sentences of the classes, or the text tower,",
    "model.templates": "--templates",
    "model.class_names": "--class_names",
    "model.spec": "the model",
    "model.unstable": "what the model's outputs depend on besides the image",
}
_MOST_SHOWN = 20  # entries of a list


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return a phrase for each entry in which two identities (nested dicts) differ.

    Outputs for the probe are compared with a tolerance, and only if the weights' hashes are equal.
    """
    old, new = _flat(before), _flat(now)
    phrases = []
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) == new.get(key) or key == PROGRAM:
            continue
        name = _NAMES.get(key, key.removeprefix("protocol.").removeprefix("scored_with."))
        if key.rpartition(".")[2] == PROBE:
            weights = f"{key.removesuffix(PROBE)}weights_sha256"
            both = [identity[key] for identity in (old, new) if key in identity]
            is_same = len(both) == 2 and same_outputs(*both)
            if old.get(weights) == new.get(weights) and not is_same:
                source = " of the --source" if key.startswith("protocol.source") else ""
                phrases.append(f"the model's{source} outputs for the probe images changed")
        elif key.endswith(("fingerprint", "sha256")):
            phrases.append(f"{name} changed")
        else:
            phrases.append(f"{name} was {_shown(old.get(key))} and is now {_shown(new.get(key))}")
    counted = [phrase for phrase in phrases if phrase.startswith("the number of images")]
    return counted + [p for p in phrases if p not in counted]


def same_outputs(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two records of the probe can be of one model.

    True if they cannot be compared: pictures of another size, or no recorded outputs.
    """
    if one["size"] != other["size"] or "logits" not in one or "logits" not in other:
        return True
    if len(one["logits"]) != len(other["logits"]):
        return False
    squares = [(a - b) ** 2 for a, b in zip(one["logits"], other["logits"], strict=True)]
    change = (sum(squares) / len(squares)) ** 0.5
    allowed = _SAME_COARSE if one["coarse"] or other["coarse"] else _SAME
    return change <= allowed * max(one["spread"], other["spread"])


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and key != PROBE:  # compared as a whole
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _shown(value: Any) -> str:
    if isinstance(value, list) and len(value) > _MOST_SHOWN:
        return f"a list of {len(value):,}"
    return "not given" if value is None else str(value)
