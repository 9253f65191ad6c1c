"""What the folder of a sharded corpus holds, and how its files are named."""

import re
from pathlib import Path

from steno.storage import is_remote

INDEX = "index.safetensors"
LEFT_OUT = "left-out.txt"

_OURS = re.compile(r"\d{6}\.tar(\.part)?|index\.safetensors(\.part)?|left-out\.txt")
_LONGEST_NAME = 60


def shard_name(number: int) -> str:
    """The file name of the shard with that number, from 0."""
    return f"{number:06d}.tar"


def member_key(number: int, identity: str) -> str:
    """What the names of an utterance's recording and of its JSON begin with; ``number`` counts utterances from 0.

    WebDataset cuts a name at its first dot, and a header of ustar holds 100 bytes.
    """
    return f"{number:09d}_{re.sub(r'[^A-Za-z0-9_-]', '_', identity)[:_LONGEST_NAME]}"


def is_ours(name: str) -> bool:
    """Whether a file of that name is one that sharding writes."""
    return bool(_OURS.fullmatch(name))


def index_folder(path: Path) -> Path | None:
    """The folder of shards that a path means: the folder itself or its index; None if it is something else."""
    if path.name == INDEX:
        folder = path.parent
    elif is_remote(path):
        return None if path.suffix else path
    elif (path / INDEX).is_file():
        folder = path
    else:
        return None
    return folder if folder.name else folder.absolute()  # a folder's name is what the data is called
