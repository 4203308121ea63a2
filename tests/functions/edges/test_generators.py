"""Generators behind endpoints: asked as their contract says, streamed, and every fault told apart by its cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import get_args

import pytest

from afterimage.edges import model_streams
from afterimage.edges.generators import generator_of
from afterimage.generations.faults import GeneratorBusyError, GeneratorError, LostAnswerError
from afterimage.generations.generator import Assignment, Generator, TokensSpent
from afterimage.settings import GeneratorSettings, SettingsError, read_settings
from tests.functions.edges.model_servers import FILES, KEY, MODEL, Kind, ModelServer, model_server, written

ASK = Assignment(prompt="a shop", mode="classic")
SPENT = TokensSpent(model=MODEL, input_tokens=11, output_tokens=7)


@pytest.fixture(params=get_args(Kind))
def server(request: pytest.FixtureRequest) -> Iterator[ModelServer]:
    with model_server(request.param) as endpoint:
        yield endpoint


def generator_at(server: ModelServer) -> Generator:
    found = server.settings()
    settings = read_settings(
        {"GCLOUD_PROJECT": "p", "GENERATOR": found.kind, "GENERATOR_MODEL": found.model, "GENERATOR_URL": found.url,
         "GENERATOR_API_KEY": found.key, "GENERATE_MOST_TOKENS": "1000"}
    )  # fmt: skip
    return generator_of(settings)


def test_a_streamed_answer_becomes_files_and_a_count_of_tokens(server: ModelServer) -> None:
    """The request is what the endpoint's contract asks for; what the model thought on its way is paid for, not kept."""
    generator = generator_at(server)
    made = generator.make(ASK)
    assert (made.files, made.spent) == (FILES, SPENT)
    most = generator.most(ASK)
    assert (most.model, most.output_tokens) == (MODEL, 1000)
    assert most.input_tokens > SPENT.input_tokens


def test_an_iteration_sends_the_files_and_reserves_for_them(server: ModelServer) -> None:
    """The whole project goes out with the wish, and each of its bytes may be a token."""
    generator = generator_at(server)
    again = Assignment(prompt="more", mode="enhanced", files={"a.py": "é" * 5000})
    generator.make(again)
    assert "é" * 5000 in str(server.asked[-1])
    assert generator.most(again).input_tokens > 10_000


@pytest.mark.parametrize("text", ["```json\n" + written(FILES) + "\n```", "  " + written(FILES) + "\n"])
def test_json_between_fences_is_read_all_the_same(server: ModelServer, text: str) -> None:
    """Some models cannot help it."""
    server.text = text
    assert generator_at(server).make(ASK).files == FILES


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
def test_a_busy_endpoint_has_spent_nothing(server: ModelServer, status: int) -> None:
    """The task comes again, and its reservation stays what it was."""
    server.status = status
    with pytest.raises(GeneratorBusyError, match=str(status)):
        generator_at(server).make(ASK)


def test_an_endpoint_that_cannot_be_reached_has_spent_nothing() -> None:
    """Nobody listens there any more."""
    with model_server("openai") as gone:
        generator = generator_at(gone)
    with pytest.raises(GeneratorBusyError):
        generator.make(ASK)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_is_final_costs_nothing_and_gives_no_key_away(server: ModelServer, status: int) -> None:
    """The endpoint's own words may quote the key: the user is told the status alone."""
    server.status = status
    with pytest.raises(GeneratorError) as raised:
        generator_at(server).make(ASK)
    assert raised.value.spent == TokensSpent(model=MODEL)
    assert KEY not in str(raised.value)
    assert KEY not in repr(server.settings())


@pytest.mark.parametrize(
    "mangle",
    [
        lambda stream: stream[: len(stream) // 2],
        lambda stream: b"",
        lambda stream: stream.replace(b'"content"', b'"content', 1).replace(b'"text"', b'"text', 1),
        lambda stream: b'data: {"error": {"message": "overloaded"}}\n\n' + stream,
        lambda stream: b"data: " + b"x" * 5_000_000 + stream,
    ],
    ids=["cut", "empty", "broken", "error", "endless line"],
)
def test_an_answer_that_breaks_off_may_have_cost_anything(
    server: ModelServer, mangle: Callable[[bytes], bytes]
) -> None:
    """Cut, garbled, or ended by an error: nobody knows what was spent, so the worst case counts."""
    server.mangle = mangle
    with pytest.raises(LostAnswerError):
        generator_at(server).make(ASK)


def test_an_answer_that_does_not_say_its_cost_is_lost(server: ModelServer) -> None:
    """A stream that ends in good order, without usage or without an end."""
    for name, value in (("usage", False), ("finish", None)):
        setattr(server, name, value)
        with pytest.raises(LostAnswerError):
            generator_at(server).make(ASK)


@pytest.mark.parametrize(
    ("text", "finish"),
    [
        ("Sorry, I cannot do that.", "ok"),
        ('{"files": [{"path": 1, "content": ""}]}', "ok"),
        ('{"other": []}', "ok"),
        (written([("a.py", "1"), ("a.py", "2")]), "ok"),
        (written(FILES), "length"),
        (written(FILES), "content_filter"),
    ],
)
def test_an_answer_that_is_no_project_is_final_and_paid_for(server: ModelServer, text: str, finish: str) -> None:
    """Text, another shape, a name twice, cut by the limit or by a filter: the tokens are known, and booked."""
    server.text, server.finish = text, finish
    with pytest.raises(GeneratorError) as raised:
        generator_at(server).make(ASK)
    assert raised.value.spent == SPENT


def test_an_answer_without_an_end_is_left(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """More bytes than any project has, or more time than a task has."""
    for name, value in (("MOST_ANSWER_BYTES", 100), ("DEADLINE_SECONDS", -1.0)):
        with monkeypatch.context() as patched:
            patched.setattr(model_streams, name, value)
            with pytest.raises(LostAnswerError, match="too long"):
                generator_at(server).make(ASK)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"GENERATOR": "oracle"}, "GENERATOR is `oracle`"),
        ({"GENERATOR": "openai", "GENERATOR_MODEL": "m"}, "GENERATOR_API_KEY"),
        ({"GENERATOR": "openai", "GENERATOR_MODEL": "m", "GENERATOR_API_KEY": "k", "GENERATOR_URL": "http://x.example"},
         "`https://`"),
        ({"GENERATE_WAIT_SECONDS": "101"}, "at most 100"),
    ],
)  # fmt: skip
def test_a_generator_that_cannot_be_reached_safely_is_refused_at_start(variables: dict[str, str], said: str) -> None:
    """The message names the setting; no key ever goes out in the clear."""
    with pytest.raises(SettingsError, match=said):
        read_settings({"GCLOUD_PROJECT": "p", **variables})
    assert read_settings({"GCLOUD_PROJECT": "p"}).generator == GeneratorSettings()
