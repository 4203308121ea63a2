"""The sites as firebase.json has them now: read again when the file changes, the last good version kept otherwise."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from afterimage_emulator.configuration import ConfigurationError, HostingSection
from afterimage_emulator.hosting.site_settings import SiteSettings, read_site

_log = logging.getLogger("afterimage_emulator.hosting")


class LiveSettings:
    """`file` is looked at when somebody asks; `read_again` gives what `hosting` says in it."""

    def __init__(
        self,
        sections: Sequence[HostingSection],
        root: Path,
        *,
        file: Path | None,
        read_again: Callable[[], Sequence[HostingSection]],
    ) -> None:
        self._root = root
        self._file = file
        self._read_again = read_again
        self._seen = self._signature()
        self._sites = [read_site(section, root) for section in sections]
        self._at_start = {site.name for site in self._sites}

    def sites(self) -> Sequence[SiteSettings]:
        seen = self._signature()
        if seen != self._seen:
            self._seen = seen
            self._load()
        return self._sites

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            found = None if self._file is None else self._file.stat()
        except OSError:
            return None
        return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)

    def _load(self) -> None:
        try:
            sites = [read_site(section, self._root) for section in self._read_again()]
        except (ConfigurationError, OSError) as error:
            _log.error("%s; the last good settings of the sites stay in force", error)
            return
        self._sites = sites
        _log.info("the settings of the sites were read again")
        for warning in (warning for site in sites for warning in site.warnings):
            _log.warning("%s", warning)
        new = [site.name or "a site without a name" for site in sites if site.name not in self._at_start]
        if new and len(sites) > 1:
            _log.warning("%s has no port yet: start the suite again", ", ".join(new))
