"""A Chromium page that tests look at and click in, by its debugging protocol."""

import asyncio
import base64
import json
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import websocket_connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page:
    """An open page of so many pixels in width."""

    def __init__(self, loop, connection):
        self._loop, self._connection, self._number = loop, connection, 0
        self.requests = []

    def call(self, method, **parameters):
        return self._loop.run_until_complete(asyncio.wait_for(self._call(method, parameters), 60))

    async def _call(self, method, parameters):
        self._number += 1
        await self._connection.write_message(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            told = json.loads(await self._connection.read_message())
            if told.get("method") == "Network.requestWillBeSent":
                self.requests.append(told["params"]["request"]["url"])
            if told.get("id") == self._number:
                assert "error" not in told, told
                return told["result"]

    def run(self, script):
        """The value of a script."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def open(self, path, width, dark=False):
        self.call("Network.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=Path(path).absolute().as_uri())
        self.run("new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', done))")

    def picture(self, path, top=0, height=3000):
        width = self.run("innerWidth")
        clip = {"x": 0, "y": top, "width": width, "height": height, "scale": 1}
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
        Path(path).write_bytes(base64.b64decode(data))


@contextmanager
def browser():
    """A page of a browser of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
        process = subprocess.Popen(
            [*command, f"--user-data-dir={home}", "about:blank"], stderr=subprocess.PIPE, text=True
        )
        loop = asyncio.new_event_loop()
        try:
            port = next(found[1] for line in process.stderr if (found := re.search(r"ws://[^:]+:(\d+)/", line)))

            async def connect():
                answer = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/json")
                target = next(each for each in json.loads(answer.body) if each["type"] == "page")
                return await websocket_connect(target["webSocketDebuggerUrl"], max_message_size=2**28)

            page = Page(loop, loop.run_until_complete(connect()))
            yield page
        finally:
            process.terminate()
            process.wait()
            process.stderr.close()
            loop.close()
