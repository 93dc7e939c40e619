"""The sentences for results that do not belong together."""

from predictions.identity import differences

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
