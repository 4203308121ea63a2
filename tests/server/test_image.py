"""The image, as far as it is built without a container: its own steps, in a folder, as a user of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import waited_for

ROOT = Path(__file__).resolve().parents[2]
UID = 10001


class Image:
    """The instructions of the Dockerfile, with `/opt/afterimage` and the home of its user in another place."""

    def __init__(self, place: Path) -> None:
        text = (ROOT / "server/Dockerfile").read_text().replace("\\\n", " ")
        self.lines = [line.partition(" ")[::2] for line in text.splitlines() if line and not line.startswith("#")]
        self.place = place
        self.python = next(
            filter(is_open, (Path(sys.executable).resolve(), Path("/usr/bin/python3"))), Path(sys.executable)
        )
        self.source, self.prefix, self.home = place / "source", place / "opt", place / "home"

    def of(self, name: str) -> list[str]:
        return [self.here(rest) for each, rest in self.lines if each == name]

    def here(self, text: str) -> str:
        return text.replace("/opt/afterimage", str(self.prefix)).replace("/var/lib/afterimage", str(self.home))

    def build(self) -> None:
        """Copies what it copies, and runs what it runs before the second stage."""
        self.source.mkdir()
        for line in self.of("COPY"):
            if not line.startswith("--from"):
                what, where = line.split()
                ignored = shutil.ignore_patterns("__pycache__", ".venv", "node_modules")
                if (ROOT / what).is_dir():
                    shutil.copytree(ROOT / what, self.source / where, ignore=ignored)
                else:
                    shutil.copy(ROOT / what, self.source / where)
        (self.place / "bin").mkdir()
        (self.place / "bin/python").symlink_to(self.python)
        path = {"PATH": f"{self.place}/bin{os.pathsep}{os.environ['PATH']}"}
        [build] = [line for line in self.of("RUN") if "venv" in line]
        subprocess.run(
            build, shell=True, cwd=self.source, env={**os.environ, **path}, check=True, timeout=900, capture_output=True
        )

    def environment(self) -> dict[str, str]:
        said = dict(pair.split("=", 1) for line in self.of("ENV") for pair in shlex.split(line))
        path = said["PATH"].replace("$PATH", os.environ["PATH"])
        return {**said, "PATH": path, "HOME": str(self.home), "SERVER_HOST": "127.0.0.1", "SERVER_PORT": "0"}


def is_open(python: Path) -> bool:
    """Whether another user may run it: it lies in nobody's closed home."""
    return python.exists() and all(path.stat().st_mode & 0o001 for path in python.resolve().parents)


@pytest.fixture
def image() -> Iterator[Image]:
    # Beneath no folder of pytest's: those are closed to other users.
    place = Path(tempfile.mkdtemp(prefix="image-"))
    place.chmod(0o755)
    yield Image(place)
    shutil.rmtree(place)


@pytest.mark.soak
def test_the_steps_of_the_image_make_a_server_that_serves_as_its_own_user(image: Image) -> None:
    """Installed from what is copied alone; the command, the health check and the signal are those of the Dockerfile."""
    image.build()
    image.home.mkdir()
    uid = UID if os.getuid() == 0 and is_open(image.python) else None
    if uid is not None:
        os.chown(image.home, uid, uid)
    [command], [check] = ([json.loads(line.removeprefix("CMD ")) for line in image.of(name)] for name in
                          ("CMD", "HEALTHCHECK"))  # fmt: skip
    log = (image.place / "log").open("w+")
    with subprocess.Popen(
        command, cwd=image.home, env=image.environment(), stdout=log, stderr=log, user=uid, group=uid
    ) as process:
        said = waited_for(lambda: re.search(r"serves (http://\S+)", (image.place / "log").read_text()))
        assert said is not None
        checked = [part.replace("http://127.0.0.1:8000", said[1]) for part in check]
        assert checked != check
        healthy = subprocess.run(checked, env=image.environment(), check=False, timeout=60)
        token = subprocess.run(
            [*command, "token", "add", "ana"], cwd=image.home, env=image.environment(), check=True, text=True,
            capture_output=True, timeout=60, user=uid, group=uid,
        )  # fmt: skip
        key = subprocess.run(
            ["python", "-m", "afterimage.edges.drive", "drive-keys.json"], cwd=image.home, env=image.environment(),
            check=False, timeout=60, user=uid, group=uid,
        )  # fmt: skip
        process.send_signal(signal.Signals[image.of("STOPSIGNAL")[0]])
        assert process.wait(60) == 0
    assert healthy.returncode == 0
    assert token.stdout.startswith("afl_")
    assert key.returncode == 0
    owners = {path.stat().st_uid for path in image.home.rglob("*")}
    assert owners == {os.getuid() if uid is None else uid}
