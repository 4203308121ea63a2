"""`hosting` of firebase.json: what is read, what is refused with its place, and what a change means while serving."""

from __future__ import annotations

import contextlib
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage_emulator.configuration import Configuration, ConfigurationError, HostingSection, load_configuration
from afterimage_emulator.hosting.public_files import PublicFiles
from afterimage_emulator.hosting.request_paths import read_path
from afterimage_emulator.hosting.routing import decide
from afterimage_emulator.hosting.site_settings import read_site
from afterimage_emulator.hosting.withheld_files import WithheldFiles
from afterimage_emulator.suite import Suite
from tests.emulator.hosting.running_site import serving, write_files

ROOT = Path("/project")


def read(**content: Any) -> Any:
    return read_site(HostingSection(place="hosting", content=content), ROOT)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"public": 7}, r"`hosting.public` must be a string, not `7`"),
        ({"public": "a\0b"}, r"`hosting.public` must be a string"),
        ({"cleanUrls": "yes"}, r"`hosting.cleanUrls` must be true or false"),
        ({"trailingSlash": 0}, r"`hosting.trailingSlash` must be true or false"),
        ({"ignore": "a"}, r"`hosting.ignore` must be a list of globs"),
        ({"ignore": ["{1..9999}"]}, r"`hosting.ignore\[0\]` .* is no glob"),
        ({"i18n": {}}, r"`hosting.i18n.root` must name the folder"),
        ({"i18n": {"root": "../x"}}, r"`hosting.i18n.root` must name the folder"),
        ({"redirects": {}}, r"`hosting.redirects` must be a list"),
        ({"redirects": ["a"]}, r"`hosting.redirects\[0\]` must be an object"),
        ({"redirects": [{"source": "/a"}]}, r"`hosting.redirects\[0\].destination` must be the address"),
        ({"redirects": [{"source": "/a", "destination": "/b", "type": 200}]}, r"\.type` must be one of \[301, "),
        ({"redirects": [{"source": "/a", "destination": "/b", "type": True}]}, r"\.type` must be one of"),
        ({"redirects": [{"destination": "/b"}]}, r"needs one of `source` \(a glob\) and `regex`"),
        ({"redirects": [{"source": "/a", "regex": "b", "destination": "/b"}]}, r"needs one of `source`"),
        ({"redirects": [{"regex": "(", "destination": "/b"}]}, r"`\(` is no regular expression of RE2: missing \)"),
        ({"redirects": [{"regex": "(?=x)", "destination": "/b"}]}, r"is no regular expression of RE2"),
        ({"redirects": [{"source": "/:a((?=x))", "destination": "/:a"}]}, r"cannot be taken apart"),
        ({"rewrites": [{"source": "/a"}]}, r"needs one of `destination`, `function`, `run`"),
        ({"rewrites": [{"source": "/a", "destination": "b.html"}]}, r"must begin with a slash, as `\"b.html\"`"),
        ({"rewrites": [{"source": "/a", "destination": "/"}]}, r"must name a file"),
        ({"rewrites": [{"source": "/a", "function": 7}]}, r"\.function` must name a function, not `7`"),
        ({"rewrites": [{"source": "/a", "function": {}}]}, r"\.function` must name a function"),
        ({"rewrites": [{"source": "/a", "function": "a/b"}]}, r"\.function` must name a function"),
        ({"rewrites": [{"source": "/a", "function": "a", "region": "EU"}]}, r"must be a region such as"),
        ({"rewrites": [{"source": "/a", "function": {"functionId": "a"}, "region": "x"}]}, r"belongs into `function`"),
        ({"headers": [{"source": "/a", "headers": {}}]}, r"\.headers` must be a list"),
        ({"headers": [{"source": "/a", "headers": [{"key": "a b", "value": "c"}]}]}, r"headers\[0\]\.key` must be"),
        ({"headers": [{"source": "/a", "headers": [{"key": "Content-Length", "value": "1"}]}]}, r"that a site may set"),
        ({"headers": [{"source": "/a", "headers": [{"key": "a", "value": "b\r\nc: d"}]}]}, r"a string in one line"),
        ({"headers": [{"source": "/a", "headers": ["a"]}]}, r"headers\[0\]\.key` must be"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_place(content: dict[str, Any], says: str) -> None:
    """Nothing is guessed, and nothing is served by half of a configuration."""
    with pytest.raises(ConfigurationError, match=says):
        read(**content)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"rewrites": [{"source": "api/**", "function": "a"}]}, "covers no path"),
        ({"source": "frontend"}, "names a web framework"),
        ({"rewrites": [{"source": "/r", "run": {"serviceId": "s"}}]}, "Cloud Run service"),
    ],
)
def test_what_has_no_effect_here_is_a_warning(content: dict[str, Any], says: str) -> None:
    """The rest of the site is served."""
    [warning] = read(**content).warnings
    assert says in warning


