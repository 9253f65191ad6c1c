"""What works on this machine: every part is tried, none is taken for granted.

Needs nothing but the standard library to be imported, so that it can also say what is wrong with an installation
in which nothing else loads.
"""

import importlib.metadata
import importlib.util
import io
import math
import os
import platform
import re
import shutil
import socket
import sqlite3
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import steno
from steno.cores import usable_cores
from steno.errors import StenoError

OLDEST_PYTHON = (3, 11, 4)
_REINSTALL = "pip install --force-reinstall --no-deps {}"
_TONE_HZ, _TONE_SECONDS = 440.0, 0.5
_LITTLE_DISK = 5e9


class Status(StrEnum):
    """How a check came out; ``absent`` is an optional part that is not installed."""

    OK = "ok"
    WARNING = "warning"
    ABSENT = "absent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried.

    Args:
        part: the part of Steno that needs it, ``base``, ``train``, ``demo``, ``store`` or ``machine``.
        name: what was tried.
        status: how it came out.
        detail: what was found.
        remedy: what to do about it; empty if there is nothing to do.
    """

    part: str
    name: str
    status: Status
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All checks, part by part."""

    checks: tuple[Check, ...]

    @property
    def base_works(self) -> bool:
        """Whether the base install can be relied on: it reads recordings and can run a model."""
        return not any(check.part == "base" and check.status is Status.FAILED for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """Plain values, for a program."""
        return {"base_works": self.base_works, "checks": [asdict(check) for check in self.checks]}


def diagnose(uri: str | None = None, timeout: float = 3.0) -> Diagnosis:
    """Try everything.

    Args:
        uri: the tracking store to ask; None takes MLFLOW_TRACKING_URI, else the embedded one.
        timeout: seconds that a tracking server has for its answer.
    """
    checks = [
        _python(),
        *_distributions(),
        _onnxruntime(),
        *_codecs(),
        _resampling(),
        *_torch(),
        *_espeak(),
        _tracking_store(uri, timeout),
        *_machine(),
    ]
    parts = list(dict.fromkeys(check.part for check in checks))
    return Diagnosis(tuple(sorted(checks, key=lambda check: parts.index(check.part))))


# ---- the installation ------------------------------------------------------------------------------------------


def _python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info[:3] < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        return Check("base", "python", Status.FAILED, found, f"Steno needs {oldest} or newer.")
    return Check("base", "python", Status.OK, found)


def _distributions() -> list[Check]:
    """Steno itself, and whether what the base and each extra name is installed, in a version that fits."""
    where = str(Path(steno.__file__).parent)
    try:
        declared = importlib.metadata.requires("steno") or []
    except importlib.metadata.PackageNotFoundError:
        return [
            Check("base", "steno", Status.FAILED, f"{steno.__version__} at {where}, not installed", "pip install -e .")
        ]
    checks = [Check("base", "steno", Status.OK, f"{steno.__version__} at {where}")]
    for part, needs in _by_extra(declared).items():
        wrong = [problem for need in needs if (problem := _unmet(need))]
        if not wrong:
            checks.append(Check(part, "packages", Status.OK, f"all {len(needs)} installed"))
            continue
        status = Status.FAILED if part == "base" else Status.ABSENT
        target = "steno" if part == "base" else f"'steno[{part}]'"
        checks.append(Check(part, "packages", status, ", ".join(wrong), f"pip install {target}"))
    return checks


def _by_extra(declared: list[str]) -> dict[str, list[str]]:
    """Requirements of the base and of each extra a user may want, without their markers.

    ``dev`` is for those who work on Steno, ``all`` only names the others.
    """
    found: dict[str, list[str]] = {"base": []}
    for text in declared:
        need, _, marker = text.partition(";")
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", marker)
        found.setdefault(extra[1] if extra else "base", []).append(need.strip())
    return {part: needs for part, needs in found.items() if part not in ("dev", "all")}


def _unmet(need: str) -> str:
    """Why a requirement is not met; empty if it is."""
    name = re.split(r"[^A-Za-z0-9._-]", need, maxsplit=1)[0]
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"{name} is missing"
    try:
        from packaging.requirements import Requirement
    except ImportError:  # is reported as missing itself
        return ""
    wanted = Requirement(need).specifier
    return "" if wanted.contains(version, prereleases=True) else f"{name} is {version}, wanted {wanted}"


def _onnxruntime() -> Check:
    try:
        import onnxruntime
    except (ImportError, OSError) as error:
        return Check("base", "onnxruntime", Status.FAILED, _line(error), _REINSTALL.format("onnxruntime"))
    providers = ", ".join(name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers())
    return Check("base", "onnxruntime", Status.OK, f"{onnxruntime.__version__}, providers: {providers}")


# ---- sound -----------------------------------------------------------------------------------------------------


def _codecs() -> list[Check]:
    """A short tone, encoded and decoded in every format that Steno promises to read."""
    formats = {
        "WAV": ("WAV", "PCM_16"),
        "FLAC": ("FLAC", "PCM_16"),
        "OGG Vorbis": ("OGG", "VORBIS"),
        "OGG Opus": ("OGG", "OPUS"),
        "MP3": ("MP3", "MPEG_LAYER_III"),
    }
    return [
        _tried("base", name, partial(_there_and_back, file, coding), "soundfile")
        for name, (file, coding) in formats.items()
    ]


def _there_and_back(file: str, coding: str) -> str:
    import soundfile

    from steno.audio import SAMPLE_RATE, load

    tone = _tone(SAMPLE_RATE)
    encoded = io.BytesIO()
    soundfile.write(encoded, tone, SAMPLE_RATE, format=file, subtype=coding)
    decoded = load(encoded.getvalue())
    _require_tone(decoded, SAMPLE_RATE)
    return f"{_TONE_SECONDS:g} s written and read back"


def _resampling() -> Check:
    def convert() -> str:
        from steno.audio import SAMPLE_RATE, resample

        _require_tone(resample(_tone(48_000), 48_000, SAMPLE_RATE), SAMPLE_RATE)
        return "48 kHz to 16 kHz"

    return _tried("base", "resampling", convert, "soxr numpy")


def _tone(rate: int) -> Any:
    import numpy as np

    time = np.arange(int(_TONE_SECONDS * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * _TONE_HZ * time)).astype(np.float32)


def _require_tone(samples: Any, rate: int) -> None:
    """Check length (a codec may pad), level and frequency of what should be the tone."""
    import numpy as np

    seconds = len(samples) / rate
    if not _TONE_SECONDS - 0.02 <= seconds <= _TONE_SECONDS + 0.2:
        raise StenoError(f"{seconds:.2f} s came back instead of {_TONE_SECONDS:g} s")
    strongest = float(np.abs(np.fft.rfft(samples)).argmax()) / seconds
    level = math.sqrt(float(np.mean(np.square(samples, dtype=np.float64))) * seconds / _TONE_SECONDS)
    if abs(strongest - _TONE_HZ) > 10 or not 0.3 < level < 0.4:
        raise StenoError(f"a tone of {strongest:.0f} Hz at level {level:.2f} came back, not {_TONE_HZ:.0f} Hz at 0.35")


def _tried(part: str, name: str, attempt: Callable[[], str], packages: str) -> Check:
    try:
        return Check(part, name, Status.OK, attempt())
    except (StenoError, ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        detail = error.message if isinstance(error, StenoError) else _line(error)
        return Check(part, name, Status.FAILED, detail, _REINSTALL.format(packages))


# ---- optional parts --------------------------------------------------------------------------------------------


def _torch() -> Iterator[Check]:
    if importlib.util.find_spec("torch") is None:
        return  # told with the packages of its extra
    try:
        import torch
    except (ImportError, OSError, RuntimeError) as error:
        yield Check("train", "torch", Status.FAILED, _line(error), "Install the build for this machine: make setup")
        return
    yield Check("train", "torch", Status.OK, f"{torch.__version__}, {torch.get_num_threads()} threads")
    if not torch.cuda.is_available():
        yield Check("train", "device", Status.OK, "cpu; torch sees no GPU")
        return
    for number in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(number)
        bf16 = "with bf16" if torch.cuda.is_bf16_supported() else "without bf16"
        yield Check("train", "device", Status.OK, f"cuda:{number} {about.name}, {_gb(about.total_memory)}, {bf16}")


def _espeak() -> Iterator[Check]:
    if importlib.util.find_spec("espeakng_loader") is None:
        return  # told with the packages of its extra

    def speak() -> str:
        from steno.espeak import Voice, espeak

        with espeak() as engine:
            samples = engine.speak("steno", Voice("en-us"))
        return f"{engine.version} said one word, {len(samples) / 16_000:.1f} s"

    yield _tried("demo", "espeak-ng", speak, "espeakng-loader")


def _tracking_store(uri: str | None, timeout: float) -> Check:
    """Whether the store answers; nothing is made, and mlflow is not loaded."""
    from steno.tracking import store

    try:
        address = store.tracking_uri(uri)
    except StenoError as error:
        return Check("store", "address", Status.FAILED, error.message, error.hint)
    path = store.sqlite_path(address)
    if path is not None:
        return _sqlite(address, path)
    parts = urlsplit(address)
    if parts.scheme in ("http", "https"):
        return _server(address, timeout)
    return _database(address, parts.hostname, parts.port, timeout)


def _sqlite(address: str, path: Path) -> Check:
    if not path.exists():
        above = next(folder for folder in path.parents if folder.exists())
        if not os.access(above, os.W_OK):
            return Check("store", address, Status.FAILED, f"{above} cannot be written to", "Name another with --uri.")
        return Check("store", address, Status.OK, f"embedded; {path} will be made by the first training")
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=2)) as database:
            counts = [
                database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("runs", "registered_models")
            ]
    except sqlite3.Error as error:
        return Check(
            *("store", address, Status.FAILED, f"{path}: {error}"),
            "It is not a store of MLflow, or damaged; name another with --uri.",
        )
    return Check("store", address, Status.OK, f"embedded, {counts[0]} runs, {counts[1]} registered models")


