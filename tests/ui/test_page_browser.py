"""The page in a real browser: Debian's chromium, driven by playwright. Skipped where chromium is not installed."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator

import pytest

from vouchrec.agent.assemble import Agent

from .conftest import FakeModel

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("default"),  # of libraries in the server's threads
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)"),
]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
WAIT = 60_000

sync_api = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def address(agent: Agent) -> Iterator[str]:
    """The address of a running server."""
    import uvicorn

    from vouchrec.ui.listen import listen
    from vouchrec.ui.server import make_app

    socket = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(make_app(agent), log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=20)


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


class Visit:
    """One person's page, with everything it requested and every error it reported."""

    def __init__(self, browser: sync_api.Browser, address: str, **options: object) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT)
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.goto(address)
        self.page.wait_for_selector(".v-empty")
        self.page.wait_for_function("localStorage.getItem('vouch-user')")

    def say(self, message: str) -> None:
        before = self.page.locator(".v-turn").count()
        self.page.locator("#v-composer textarea").fill(message)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector(f".v-turn:nth-child({before + 1})[data-phase=done]")

    def titles(self) -> list[str]:
        return self.page.locator(".v-turn:last-child .v-card .v-title").all_inner_texts()


@pytest.fixture
def visit(browser: sync_api.Browser, address: str) -> Iterator[Visit]:
    opened = Visit(browser, address, viewport={"width": 1280, "height": 900})
    yield opened
    opened.context.close()


def test_a_conversation_loads_nothing_from_other_hosts(visit: Visit, address: str) -> None:
    visit.say("something like Alien but funny")
    visit.page.locator("[data-do=theme]").click()
    visit.say("something shorter")
    assert visit.page.locator(".v-card").count() >= 6
    assert visit.errors == []
    foreign = [url for url in visit.requests if not url.startswith((address, "data:", "blob:"))]
    assert foreign == []


def test_the_served_page_names_no_other_host(visit: Visit, address: str) -> None:
    answer = visit.page.request.get(address + "/")
    hosts = set(re.findall(r"https?://([^/\"'\s<)]+)", answer.text()))
    assert hosts <= {address.removeprefix("http://")}
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_hostile_items_stay_text(visit: Visit) -> None:
    alerts: list[str] = []
    visit.page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    visit.say("a horror film from 2001 with script alert boom Sons")
    assert any("<script>alert(1)</script> ${alert(2)} {{boom}}" in title for title in visit.titles())
    visit.say("<img src=x onerror=alert(4)> ${alert(5)} {{boom}}")
    assert alerts == []
    assert visit.page.locator(".v-turn img, .v-turn script").count() == 0


def test_like_dislike_seen_why_and_the_panel(visit: Visit) -> None:
    visit.say("a comedy")
    first, second, third = visit.titles()[:3]
    visit.page.locator("[data-do=like]").first.click()
    visit.page.wait_for_selector("#v-panel .v-known")
    visit.page.locator(".v-card [data-do=dislike]").nth(1).click()
    visit.page.wait_for_selector(".v-fresh .v-reason:not(.v-pending)")
    visit.page.wait_for_function("document.querySelectorAll('#v-panel .v-known li').length === 2")
    assert second not in visit.titles()
    assert len(visit.titles()) == 5
    assert {first, third} <= set(visit.titles())
    why = visit.page.locator(".v-whybutton").first
    why.focus()
    visit.page.keyboard.press("Enter")
    assert why.get_attribute("aria-expanded") == "true"
    assert visit.page.locator(".v-why").first.is_visible()
    visit.page.locator("#v-panel .v-x").first.click()
    visit.page.wait_for_function("document.querySelectorAll('#v-panel .v-known li').length === 1")
    assert visit.page.locator(".v-why").first.is_visible()  # drawing anew keeps what is open


