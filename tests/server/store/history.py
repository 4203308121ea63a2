"""A folder and a plain model of it, written to by the same random steps; both must say the same at any time."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from afterimage.store.documents import Change, Expect, Remove, Replace, Write
from afterimage.store.files import FileAbout
from afterimage_server.store.machine_folder import MachineFolder

BUCKET = "bucket"


@dataclass
class Model:
    """What should stand in the folder."""

    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def step(self, folder: MachineFolder, chance: random.Random) -> None:
        """One random commit, applied to both."""
        what = chance.random()
        if what < 0.5:
            paths = chance.sample([f"a/{n}/b/{m}" for n in range(4) for m in range(4)], chance.randint(1, 5))
            folder.documents.commit([self._write(path, chance) for path in paths])
        elif what < 0.8:
            name, data = f"files/{chance.randrange(9)}", chance.randbytes(chance.randrange(3000)) + b"x" * 2000
            about = FileAbout(content_type="text/plain; charset=utf-8", metadata={"n": str(len(data))})
            folder.files.write(BUCKET, name, data, about, expected=Expect.ANYTHING)
            self.files[name] = data
        elif what < 0.9:
            name = f"files/{chance.randrange(9)}"
            folder.files.delete(BUCKET, name)
            self.files.pop(name, None)
        else:
            for held in folder.keeping.unsettled(2):
                folder.keeping.settle(held)

    def check(self, folder: MachineFolder) -> None:
        found = {each.path: each.fields for each in folder.documents.beneath("a", "b", limit=99)}
        assert found == self.documents
        files = {file.name: folder.files.read(file) for file in folder.files.walk(BUCKET, "")}
        assert files == self.files
        assert folder.check_invariants() == []

    def _write(self, path: str, chance: random.Random) -> Write:
        if chance.random() < 0.2:
            self.documents.pop(path, None)
            return Remove(path=path, expected=Expect.ANYTHING)
        if chance.random() < 0.5:
            fields = {"n": chance.randrange(9), "text": chance.choice(["x", "é" * 900, "y"]), "deep": {"b": b"\x00"}}
            self.documents[path] = fields
            return Replace(path=path, fields=fields, expected=Expect.ANYTHING)
        held = self.documents.setdefault(path, {})
        held["sum"] = held.get("sum", 0) + 1
        return Change(path=path, amounts={("sum",): 1})
