"""Owns the graph of this repository, which is read once for all who judge it, and only where somebody does."""

from __future__ import annotations

import gc

import pytest

from tests.structure.architecture import ROOMS, ROOT
from tests.structure.import_graph import Graph, read_graph


@pytest.fixture(scope="session")
def repository() -> Graph:
    """Every module of the repository."""
    graph = read_graph(ROOT, ROOMS)
    gc.freeze()  # millions of nodes that live as long as the process: collections need not walk them
    return graph
