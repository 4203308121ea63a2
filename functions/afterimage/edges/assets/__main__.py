"""Publishes a folder of the app's own files, and prints where each of them is: JSON, names to addresses."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from afterimage.edges.assets.app_files import AppFileError, app_files_in, store_app_file
from afterimage.settings import SettingsError
from afterimage.store import clients


def publish_folder() -> int:
    parser = argparse.ArgumentParser(prog="python -m afterimage.edges.assets", description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder whose files are published; not what lies beneath it")
    parser.add_argument("--minify", action="store_true", help="minify CSS, JavaScript, JSON, HTML and SVG")
    asked = parser.parse_args()
    base = os.environ.get("CDN_BASE_URL", "").rstrip("/")
    try:
        # All are read first: a file that is refused leaves nothing half published.
        found = list(app_files_in(asked.folder, minified=asked.minify))
        bucket = clients.settings().derived_bucket
        for file in found:
            is_new = store_app_file(clients.files(), bucket, file)
            told = "new" if is_new else "there already"
            sys.stderr.write(f"{file.name}: {file.original_size} bytes, {len(file.data)} served, {told}\n")
    except (AppFileError, SettingsError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    json.dump({file.name: f"{base}{file.address}" for file in found}, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(publish_folder())
