"""What two runs must share to be one result, and the sentence when they do not."""

from typing import Any

# How the flattened keys are called in a message.
_CALLED = {
    "images.fingerprint": "the images (their names, sizes or labels)",
    "images.count": "the number of images",
    "model.weights_sha256": "the model's weights",
    "model.file_sha256": "the model's Python file",
    "model.spec": "the model",
}


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return a phrase for each entry in which two identities (nested dicts) differ."""
    old, new = _flat(before), _flat(now)
    phrases = []
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) == new.get(key):
            continue
        name = _CALLED.get(key, key.removeprefix("protocol.").removeprefix("scored_with."))
        if key.endswith(("fingerprint", "sha256")):
            phrases.append(f"{name} changed")
        else:
            phrases.append(f"{name} was {_shown(old.get(key))} and is now {_shown(new.get(key))}")
    counted = [phrase for phrase in phrases if phrase.startswith("the number of images")]
    return counted + [p for p in phrases if p not in counted]


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _shown(value: Any) -> str:
    return "not given" if value is None else str(value)
