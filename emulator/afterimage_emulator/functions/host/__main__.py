"""Where the host begins: started as a file, it makes its own package importable under a name no codebase would use."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

PACKAGE = "_local_firebase_host"


def begin() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))
    # The codebase must not see this folder's modules as its own.
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != folder]
    spec = importlib.util.spec_from_file_location(
        PACKAGE, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    if spec is None or spec.loader is None:
        raise SystemExit(f"cannot load `{folder}`")
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    importlib.import_module(f"{PACKAGE}.template").run_template(sys.argv[1])


if __name__ == "__main__":
    begin()