_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(["/a", "/:a*", "**", "(", "/"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["source", "regex", "destination", "type", "function", "functionId", "region", "run",
                         "headers", "key", "value", "root"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
_KEYS = ("public", "ignore", "redirects", "rewrites", "headers", "cleanUrls", "trailingSlash", "i18n", "source")


@given(content=st.fixed_dictionaries({}, optional=dict.fromkeys(_KEYS, _VALUE | st.lists(_VALUE, max_size=3))))
def test_no_content_whatever_crashes_the_reader(content: dict[str, Any]) -> None:
    """It is read, or refused with a ConfigurationError; what is read answers any path."""
    with contextlib.suppress(ConfigurationError):
        settings = read(**content)
        path = read_path("/a/b%20c/")
        decide(settings, PublicFiles(None, ignore=(), withheld=WithheldFiles(), tell=print), path, "x=1")


def test_each_site_needs_a_name_of_its_own(tmp_path: Path) -> None:
    """As the CLI wants it: a target or a site, not both, and none twice."""
    for hosting, says in (
        ([{"target": "a", "site": "b"}], "names a `target` and a `site`"),
        ([{"target": "a"}, {"target": "a"}], "the site `a` is described twice"),
        ([{}, {}], "two sites have no name"),
        ("public", "must be an object"),
    ):
        (tmp_path / "firebase.json").write_text(json.dumps({"hosting": hosting}))
        with pytest.raises(ConfigurationError, match=says):
            load_configuration(tmp_path / "firebase.json", project_id="demo-names")


def test_misspelt_keys_are_told(tmp_path: Path) -> None:
    """With the key that was meant."""
    (tmp_path / "firebase.json").write_text('{"hosting": {"public": "p", "rewrite": []}}')
    [warning] = load_configuration(tmp_path / "firebase.json", project_id="demo-keys").warnings
    assert "`hosting.rewrite` in firebase.json is unknown and does nothing; did you mean `rewrites`?" in warning


def test_a_change_of_firebase_json_holds_from_the_next_request_on(
    tmp_path: Path, project_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Also one that brings the first site; a broken one leaves the last good settings in force, and says why."""
    files = {"one/a.txt": "one", "two/a.txt": "two"}
    with (
        caplog.at_level(logging.INFO, logger="afterimage_emulator.hosting"),
        serving(tmp_path, {"public": "one"}, project_id, files) as site,
    ):
        assert site.ask("/a.txt").text == "one"
        site.configure({"public": "two", "redirects": [{"source": "/old", "destination": "/new"}]})
        assert site.ask("/a.txt").text == "two"
        assert site.ask("/old").headers["location"] == "/new"
        (tmp_path / "firebase.json").write_text('{"hosting": {"public": "one", "redirects": 7}}')
        assert site.ask("/a.txt").text == "two"
        assert "`hosting.redirects` must be a list" in caplog.text
        (tmp_path / "firebase.json").write_text('{"hosting": {')
        assert site.ask("/old").status == 301
        assert "the last good settings of the sites stay in force" in caplog.text
        site.configure({"public": "one"})
        assert (site.ask("/a.txt").text, site.ask("/old").status) == ("one", 404)
        (tmp_path / "firebase.json").write_text("{}")
        answer = site.ask("/a.txt")
        assert (answer.status, "describes no such site" in answer.text) == (404, True)


def test_each_site_has_a_port_of_its_own(tmp_path: Path, project_id: str) -> None:
    """With its own files; the hub lists all of them."""
    hosting = [
        {"target": "app", "public": "app"},
        {"target": "blog", "public": "blog"},
        {"site": "docs", "public": "d"},
    ]
    files = {"app/a.txt": "app", "blog/a.txt": "blog", "d/a.txt": "docs"}
    with serving(tmp_path, hosting, project_id, files) as site:
        assert site.ask("/a.txt").text == "app"
        assert site.ask("/a.txt", service="hosting:blog").text == "blog"
        assert site.ask("/a.txt", service="hosting:docs").text == "docs"
        listed = json.loads(site.ask("/emulators", service="hub").body)
        assert {"hosting", "hosting:blog", "hosting:docs"} < set(listed)


def test_a_page_of_a_further_site_is_no_administrator_either(tmp_path: Path, project_id: str) -> None:
    """Each port that serves pages is known to the guard."""
    hosting = [{"target": "app", "public": "app"}, {"target": "blog", "public": "blog"}]
    with serving(tmp_path, hosting, project_id) as site:
        for service in ("hosting", "hosting:blog"):
            page = {"origin": f"http://{site.suite.address(service)}"}
            assert site.ask("/control/reset", page, method="POST", service="hub").status == 403
            assert site.ask("/emulators", page, service="hub").status == 200


def test_hosting_starts_where_it_is_configured(tmp_path: Path, project_id: str) -> None:
    """By itself where firebase.json has it; with `--only hosting`, also before it has."""
    write_files(tmp_path, {"firebase.json": '{"hosting": {"public": "p"}}'})
    configured = load_configuration(tmp_path / "firebase.json", project_id=project_id)
    assert "hosting" in Suite(configured).only
    assert "hosting" not in Suite(Configuration(root=tmp_path, project_id=project_id)).only
    assert Suite(Configuration(root=tmp_path, project_id=project_id), only=["hosting"]).only == ("hosting",)
    assert configured.address("hosting").port == 5000
    assert configured.not_emulated == ()


def test_a_public_folder_that_is_not_there_yet_is_told(tmp_path: Path, project_id: str) -> None:
    """A build may make it later; the official suite stops."""
    with serving(tmp_path, {"public": "dist"}, project_id) as site:
        assert any("`" in warning and "dist" in warning for warning in site.suite.suite.warnings)
        assert site.ask("/").status == 404
        site.write({"dist/index.html": "built"})
        assert site.ask("/").text == "built"
