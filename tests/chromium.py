"""Headless Chromium, driven over its DevTools protocol: just enough to use the live page as a person would."""

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from waiting import wait_for
from websockets.sync.client import connect

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Chromium:
    """One browser with one page. ``microphone`` is a WAV file that plays once instead of a microphone."""

    def __init__(self, microphone: Path | None = None) -> None:
        assert PROGRAM is not None
        self._home = tempfile.TemporaryDirectory(prefix="steno-chromium-", ignore_cleanup_errors=True)
        arguments = [PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        arguments += ["--remote-debugging-port=0", f"--user-data-dir={self._home.name}", "--no-first-run"]
        arguments += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        arguments += ["--autoplay-policy=no-user-gesture-required", "--disable-background-networking"]
        if microphone is not None:
            arguments.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
        self._process = subprocess.Popen([*arguments, "about:blank"], stderr=subprocess.DEVNULL)
        self._numbers = itertools.count(1)
        self._open = ExitStack()
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        port = Path(self._home.name, "DevToolsActivePort")
        wait_for(lambda: port.is_file() and len(port.read_text().splitlines()) == 2, 30)
        number, path = port.read_text().splitlines()
        self._browser = self._open.enter_context(connect(f"ws://127.0.0.1:{number}{path}", max_size=None))
        self._session: str | None = None
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        self._process.terminate()
        self._process.wait(10)
        self._home.cleanup()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its result; events on the way are kept."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._browser.send(json.dumps(message))
        while True:
            heard = json.loads(self._browser.recv(timeout=30))
            if heard.get("id") == number:
                assert "error" not in heard, heard
                result: dict[str, Any] = heard["result"]
                return result
            if "method" in heard:
                self.events.append(heard)

    def open(self, url: str, width: int = 1000, height: int = 900, dark: bool = False) -> None:
        """Load a page at a size, in light or dark."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call("Page.navigate", url=url)
        wait_for(lambda: self.run("document.readyState") == "complete", 10)

    def run(self, script: str) -> Any:
        """The value of an expression, or of the promise that it makes."""
        done = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def until(self, script: str, seconds: float = 20) -> Any:
        """The expression's first value that is true."""
        return wait_for(lambda: self.run(script), seconds)

    def choose(self, selector: str, file: Path) -> None:
        """Give a file to an input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def screenshot(self, path: Path) -> None:
        """The whole page as a PNG."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    @property
    def requested(self) -> list[str]:
        """The addresses that the page asked for."""
        sent = (e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent")
        sockets = (e["params"]["url"] for e in self.events if e["method"] == "Network.webSocketCreated")
        return [*sent, *sockets]

    @property
    def complaints(self) -> list[str]:
        """Errors on the page's console, and exceptions."""
        entries = [e["params"]["entry"] for e in self.events if e["method"] == "Log.entryAdded"]
        thrown = [e["params"]["exceptionDetails"] for e in self.events if e["method"] == "Runtime.exceptionThrown"]
        return [entry["text"] for entry in entries if entry["level"] == "error"] + [str(entry) for entry in thrown]