def _server(address: str, timeout: float) -> Check:
    remedy = "Start it with `steno track`, or unset MLFLOW_TRACKING_URI to use the embedded store."
    try:
        with urllib.request.urlopen(f"{address}/version", timeout=timeout) as answer:
            version = answer.read(100).decode("utf-8", "replace").strip()
    except urllib.error.HTTPError as error:
        return Check("store", address, Status.FAILED, f"the server answers {error.code} {error.reason}", remedy)
    except (OSError, ValueError) as error:
        reason = _line(getattr(error, "reason", None) or error)
        return Check("store", address, Status.FAILED, f"the server does not answer ({reason})", remedy)
    return Check("store", address, Status.OK, f"server, MLflow {version}")


def _database(address: str, host: str | None, port: int | None, timeout: float) -> Check:
    """A database server, whose address may hold a password, which is not shown."""
    shown = f"{urlsplit(address).scheme}://{host}"
    if host is None or port is None:
        return Check("store", shown, Status.WARNING, "not tried: the address names no port")
    try:
        with socket.create_connection((host, port), timeout=timeout):
            return Check("store", shown, Status.OK, f"something listens on port {port}; the log-in was not tried")
    except OSError as error:
        return Check("store", shown, Status.FAILED, f"port {port}: {_line(error)}", "Is the database running?")


# ---- the machine -----------------------------------------------------------------------------------------------


def _machine() -> list[Check]:
    free = shutil.disk_usage(Path.cwd()).free
    little = free < _LITTLE_DISK
    cores = usable_cores()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return [
        Check("machine", "system", Status.OK, platform.platform()),
        Check("machine", "cores", Status.OK, f"{cores} for this process"),
        Check("machine", "memory", Status.OK, _gb(memory)),
        Check(
            *("machine", "disk", Status.WARNING if little else Status.OK),
            f"{_gb(free)} free in {Path.cwd()}",
            "LibriSpeech's 100 hours take about 7 GB, and as much again while they are unpacked." if little else "",
        ),
    ]


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"


def _line(error: object) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
