"""A disk that fills up, and has room again: nothing is lost, nothing is done twice, nothing has to be started anew."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.client.small_disk import run_on_small_disk
from tests.client.sync.conftest import Replicas

PROGRAM = Path(__file__).with_name("crowded_replica.py")


async def test_a_full_disk_stops_nothing_for_good(replicas: Replicas, fresh: str) -> None:
    """Edits that do not fit are refused and told; those that were taken arrive once; pushing and listening go on."""
    suite = replicas.apps.suite
    folder = replicas.folder / "small"
    folder.mkdir()
    told = json.loads(
        await asyncio.to_thread(
            run_on_small_disk, folder, "2m", PROGRAM, [suite.project_id, fresh], suite.environment()
        )
    )
    assert told["turned_away"] >= 3
    assert told["taken"] == told["tally"] == told["here"] == told["there"], told
    assert (told["dead"], told["kept"], told["faults"]) == (0, 0, []), told
