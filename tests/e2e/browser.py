"""A real browser without a driver's package: Chromium by its debugging protocol, as far as filling a form needs it."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
from websockets.sync.client import ClientConnection, connect

from harness import PATIENCE, Json, environment, eventually

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """One tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket, self.numbers = socket, itertools.count(1)
        #: What the browser complains of, such as violated policies. An answer of 400 is none: it is a page, too.
        self.complaints: list[str] = []

    def call(self, method: str, **params: Any) -> Json:
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message: Json = json.loads(self.socket.recv(PATIENCE))
            if message.get("method") == "Log.entryAdded":
                entry = message["params"]["entry"]
                self.complaints += [] if entry["source"] == "network" else [entry["text"]]
            if message.get("id") == number:
                assert "error" not in message, message
                result: Json = message["result"]
                return result

    def go(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait("document.readyState == 'complete' && location.href != 'about:blank'")

    def run(self, script: str) -> Any:
        """What a script says that the page's own policy does not apply to."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, condition: str) -> None:
        def holds() -> bool:
            # Between two pages there is none to ask.
            with contextlib.suppress(AssertionError):
                return bool(self.run(condition))
            return False

        eventually(holds, condition)

    def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            self.run(f"document.querySelector('[name={name}]').value = {json.dumps(value)}")

    def text(self) -> str:
        return str(self.run("document.body.innerText"))

    def screenshot(self, file: Path, width: int, dark: bool) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=1000, deviceScaleFactor=1, mobile=width < 500)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        image = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        file.write_bytes(base64.b64decode(image))


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """A browser of its own, with one page."""
    assert CHROMIUM
    args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0"]
    log = (folder / "chromium.log").open("wb")
    env = environment(HOME=str(folder))
    process = subprocess.Popen([CHROMIUM, *args, f"--user-data-dir={folder}", "about:blank"], stderr=log, env=env)
    try:
        port_file = folder / "DevToolsActivePort"
        eventually(lambda: port_file.exists() and port_file.read_text().count("\n") >= 1, "a browser", 60)
        port = port_file.read_text().split("\n")[0]
        with httpx.Client(trust_env=False, verify=False) as http:
            tabs = eventually(lambda: http.get(f"http://127.0.0.1:{port}/json").json(), "a tab")
        [address] = [tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"]
        with connect(address, max_size=None, proxy=None) as socket:
            page = Page(socket)
            for domain in ("Page", "Runtime", "Log"):
                page.call(f"{domain}.enable")
            yield page
    finally:
        process.terminate()
        process.wait(PATIENCE)
        log.close()
