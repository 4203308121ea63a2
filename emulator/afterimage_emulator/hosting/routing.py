"""Decides what answers a path: a redirect, a file, a rewrite or the page for what is missing.

The order is Hosting's own: redirects, then files that are there, then rewrites, then `404.html`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from afterimage_emulator.hosting.public_files import FoundFile, PublicFiles
from afterimage_emulator.hosting.redirects import Redirect, redirect_of
from afterimage_emulator.hosting.request_paths import RequestPath
from afterimage_emulator.hosting.site_settings import FunctionTarget, NotServedHere, ShownPage, SiteSettings

MISSING_PAGE = "404.html"
_INDEX = "index.html"


@dataclass(frozen=True, slots=True)
class ShownFile:
    file: FoundFile
    status: int = 200


@dataclass(frozen=True, slots=True)
class Missing:
    """`page` is the site's own, where it has one."""

    page: FoundFile | None


Decision = Redirect | ShownFile | FunctionTarget | NotServedHere | Missing


def decide(
    settings: SiteSettings,
    files: PublicFiles,
    path: RequestPath,
    raw_query: str,
    *,
    languages: Sequence[Sequence[str]] = (),
) -> Decision:
    """`languages` are the folders that hold a visitor's own version of a file, the best first."""
    redirect = redirect_of(settings.redirects, path.text, raw_query)
    if redirect is not None:
        return redirect
    site = _Site(settings, files, languages)
    return site.file_of(path, raw_query) or site.rewrite_of(path) or missing(files, languages)


def missing(files: PublicFiles, languages: Sequence[Sequence[str]]) -> Missing:
    return Missing(_find(files, languages, (MISSING_PAGE,)))


def _find(files: PublicFiles, languages: Sequence[Sequence[str]], names: Sequence[str]) -> FoundFile | None:
    for folder in languages:
        found = files.find((*folder, *names))
        if found is not None:
            return found
    return files.find(names)


@dataclass(frozen=True, slots=True)
class _Site:
    settings: SiteSettings
    files: PublicFiles
    languages: Sequence[Sequence[str]]

    def file_of(self, path: RequestPath, raw_query: str) -> Decision | None:
        if path.names is None:
            return None
        exact = None if path.has_slash else self._find(path.names)
        if exact is not None:
            return self._exact(path, exact, raw_query)
        index = self._find((*path.names, _INDEX))
        if index is not None:
            return self._index(path, index, raw_query)
        if self.settings.clean_urls and path.names:
            return self._clean(path, raw_query)
        return None

    def _exact(self, path: RequestPath, file: FoundFile, raw_query: str) -> Decision:
        if self.settings.clean_urls and path.location.endswith(".html"):
            location = path.location.removesuffix(".html")
            if location.endswith("/index"):
                location = location.removesuffix("/index")
            return _to(location, raw_query, slash=self.settings.trailing_slash is True)
        return _shown(file, path.location)

    def _index(self, path: RequestPath, index: FoundFile, raw_query: str) -> Decision:
        """A folder with a page of its own."""
        wanted = self.settings.trailing_slash
        if wanted is None and not self.settings.clean_urls:
            wanted = True if not path.has_slash else None
        if wanted is True and not path.has_slash:
            return _to(path.location, raw_query, slash=True)
        if wanted is False and path.has_slash and path.names:
            return _to(path.location, raw_query, slash=False)
        return ShownFile(index)

    def _clean(self, path: RequestPath, raw_query: str) -> Decision | None:
        """`/about` for `about.html`."""
        wanted = self.settings.trailing_slash
        if (path.has_slash and wanted is None) or not path.names:
            return None
        page = self._find((*path.names[:-1], path.names[-1] + ".html"))
        if page is None:
            return None
        if wanted is False and path.has_slash:
            return _to(path.location, raw_query, slash=False)
        if wanted is True and not path.has_slash:
            return _to(path.location.removesuffix("/index"), raw_query, slash=True)
        if path.names[-1] == "index":
            return _to(path.location.removesuffix("/index"), raw_query, slash=False)
        return _shown(page, path.location + ".html")

    def rewrite_of(self, path: RequestPath) -> Decision | None:
        for rule in self.settings.rewrites:
            if rule.source.covers(path.text):
                if not isinstance(rule.target, ShownPage):
                    return rule.target
                page = self.files.find(rule.target.names)
                return None if page is None else ShownFile(page)
        return None

    def _find(self, names: Sequence[str]) -> FoundFile | None:
        return _find(self.files, self.languages, names)


def _shown(file: FoundFile, location: str) -> ShownFile:
    """The page for what is missing says so, also to somebody who asks for it."""
    return ShownFile(file, 404 if location == f"/{MISSING_PAGE}" else 200)


def _to(location: str, raw_query: str, *, slash: bool) -> Redirect:
    place = location if not slash or location.endswith("/") else location + "/"
    return Redirect((place or "/") + (f"?{raw_query}" if raw_query else ""))
