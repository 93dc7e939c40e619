"""Words of a command line, for argparse; without PyTorch, which takes seconds to import."""

import argparse


def underscored(word: str) -> str:
    """Return a flag with `_` for each `-` inside its name; other words as they are."""
    if not word.startswith("--"):
        return word
    flag, equals, value = word[2:].partition("=")
    return "--" + flag.replace("-", "_") + equals + value


def positive(text: str) -> int:
    """Return a whole number of at least 1, for argparse."""
    number = count(text)
    if number == 0:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def count(text: str) -> int:
    """Return a whole number of at least 0, for argparse."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)
