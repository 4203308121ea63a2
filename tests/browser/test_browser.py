"""The browser that other tests use: pages run functions, keep to themselves, and reach nothing but this machine."""

from __future__ import annotations

import pytest

from tests.browser.chromium import BrowserError
from tests.browser.page import Browser

VERSION = "async () => (await import('firebase/app')).SDK_VERSION"


def test_pages_run_functions_and_give_back_what_they_return(browser: Browser) -> None:
    """Arguments and results are JSON; what a function throws arrives with what the page wrote on its console."""
    page = browser.open()
    assert page.run("async (a, b) => ({ sum: a + b[0], at: location.pathname })", 1, [2]) == {"sum": 3, "at": "/12/"}
    assert page.run("() => { window.kept = 5; }") is None
    assert page.run("() => window.kept") == 5
    with pytest.raises(BrowserError, match=r"(?s)no such thing.*warning: look here 7"):
        page.run("async () => { console.warn('look here', 7); throw new Error('no such thing'); }")
    page.reload()
    assert page.run("() => typeof window.kept") == "undefined"


def test_both_sdks_are_there_and_any_origin_can_be_played(browser: Browser) -> None:
    """A page of another site needs neither its server nor its certificate."""
    assert browser.open().run(VERSION).startswith("12.")
    foreign = browser.open(sdk="13", origin="https://app.test")
    assert foreign.run(VERSION).startswith("13.")
    assert foreign.run("() => [location.origin, isSecureContext]") == ["https://app.test", True]


def test_tabs_share_storage_and_no_other_site_is_reached(browser: Browser) -> None:
    """As the tabs of a user do; names of the network are not even looked up."""
    browser.open().run("() => localStorage.setItem('a', '1')")
    page = browser.open()
    assert page.run("() => localStorage.getItem('a')") == "1"
    assert page.run("async () => { try { await fetch('https://example.com/'); } catch (e) { return e.message; } }")
    assert any("ERR_NAME_NOT_RESOLVED" in line for line in page.console)
    page.close()


def test_a_page_can_be_without_a_network(browser: Browser) -> None:
    """Offline and back, as the page's own events tell it."""
    page = browser.open()
    page.go_offline()
    assert page.run("() => navigator.onLine") is False
    page.go_offline(offline=False)
    assert page.run("() => navigator.onLine") is True
