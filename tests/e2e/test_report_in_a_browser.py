"""The report in a real browser: nothing is fetched, nothing is wider than the screen, dark is dark.

Chromium is spoken to over its debugging pipe (Chrome DevTools Protocol): messages are JSON, each
ended by a zero byte, on the file descriptors 3 and 4.
"""

import itertools
import json
import os
import select
import shutil
import subprocess
import time

import pytest
from unit.report.samples import caught_on_the_canary, confirmed, stopped_in_staging

from evenkeel.report import write_report

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
PHONE, DESK = 360, 1280


class Browser:
    def __init__(self, profile):
        ours, theirs = os.pipe(), os.pipe()
        # The browser reads its commands from descriptor 3 and answers on 4.
        script = f'exec 3<&{ours[0]} 4>&{theirs[1]}; exec "$@"'
        words = ["bash", "-c", script, "-", shutil.which("chromium") or "chromium", *OPTIONS]
        self.process = subprocess.Popen(
            [*words, f"--user-data-dir={profile}"],
            pass_fds=(ours[0], theirs[1]),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        os.close(ours[0])
        os.close(theirs[1])
        self.out, self.back = ours[1], theirs[0]
        self.numbers, self.unread, self.events = itertools.count(1), b"", []

    def message(self):
        deadline = time.monotonic() + 60
        while b"\0" not in self.unread:
            assert select.select([self.back], [], [], max(0, deadline - time.monotonic()))[0]
            chunk = os.read(self.back, 65536)
            assert chunk, "the browser is gone"
            self.unread += chunk
        first, _, self.unread = self.unread.partition(b"\0")
        return json.loads(first)

    def call(self, method, session=None, **parameters):
        number = next(self.numbers)
        request = {"id": number, "method": method, "params": parameters}
        if session:
            request["sessionId"] = session
        os.write(self.out, json.dumps(request).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.message())

    def close(self):
        self.process.kill()
        self.process.wait(timeout=20)
        os.close(self.out)
        os.close(self.back)


class Page:
    """One page, opened at a width of so many pixels in a colour scheme."""

    def __init__(self, browser, path, width=DESK, scheme="light"):
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.call("Target.attachToTarget", targetId=target, flatten=True)
        self.browser, self.session = browser, attached["sessionId"]
        browser.events.clear()
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)
        self.call("Page.navigate", url=path.as_uri())
        browser.wait_for("Page.loadEventFired")

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def ask(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    @property
    def fetched(self):
        return [
            event["params"]["request"]["url"]
            for event in self.browser.events
            if event.get("method") == "Network.requestWillBeSent"
        ]

    @property
    def complaints(self):
        return [e for e in self.browser.events if e.get("method") == "Log.entryAdded"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(params=[confirmed, caught_on_the_canary, stopped_in_staging])
def report(request, tmp_path):
    return write_report(request.param(tmp_path).folder)


def test_the_page_is_the_only_thing_that_is_fetched(browser, report):
    page = Page(browser, report)
    assert page.fetched == [report.as_uri()]
    assert page.complaints == []
    assert page.ask("document.querySelectorAll('section').length") >= 4


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_nothing_is_wider_than_the_screen(browser, report, width):
    page = Page(browser, report, width)
    assert page.ask("window.innerWidth") == width
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.ask(wide) == 0


def test_dark_is_dark_and_light_is_light(browser, report):
    brightness = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    assert max(Page(browser, report, scheme="dark").ask(brightness)) < 60
    assert min(Page(browser, report, scheme="light").ask(brightness)) > 200
