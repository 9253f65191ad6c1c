"""The server's image without a container engine: its Dockerfile's own steps in an empty folder, then a request.

The steps of the first stage are read from deploy/Dockerfile and run here, with /opt and the working folder moved
below a scratch folder. Then the image's entry point serves a model. It is checked that the server answers, that the
installation stays below a size, and that it holds neither torch nor mlflow.

Use: python scripts/check_image.py --model runs/demo/model [--recording talk.flac] [--to DIR]
"""

import argparse
import json
import os
import re
import shlex
import shutil
import string
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
MOST_MEGABYTES = 400
ABSENT = ("torch", "mlflow")
PATIENCE = 120.0  # seconds until the server answers


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each instruction of a Dockerfile with its arguments; comments go, continued lines are joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name.upper(), rest.strip()


def stage(text: str, name: str) -> list[tuple[str, str]]:
    """The instructions of one stage, without its FROM."""
    found: list[tuple[str, str]] = []
    inside = False
    for word, rest in instructions(text):
        if word == "FROM":
            inside = rest.split()[-1] == name
        elif inside:
            found.append((word, rest))
    return found


def build(steps: list[tuple[str, str]], scratch: Path) -> None:
    """Run the steps of a stage below ``scratch``.

    Raises:
        ValueError: a step that this script cannot run.
    """
    place, environment = scratch, {**os.environ}
    # What this very environment has installed must not help.
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"):
        environment.pop(name, None)
    for word, rest in steps:
        if word == "WORKDIR":
            place = scratch / rest.lstrip("/")
            place.mkdir(parents=True, exist_ok=True)
        elif word == "ENV":
            environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        elif word == "ARG":
            name, _, default = rest.partition("=")
            environment[name] = default
        elif word == "COPY":
            *sources, target = shlex.split(string.Template(rest).substitute(environment))
            for source in sources:
                _copy(ROOT / source, place / target, into=len(sources) > 1 or target.endswith("/"))
        elif word == "RUN":
            print(f"$ {rest}", flush=True)
            line = re.sub(r"(?<![\w.])/opt/", f"{shlex.quote(str(scratch))}/opt/", rest)
            line = re.sub(r"(?<![\w/.-])python(?= -m venv)", shlex.quote(sys.executable), line)
            (scratch / "opt").mkdir(exist_ok=True)
            subprocess.run(["/bin/sh", "-c", line], cwd=place, env=environment, check=True)
        else:
            raise ValueError(f"{word} is not a step that can be run here")


def megabytes(folder: Path) -> float:
    """Size of what is below a folder, in millions of bytes."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()) / 1e6


def entry_point(text: str) -> list[str]:
    """The command line that the image starts with, without its arguments."""
    found = next(rest for word, rest in stage(text, "runtime") if word == "ENTRYPOINT")
    line: list[str] = json.loads(found)
    return line


def serve(scratch: Path, line: list[str], model: Path, recording: Path | None) -> None:
    """Start the server as the image would, on another port, and ask it."""
    port = "18080"
    line = [port if word == "8080" else word for word in line]
    bin_folder = scratch / "opt" / "steno" / "bin"
    with tempfile.TemporaryDirectory() as writable:
        environment = {"PATH": f"{bin_folder}:{os.defpath}", "XDG_CACHE_HOME": f"{writable}/cache", "TMPDIR": writable}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"}
        started = time.monotonic()
        program = [str(bin_folder / line[0]), *line[1:], "--model", str(model), "--workers", "1"]
        process = subprocess.Popen(program, cwd=writable, env=environment, stderr=subprocess.DEVNULL)
        try:
            address = f"http://127.0.0.1:{port}"
            while not _answers(f"{address}/readyz"):
                if process.poll() is not None or time.monotonic() - started > PATIENCE:
                    sys.exit("the server did not start")
                time.sleep(0.1)
            print(f"ready after {time.monotonic() - started:.1f} s")
            if not _answers(f"{address}/"):
                sys.exit("the page is not in the installation")
            if recording is not None:
                print(f"heard: {_transcribed(address, recording)}")
        finally:
            process.terminate()
            process.wait(60)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", type=Path, help="model folder to serve; without it only the contents are checked")
    arguments.add_argument("--recording", type=Path, help="a recording to transcribe")
    arguments.add_argument("--to", type=Path, help="folder to build in, which stays; a temporary one by default")
    given = arguments.parse_args()
    text = DOCKERFILE.read_text(encoding="utf-8")
    scratch = (given.to or Path(tempfile.mkdtemp(prefix="steno-image-"))).resolve()
    try:
        build(stage(text, "build"), scratch)
        (packages,) = (scratch / "opt" / "steno").glob("lib/python3*/site-packages")
        size = megabytes(packages)
        print(f"site-packages: {size:.0f} MB")
        heaviest = sorted((path for path in packages.iterdir() if path.is_dir()), key=megabytes)[-6:]
        print("  " + ", ".join(f"{path.name} {megabytes(path):.0f}" for path in reversed(heaviest)))
        there = sorted({path.name for path in packages.iterdir()} & set(ABSENT))
        if there or size > MOST_MEGABYTES:
            sys.exit(f"it holds {', '.join(there) or f'more than {MOST_MEGABYTES} MB'}")
        if given.model is not None:
            serve(scratch, entry_point(text), given.model.resolve(), given.recording)
    finally:
        if given.to is None:
            shutil.rmtree(scratch)


def _copy(source: Path, target: Path, into: bool) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        return
    target = target / source.name if into or target.is_dir() else target
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _transcribed(address: str, recording: Path) -> str:
    with urllib.request.urlopen(f"{address}/v1/models", timeout=10) as answer:
        name = json.load(answer)["data"][0]["id"]
    mark = "boundary-of-parts"
    body = f'--{mark}\r\nContent-Disposition: form-data; name="model"\r\n\r\n{name}\r\n--{mark}\r\n'
    body += f'Content-Disposition: form-data; name="file"; filename="{recording.name}"\r\n\r\n'
    data = body.encode() + recording.read_bytes() + f"\r\n--{mark}--\r\n".encode()
    request = urllib.request.Request(
        f"{address}/v1/audio/transcriptions",
        data,
        {"Content-Type": f"multipart/form-data; boundary={mark}", "User-Agent": "check-image"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(json.load(answer)["text"])


if __name__ == "__main__":
    main()
