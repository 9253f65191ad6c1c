"""A store that a test has to itself."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from proxy import Proxy

from steno.storage import objects


@dataclass
class Store:
    """A bucket or container of its own, and a proxy before the store that can cut connections.

    Args:
        root: its URL, such as ``s3://steno-1``.
        proxy: what stands between.
        direct: go round the proxy from now on.
    """

    root: str
    mlflow_root: str
    proxy: Proxy
    direct: Callable[[], None]

    def at(self, name: str) -> Path:
        """A place below the root."""
        return Path(f"{self.root}/{name}")

    def put(self, folder: Path, name: str) -> None:
        """Copy a folder there."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                objects.write_bytes(self.at(f"{name}/{path.relative_to(folder)}"), path.read_bytes())
