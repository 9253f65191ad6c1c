"""A bill of materials for each lock: what is in it, in which version, under which hashes. CycloneDX, as JSON.

Use: make sbom              writes build/sbom/NAME.json for requirements/*.lock and deploy/*.lock
     make sbom ARGS=DIR     writes them to another folder
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def locks() -> list[Path]:
    """Every lock of the project."""
    return sorted([*ROOT.glob("requirements/*.lock"), *ROOT.glob("deploy/*.lock")])


def name_of(lock: Path) -> str:
    """The name of a lock's bill: ``requirements-serve``."""
    return f"{lock.parent.name}-{lock.stem}"


def write(lock: Path, target: Path) -> None:
    """Write one bill; what it holds is taken from the lock alone, nothing is installed or asked for."""
    line = [
        sys.executable,
        "-W",
        "ignore::UserWarning",  # a lock says what there is, not what needs what; the tool warns of that
        "-m",
        "cyclonedx_py",
        "requirements",
        str(lock),
        "--pyproject",
        str(ROOT / "pyproject.toml"),
    ]
    line += ["--mc-type", "application", "--output-reproducible", "--of", "JSON", "-o", str(target)]
    subprocess.run(line, check=True)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "sbom"
    folder.mkdir(parents=True, exist_ok=True)
    for lock in locks():
        target = folder / f"{name_of(lock)}.json"
        write(lock, target)
        print(target)


if __name__ == "__main__":
    main()