def test_examples_followups_and_a_new_chat(visit: Visit) -> None:
    visit.page.locator(".v-chip").first.click()
    visit.page.wait_for_selector(".v-turn[data-phase=done] .v-next")
    visit.page.locator(".v-next .v-chip").first.click()
    visit.page.wait_for_selector(".v-turn:nth-child(2)[data-phase=done]")
    visit.page.get_by_role("button", name="Start a new conversation").click()
    visit.page.wait_for_selector(".v-empty")
    assert visit.page.locator(".v-turn").count() == 0


def test_a_long_message_is_refused_and_kept(visit: Visit) -> None:
    visit.page.locator("#v-composer textarea").fill("a" * 20_000)
    visit.page.keyboard.press("Enter")
    notice = visit.page.locator(".v-notice")
    notice.wait_for()
    assert "20,000 characters" in notice.inner_text()
    assert len(visit.page.locator("#v-composer textarea").input_value()) == 20_000
    visit.say("a comedy")
    assert notice.count() == 0


def test_a_failing_model_offers_another_try(visit: Visit, fake: FakeModel) -> None:
    fake.broken = True
    try:
        visit.page.locator("#v-composer textarea").fill("a comedy")
        visit.page.keyboard.press("Enter")
        visit.page.wait_for_selector(".v-failure")
    finally:
        fake.broken = False
    visit.page.locator("[data-do=retry]").click()
    visit.page.wait_for_selector(".v-turn[data-phase=done] .v-card")
    assert visit.page.locator(".v-failure").count() == 0


def test_two_people_at_once_do_not_mix(browser: sync_api.Browser, address: str, fake: FakeModel) -> None:
    ann, bob = Visit(browser, address), Visit(browser, address)
    fake.gate.clear()
    for person, wish in ((ann, "I loved Alien, something like it"), (bob, "I loved Heat, a crime film")):
        person.page.locator("#v-composer textarea").fill(wish)
        person.page.keyboard.press("Enter")
        person.page.wait_for_selector(".v-turn")
    fake.gate.set()
    for person, liked in ((ann, "Alien"), (bob, "Heat")):
        person.page.wait_for_selector(".v-turn[data-phase=done]")
        person.page.wait_for_selector("#v-panel .v-known")
        assert person.page.locator(".v-turn").count() == 1
        assert [
            t.split("\n")[0].split(" 1")[0].strip()
            for t in person.page.locator("#v-panel .v-known li").all_inner_texts()
        ] == [liked]
        person.context.close()


def test_someone_who_comes_back_is_known(visit: Visit) -> None:
    visit.say("I loved Alien")
    visit.page.reload()
    visit.page.wait_for_selector("#v-panel .v-known")
    assert "Alien" in visit.page.locator("#v-panel").inner_text()
    visit.page.on("dialog", lambda dialog: dialog.accept())
    visit.page.get_by_role("button", name="Forget everything about me").click()
    visit.page.wait_for_selector("#v-panel .v-hint")


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844), (320, 640)])
def test_nothing_sticks_out_sideways(browser: sync_api.Browser, address: str, width: int, height: int) -> None:
    visit = Visit(browser, address, viewport={"width": width, "height": height})
    visit.say("something like Alien but funny")
    visit.page.locator(".v-whybutton").first.click()
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    wide = visit.page.evaluate(
        "[...document.querySelectorAll('.v-card *')].filter(e => e.offsetParent && "
        "e.getBoundingClientRect().right > e.closest('.v-card').getBoundingClientRect().right + 1).map(e => e.className)"
    )
    assert wide == []
    assert visit.page.locator("#v-composer textarea").is_visible()
    visit.context.close()


def test_keyboard_reaches_the_composer_and_the_parts_have_names(visit: Visit) -> None:
    visit.page.locator("h1").click()
    visit.page.evaluate("document.activeElement.blur()")
    visit.page.keyboard.press("/")
    assert visit.page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    nameless = visit.page.evaluate(
        "[...document.querySelectorAll('button')].filter(b => b.offsetParent && !b.textContent.trim() && "
        "!b.getAttribute('aria-label') && !b.title).map(b => b.outerHTML.slice(0, 80))"
    )
    assert nameless == []
    assert visit.page.get_by_role("log").count() == 1
    assert visit.page.get_by_role("textbox", name="Your message").count() == 1
