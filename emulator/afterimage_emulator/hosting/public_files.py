"""Finds a site's files as they are now, and none that lies outside its folder or is kept back."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from afterimage_emulator.hosting.patterns.globs import Glob
from afterimage_emulator.hosting.request_paths import file_names
from afterimage_emulator.hosting.withheld_files import WithheldFiles
from afterimage_emulator.wire.link_free_files import open_below


@dataclass(frozen=True, slots=True)
class FoundFile:
    """`path` was free of links below `public` when it was found; `name` is what it is called in the site."""

    path: Path
    name: str
    public: Path

    def opened(self) -> BinaryIO:
        """Raises `OSError` where a link has taken the place of a folder since."""
        return open_below(self.public, self.path)


class PublicFiles:
    """`tell` is told of files that are there and are kept back."""

    def __init__(
        self,
        public: Path | None,
        *,
        ignore: Sequence[Glob],
        withheld: WithheldFiles,
        tell: Callable[[str, str], None],
    ) -> None:
        self._public = public
        self._ignore = ignore
        self._withheld = withheld
        self._tell = tell

    def find(self, names: Sequence[str] | None) -> FoundFile | None:
        """The file of these names below the public folder; None where no such file is served."""
        checked = None if names is None else file_names(tuple(names))
        if not checked or self._public is None:
            return None
        try:
            public = Path(os.path.realpath(self._public, strict=True))
            path = Path(os.path.realpath(self._public.joinpath(*checked), strict=True))
            if not stat.S_ISREG(path.stat().st_mode) or not path.is_relative_to(public):
                return None
            wanted = "/".join(checked)
            if self._is_ignored(wanted) or self._is_ignored(path.relative_to(public).as_posix()):
                return None
            # What a link is called says nothing of what it leads to, nor the other way round.
            for each in {path, public.joinpath(*checked)}:
                reason = self._withheld.reason(each, public)
                if reason is not None:
                    self._tell(wanted, reason)
                    return None
        except OSError:  # not there, no folder on the way, a name too long, a loop of links, no leave to read
            return None
        return FoundFile(path, checked[-1], public)

    def _is_ignored(self, relative: str) -> bool:
        return any(glob.covers(relative) or glob.covers(relative + "/") for glob in self._ignore)
