"""Where a job over users stands between two turns, as text: the last user done, how far the next has come. Pure.

No id of a user contains a slash, so one tells the two apart. What an audit carries over is packed: it holds sums for
every day and model of a user, and must fit into the job's document.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from datetime import datetime

from afterimage.ledger.audit import Progress
from afterimage.ledger.survey import WalkPosition


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """The last user who is done; the one after, if there is one half done, and what is carried over of that one."""

    done: str = ""
    under_way: str = ""
    carried: str = ""

    def as_text(self) -> str:
        return f"{self.done}/{self.under_way}/{self.carried}" if self.under_way else self.done


def standing(cursor: str) -> Standing:
    done, _, rest = cursor.partition("/")
    under_way, _, carried = rest.partition("/")
    return Standing(done=done, under_way=under_way, carried=carried)


def packed(progress: Progress) -> str:
    content = {
        "at": progress.at.isoformat(),
        "record": progress.place.record,
        "document": progress.place.document,
        "owed": [[*path, amount] for path, amount in sorted(progress.owed.items())],
        "missed": progress.missed,
        "beginnings": progress.beginnings,
    }
    return base64.b64encode(zlib.compress(json.dumps(content).encode(), 9)).decode("ascii")


def unpacked(text: str) -> Progress:
    content = json.loads(zlib.decompress(base64.b64decode(text)))
    kind, identifier = content["document"]
    return Progress(
        at=datetime.fromisoformat(content["at"]),
        place=WalkPosition(record=content["record"], document=(kind, identifier)),
        owed={tuple(path): amount for *path, amount in content["owed"]},
        missed=content["missed"],
        beginnings=content["beginnings"],
    )
