"""Reads what W&B wrote to a run's .wandb file, independently of the client that wrote it.

The file is a LevelDB log: after a header of 7 bytes, blocks of 32 KiB (the first one counts from
the start of the file) hold fragments; a fragment is a CRC-32 (4 bytes), a length (2), a type (1)
and its data, and fragments of the types FIRST, MIDDLE ... LAST make up a record. A record is a
protobuf.
"""

import json
import struct
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

HEADER = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
BLOCK = 32 * 1024
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


@dataclass
class Recorded:
    """What a run holds: where it belongs, what was logged in which order, whether it ended."""

    project: str = ""
    name: str = ""
    id: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    logged: list[dict[str, Any]] = field(default_factory=list)
    ended: bool = False
    everything: str = ""  # all records as text: for what must not be in there


def read_run(folder: Path, patience: float = 10.0) -> Recorded:
    """Return the content of the one .wandb file in a run's folder.

    The file is written by wandb's service, a process of its own: for some seconds, wait for the
    record with which a run ends.
    """
    (path,) = folder.glob("*.wandb")
    deadline = time.monotonic() + patience
    while True:
        try:
            result = _recorded(path.read_bytes())
        except ValueError:  # the service is in the middle of a record
            if time.monotonic() > deadline:
                raise
        else:
            if result.ended or time.monotonic() > deadline:
                return result
        time.sleep(0.1)


def _recorded(content: bytes) -> Recorded:
    result = Recorded()
    for data in read_log(content):
        record = Record.FromString(data)
        result.everything += str(record)
        if record.HasField("run"):
            run = record.run
            result.project, result.name, result.id = run.project, run.display_name, run.run_id
            result.config |= _items(run.config.update)
        elif record.HasField("config"):
            result.config |= _items(record.config.update)
        elif record.HasField("history"):
            result.logged.append(_items(record.history.item))
        elif record.HasField("exit"):
            result.ended = True
    return result


def read_log(content: bytes) -> list[bytes]:
    """Return the records of a LevelDB log; raise ValueError where it is damaged."""
    if not content.startswith(HEADER):
        raise ValueError(f"not a .wandb file: it starts with {content[:7]!r}")
    records: list[bytes] = []
    open_record = b""
    position = len(HEADER)
    while position < len(content):
        left = BLOCK - position % BLOCK
        if left < 7:  # too small for a fragment's header: padding
            position += left
            continue
        checksum, length, kind = struct.unpack_from("<IHB", content, position)
        data = content[position + 7 : position + 7 + length]
        position += 7 + length
        if len(data) < length or zlib.crc32(bytes([kind]) + data) != checksum:
            raise ValueError(f"damaged before byte {position}")
        open_record = data if kind in (FULL, FIRST) else open_record + data
        if kind in (FULL, LAST):
            records.append(open_record)
    return records


def _items(items: Any) -> dict[str, Any]:
    """Return what was written as {key: value}; a key of several parts stays a tuple."""
    return {
        item.key or (item.nested_key[0] if len(item.nested_key) == 1 else tuple(item.nested_key)): (
            json.loads(item.value_json)
        )
        for item in items
    }
