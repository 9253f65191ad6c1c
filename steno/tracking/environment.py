"""What a run was made with: the tags that let somebody make it again."""

import getpass
import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path

from steno import __version__


def tags(folder: Path) -> dict[str, str]:
    """Tags of this process: code version, host, user, interpreter, torch.

    Args:
        folder: where git is asked for the commit; not being in a repository is no error.
    """
    found = {
        "mlflow.source.name": sys.argv[0] or "steno",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
        "steno.version": __version__,
        "steno.host": platform.node(),
        "steno.platform": platform.platform(),
        "steno.python": platform.python_version(),
        "steno.command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:1000],
    }
    for distribution in ("torch", "onnxruntime"):
        try:
            found[f"steno.{distribution}"] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    if commit := _git(folder, "rev-parse", "HEAD"):
        found["mlflow.source.git.commit"] = commit
        found["steno.git.dirty"] = str(bool(_git(folder, "status", "--porcelain", "-uno"))).lower()
        if branch := _git(folder, "rev-parse", "--abbrev-ref", "HEAD"):
            found["mlflow.source.git.branch"] = branch
    return found


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "unknown"
