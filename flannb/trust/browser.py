"""A browser without a window: what Chromium makes of a page, and a page that is used as a person would.

Pages are driven by Chrome's DevTools protocol (chromedevtools.github.io/devtools-protocol), over a WebSocket.
"""

import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from flannb.trust.case import NotHere, until

NAMES = ("chromium", "chromium-browser", "google-chrome")

HEADLESS = ("--headless=new", "--no-sandbox", "--disable-gpu")


def find_browser() -> str:
    """The path of Chromium.

    Raises:
        NotHere: there is none.
    """
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise NotHere("there is no Chromium")
    return found


def document(page: Path) -> str:
    """The document that Chromium makes of a page, scripts run.

    Raises:
        NotHere: there is no Chromium.
    """
    command = [find_browser(), *HEADLESS, "--virtual-time-budget=4000", "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=True).stdout


class Page:
    """A page in Chromium.

    Args:
        address: of its WebSocket.
        seconds: until a command that is not answered counts as failed.
    """

    def __init__(self, address: str, seconds: float = 60):
        from websocket import create_connection  # JupyterLab brings it

        self._socket = create_connection(address, timeout=seconds, suppress_origin=True)
        self._numbers = itertools.count(1)
        self.requests: list[str] = []  # addresses, once the command Network.enable was given

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command of the protocol and returns its result.

        Raises:
            RuntimeError: the browser refuses it.
        """
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (message := json.loads(self._socket.recv())).get("id") != number:
            if message.get("method") == "Network.requestWillBeSent":  # no other event is waited for
                self.requests.append(message["params"]["request"]["url"])
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']['message']}")
        return dict(message["result"])

    def open(self, address: str) -> None:
        """Goes to an address; it may still be loading when this returns."""
        self.command("Page.navigate", url=address)

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript; a promise is awaited.

        Raises:
            RuntimeError: it throws.
        """
        result = self.command("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description") or details["text"])
        return result["result"].get("value")

    def wait(self, script: str, seconds: float = 60) -> Any:
        """The value of an expression as soon as it is true; what it throws meanwhile does not count.

        Raises:
            flannb.trust.case.NotSurvived: it has not become true in time.
        """
        value: Any = None

        def is_true() -> Any:
            nonlocal value
            try:
                value = self.run(script)
            except RuntimeError:
                value = None
            if not value:
                time.sleep(0.1)
            return value

        until(is_true, seconds, script)
        return value

    def close(self) -> None:
        """Hangs up; the browser goes on."""
        self._socket.close()


@contextmanager
def browser_page(width: int = 1400, height: int = 1000) -> Iterator[Page]:
    """An empty page of a browser that ends with the block.

    Raises:
        NotHere: there is no Chromium.
    """
    with tempfile.TemporaryDirectory(prefix="flannb-browser-", ignore_cleanup_errors=True) as home:
        profile = f"--user-data-dir={home}"
        size = f"--window-size={width},{height}"
        command = [find_browser(), *HEADLESS, profile, size, "--remote-debugging-port=0", "about:blank"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                note = Path(home) / "DevToolsActivePort"
                until(lambda: note.is_file() and note.read_text().count("\n"), 60, "the browser's start")
                port = note.read_text().splitlines()[0]
                with urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
                    targets = json.load(answer)
                page = Page(next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page"))
                try:
                    page.command("Emulation.setDeviceMetricsOverride", **_metrics(width, height))
                    page.command("Emulation.setFocusEmulationEnabled", enabled=True)  # as if it were in front
                    yield page
                finally:
                    page.close()
            finally:
                process.terminate()


def _metrics(width: int, height: int) -> dict[str, Any]:
    return {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
