"""Small files that are costly to make and the same every time: made once, in another process, and kept.

They lie in `emulator/generated/`, or in the temporary folder where the package's own folder is not writable.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def kept_file(name: str, made_by: str) -> Path:
    """The file of that name; made first by `python -m MADE_BY FILE` where it does not exist yet."""
    own = os.getuid()
    for folder in (Path(__file__).parent / "generated", Path(tempfile.gettempdir()) / f"local-firebase-{own}"):
        kept = folder / name
        # In a shared temporary folder somebody else could have put a file of that name there.
        if kept.exists() and kept.stat().st_uid in (own, 0):
            return kept
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            _make(kept, made_by)
        except PermissionError:
            continue
        return kept
    raise PermissionError(f"cannot keep `{name}`: neither the package's folder nor {tempfile.gettempdir()} is writable")


def _make(kept: Path, made_by: str) -> None:
    if not os.access(kept.parent, os.W_OK):
        raise PermissionError(kept.parent)
    unfinished = kept.with_suffix(f".{os.getpid()}.unfinished")
    source = str(Path(__file__).parent.parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")]).rstrip(":")}
    subprocess.run([sys.executable, "-m", made_by, str(unfinished)], check=True, env=environment)
    unfinished.replace(kept)
