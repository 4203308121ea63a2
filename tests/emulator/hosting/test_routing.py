"""A site's paths are answered as by the Firebase CLI: redirects, files, rewrites and headers, in that order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.hosting.running_site import serving

RECORDED = json.loads((Path(__file__).parent / "routing_cases.json").read_text())


@pytest.mark.parametrize(
    "site", RECORDED["sites"], ids=lambda site: "-".join(sorted(set(site["hosting"]) - {"public"}))
)
def test_paths_are_answered_as_by_the_cli(site: dict[str, Any], tmp_path: Path, project_id: str) -> None:
    """Each answer was recorded from the CLI's server; `tests/conformance/test_hosting.py` asks it again."""
    files = {f"public/{name}": content for name, content in RECORDED["files"].items()}
    assert len(site["answers"]) > 40
    wrong = []
    with serving(tmp_path, site["hosting"], project_id, files) as running:
        for case in site["answers"]:
            status, location, body, headers = case["answer"]
            answer = running.ask(case["path"], case.get("headers"))
            own = {name: value for name, value in answer.headers.items() if name.startswith("x-")}
            if body.startswith("function "):  # no functions run beside this site: that it is to be called is enough
                right = answer.status == 503 and f"`{body.removeprefix('function ')}`" in answer.text
            else:
                right = (answer.status, answer.headers.get("location")) == (status, location)
                right = right and (answer.text == body or location is not None or (status, body) == (404, ""))
            if not right or own != headers:
                wrong.append((case, answer))
    assert wrong == []


def test_reserved_paths_come_before_everything(tmp_path: Path, project_id: str) -> None:
    """Neither a redirect, a file nor a rewrite of the site takes what Hosting keeps for itself."""
    hosting = {
        "public": "public",
        "redirects": [{"source": "/__/**", "destination": "/taken"}],
        "rewrites": [{"source": "**", "destination": "/index.html"}],
    }
    files = {"public/__/firebase/init.json": "taken", "public/__/other": "taken", "public/index.html": "taken"}
    with serving(tmp_path, hosting, project_id, files) as site:
        assert json.loads(site.ask("/__/firebase/init.json").body)["projectId"] == project_id
        assert site.ask("/__/other").status == 404


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/go//evil.example", "/evil.example"),
        ("/go/%2Fevil.example", "/%2Fevil.example"),
        ("/go/%5Cevil.example", "/evil.example"),
        ("/go/%5C%5Cevil.example", "/evil.example"),
        ("/any/evil.example", "/evil.example"),
        ("/any%5Cevil.example", "/evil.example"),
        ("/go/a%0d%0aset-cookie:x", "/a%0D%0Aset-cookie:x"),
        ("//evil.example/docs", "/evil.example/docs/"),
    ],
)
def test_no_path_leads_to_another_site(path: str, location: str, tmp_path: Path, project_id: str) -> None:
    """What a visitor's link says must not become the host, or a header, of a redirect."""
    redirects = [
        {"source": "/go/:rest*", "destination": "/:rest*"},
        {"regex": "^/any(.*)$", "destination": "/:1*"},
    ]
    hosting = {"public": "public", "redirects": redirects}
    files = {"public/evil.example/docs/index.html": "docs"}
    with serving(tmp_path, hosting, project_id, files) as site:
        answer = site.ask(path)
        assert (answer.status, answer.headers.get("location")) == (301, location)
        assert "set-cookie" not in answer.headers


def test_globs_see_decoded_paths(tmp_path: Path, project_id: str) -> None:
    """A rule is written as its author reads the address; the CLI's server compares the encoded one."""
    hosting = {"public": "public", "headers": [{"source": "/ä/**", "headers": [{"key": "X-Seen", "value": "yes"}]}]}
    with serving(tmp_path, hosting, project_id, {"public/ä/a.txt": "a"}) as site:
        assert site.ask("/%C3%A4/a.txt").headers["x-seen"] == "yes"


@pytest.mark.parametrize("path", ["/%", "/%zz", "/%ff", "/a%e4b"])
def test_paths_that_no_browser_sends_are_named(path: str, tmp_path: Path, project_id: str) -> None:
    """Half an escape, and bytes that are no UTF-8, are the client's mistake."""
    with serving(tmp_path, {"public": "."}, project_id) as site:
        answer = site.ask(path)
        assert (answer.status, path.strip("/") in answer.text) == (400, True)
