"""What documents mean: prices, figures that cannot be, fields of the wrong kind, worker's documents, stored objects."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from afterimage.ledger.books import figures
from afterimage.ledger.contribution import CostSource, Facts, OutputStatus, day_of, facts_of
from afterimage.ledger.observing import observe_document, observe_object
from afterimage.ledger.prices.money import FigureError, nano_usd
from afterimage.ledger.prices.price_table import OWN_PRICES, Row, Unit
from afterimage.ledger.prices.pricing import Prices, Usage, library_token_price
from afterimage.ledger.records import EMPTY, Observation, Record, as_fields, from_fields, joined
from afterimage.ledger.weight import weight_of
from afterimage.paths import ledger_record_path, parse_booked
from tests.thoroughness import examples

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NO_TOKENS = Prices(tokens=lambda _usage, _at: None)


def dialogue(**changes: Any) -> dict[str, Any]:
    base = {"model": "house-model", "cost_usd": 0.25, "cached": True, "cache_hit_count": 2, "latency_ms": 480}
    return {key: value for key, value in (base | changes).items() if value is not ...}


def facts(fields: dict[str, Any], kind: str = "dialogues", prices: Prices = NO_TOKENS, at: datetime = NOW) -> Facts:
    return facts_of(kind, fields, at, prices)


@pytest.mark.parametrize(
    ("dollars", "nano"),
    [(0.1, 100_000_000), (0.1 + 0.2, 300_000_000), (1, 10**9), (0.0000000005, 0), (0.0000000015, 2), (1000, 10**12)],
)
def test_dollars_become_whole_nano_dollars(dollars: float, nano: int) -> None:
    """What the client wrote is taken by its shortest decimal form and rounded half to even."""
    assert nano_usd(dollars) == nano


@pytest.mark.parametrize(
    ("figure", "reason"),
    [
        (-0.01, "is negative"),
        (float("nan"), "is not finite"),
        (float("inf"), "is not finite"),
        (float("-inf"), "is not finite"),
        ("0.25", "`str` is not a number"),
        (True, "`bool` is not a number"),
        ([1], "`list` is not a number"),
        (2**53 + 1, "is above the limit"),
        (2**63 - 1, "is above the limit"),
        (1e300, "is above the limit"),
        (1000.000001, "is above the limit"),
    ],
)
def test_a_cost_that_cannot_be_is_rejected_and_books_nothing(figure: object, reason: str) -> None:
    """Negative, endless, absurd or not a number: the output is `rejected`, with the reason for its owner to read."""
    with pytest.raises(FigureError):
        nano_usd(figure)
    found = facts(dialogue(cost_usd=figure))
    assert (found.status, found.cost_nano_usd) == (OutputStatus.REJECTED, 0)
    assert reason in found.reasons[0]


def test_a_figure_that_cannot_be_does_no_harm_where_the_server_computes() -> None:
    """The server's own figure stands; the reason tells what was wrong with the client's."""
    prices = Prices(tokens=lambda _usage, _at: Decimal("0.5"))
    found = facts(dialogue(cost_usd=-1, input_tokens=10), prices=prices)
    assert (found.status, found.cost_nano_usd, found.cost_source) == (
        OutputStatus.BOOKED,
        500_000_000,
        CostSource.COMPUTED,
    )
    assert found.reported_nano_usd is None
    assert found.reasons == ("`cost_usd` `-1` is negative",)


def test_the_clients_figure_is_totalled_only_where_the_server_cannot_compute() -> None:
    """Kept as reported either way, and marked by its source."""
    reported = facts(dialogue())
    assert (reported.cost_nano_usd, reported.cost_source) == (250_000_000, CostSource.REPORTED)
    computed = facts(dialogue(output_tokens=4), prices=Prices(tokens=lambda _usage, _at: Decimal("0.125")))
    assert (computed.cost_nano_usd, computed.reported_nano_usd) == (125_000_000, 250_000_000)
    assert computed.cost_source is CostSource.COMPUTED


def test_an_unknown_price_is_unpriced_and_never_nought() -> None:
    """Without a figure of anybody's, the output counts as a generation that waits for its price."""
    found = facts(dialogue(cost_usd=...))
    assert (found.status, found.cost_source) == (OutputStatus.UNPRICED, CostSource.NONE)


OWN_ZEROS = {"afterimage-template"}
"""Models of our own table that cost nothing, so that nobody's typing error gives a model away."""
ZEROS_OF_THE_LIBRARY = {
    "devstral-small:free", "gpt-live-1", "gpt-live-transcribe", "gpt-realtime-translate", "gpt-realtime-whisper",
    "gpt-transcribe", "grok-voice-latest", "grok-voice-think-fast-1.0", "grok-voice-think-fast-2.0",
    "mistral-nemo:free", "mistral-ocr-2503", "mistral-ocr-2505", "mistral-ocr-2512", "mistral-ocr-4-0",
    "mistral-ocr-4-1", "mistral-ocr-latest", "mistral-small-24b-instruct-2501:free", "tts-1", "tts-1-hd", "whisper-1",
    "voxtral-mini-2602", "voxtral-mini-transcribe-3-0", "voxtral-mini-transcribe-realtime-2602",
    "voxtral-mini-transcribe-realtime-3-0", "voxtral-small-transcribe-3-0",
}  # fmt: skip
"""Models that the price library knows at $0 for tokens: most are billed by what it does not know."""
SPENT = {"input_tokens": 1000, "output_tokens": 1000}


def zeros_of_the_library() -> set[str]:
    offered = {model.id for provider in get_snapshot().providers for model in provider.models}
    usages = {name: Usage(model=name, input_tokens=1000, output_tokens=1000) for name in offered}
    prices = {name: library_token_price(usage, NOW) for name, usage in usages.items()}
    return {name for name, price in prices.items() if price is not None and not price}


def test_every_zero_of_the_price_table_is_named() -> None:
    """Ours and the library's: a new one is looked at by a person before it gives a model away."""
    assert {row.model for row in OWN_PRICES if not row.dollars} == set(OWN_ZEROS)
    assert zeros_of_the_library() == ZEROS_OF_THE_LIBRARY


@pytest.mark.parametrize("model", sorted({*OWN_ZEROS, *ZEROS_OF_THE_LIBRARY}))
def test_no_zero_of_the_price_table_is_booked_beside_a_reported_figure(model: str) -> None:
    """The client's figure counts; without one, what is free of charge by our table costs nothing, any other waits."""
    stated = facts(dialogue(model=model, **SPENT), prices=Prices())
    assert (stated.cost_nano_usd, stated.cost_source) == (250_000_000, CostSource.REPORTED)
    amounts = figures(stated, 0)
    assert (amounts["reported_nano_usd"], amounts["cost_nano_usd"]) == (250_000_000, 250_000_000)
    assert not [name for name in amounts if name.startswith("computed")]
    silent = facts(dialogue(model=model, cost_usd=..., **SPENT), prices=Prices())
    if model in OWN_ZEROS:
        assert (silent.status, silent.cost_source) == (OutputStatus.BOOKED, CostSource.COMPUTED)
    else:
        assert (silent.status, silent.cost_source) == (OutputStatus.UNPRICED, CostSource.NONE)
        assert figures(silent, 0)["unpriced"] == 1


@pytest.mark.parametrize(
    ("model", "count"),
    [
        ("gemini-2.5-pro", {"input_tokens": 0}),
        ("gemini-2.5-pro", {"input_tokens": 0, "output_tokens": 0, "cached_input_tokens": 0}),
        ("imagen-4.0-generate-001", {"num_images": 0}),
        ("veo-3.0-generate-001", {"duration_seconds": 0}),
        ("tts-1", {"characters": 0}),
        ("afterimage-template", {"output_tokens": 5}),
    ],
)
def test_a_count_of_nought_computes_no_nought(model: str, count: dict[str, int]) -> None:
    """A reported figure counts beside it, also beside a price of nothing; one that cannot be is not let through."""
    fields = dialogue(model=model, **count)
    for kind in ("dialogues", "images", "videos", "audio"):
        stated = facts(fields, kind, prices=Prices())
        assert (stated.cost_nano_usd, stated.cost_source) == (250_000_000, CostSource.REPORTED)
        assert facts(fields | {"cost_usd": -1}, kind, prices=Prices()).status is OutputStatus.REJECTED


def test_each_source_of_a_cost_is_a_figure_of_its_own() -> None:
    """What a client says, what the server computes and what a server's document confirms never stand in one sum."""
    computed = Prices(tokens=lambda _usage, _at: Decimal("2.5"))
    found = {
        "reported": facts(dialogue(cost_usd=2.5)),
        "computed": facts(dialogue(output_tokens=1), prices=computed),
        "confirmed": facts({"status": "completed", "model": "m", "confirmed_cost_nano_usd": 2_500_000_000}, "files"),
    }
    for source, each in found.items():
        amounts = figures(each, 0)
        assert (amounts[f"{source}_whole_usd"], amounts[f"{source}_nano_usd"]) == (2, 500_000_000)
        assert not {f"{other}_nano_usd" for other in found if other != source} & amounts.keys()


def test_tokens_are_priced_by_the_library_offline() -> None:
    """Input, cached input and output each at its own price, as a decimal to the nano-dollar."""
    found = facts(dialogue(model="models/Gemini-2.5-Flash", input_tokens=1000, output_tokens=100), prices=Prices())
    assert (found.model, found.model_version) == ("gemini-2.5-flash", "2.5.20251001")
    assert (found.cost_nano_usd, found.cost_origin) == (550_000, "genai-prices")
    with_cache = facts(
        dialogue(model="gemini-2.5-flash", input_tokens=1000, cached_input_tokens=400, output_tokens=100),
        prices=Prices(),
    )
    assert with_cache.cost_nano_usd < 550_000


def test_an_effective_date_is_honoured() -> None:
    """A price holds from its day on, by the server's creation time: not a day earlier, not for what was made before."""
    fields = {"model": "veo-3.0-generate-001", "duration_seconds": 8}
    costs = [
        facts(fields, "videos", at=datetime.fromisoformat(moment).replace(tzinfo=UTC)).cost_nano_usd
        for moment in ["2025-07-16", "2025-09-08T23:59:59", "2025-09-09"]
    ]
    assert costs == [0, 6_000_000_000, 3_200_000_000]


def test_the_day_is_that_of_the_servers_clock_in_utc() -> None:
    """Midnight and the month's end, whatever the client's clock says in `generated_at`."""
    last = int(datetime(2026, 11, 30, 23, 59, 59, 999999, tzinfo=UTC).timestamp()) * 10**9 + 999_999_000
    assert (day_of(last), day_of(last + 1000)) == ("2026-11-30", "2026-12-01")
    for clock in (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC), "yesterday", -5):
        assert facts(dialogue(generated_at=clock, last_accessed=clock)) == facts(dialogue())


@pytest.mark.parametrize("model", ["x" * 200_000, "über-modell", "", "a`b", "a\nb", "-x"])
def test_names_that_no_model_has_are_not_carried_into_the_books(model: str) -> None:
    """They count as `unknown`, with a short reason, and a 200 KB name is kept nowhere."""
    found = facts(dialogue(model=model))
    assert (found.status, found.model) == (OutputStatus.BOOKED, "unknown")
    assert len(found.reasons[0]) < 120


def test_fields_of_the_wrong_kind_are_named_and_not_counted() -> None:
    """Each gets its reason; the rest of the output counts."""
    found = facts(dialogue(latency_ms="fast", cache_hit_count=-3, cached="yes", input_tokens=1.5e300))
    assert (found.status, found.latency_ms, found.hits, found.is_cached) == (OutputStatus.BOOKED, None, None, False)
    assert [reason.split("`")[1] for reason in found.reasons] == ["cache_hit_count", "input_tokens", "latency_ms"]
    assert facts(dialogue(model=7)).status is OutputStatus.REJECTED


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5)
    | st.datetimes(timezones=st.just(UTC)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip
NAMES = ("model", "cost_usd", "cached", "cache_hit_count", "latency_ms", "input_tokens", "output_tokens", "num_images",
         "duration_seconds", "characters", "status", "request_data", "generation_data", "images", "created_at",
         "completed_at", "task_type", "num_frames", "fps")  # fmt: skip


@settings(max_examples=examples(300), deadline=None)
@given(
    fields=st.dictionaries(st.sampled_from(NAMES), ANYTHING),
    kind=st.sampled_from(["dialogues", "images", "videos", "audio", "files"]),
)
def test_whatever_a_client_writes_gets_an_answer(fields: dict[str, Any], kind: str) -> None:
    """No document can make the ledger raise, and no figure leaves its bounds."""
    found = facts(fields, kind, prices=Prices())
    assert 0 <= found.cost_nano_usd <= 10**12
    assert found.hits is None or 0 <= found.hits <= 10_000_000
    assert found.latency_ms is None or 0 <= found.latency_ms <= 86_400_000
    record = joined(EMPTY, observation(found)).shelved({found.model: found.model})
    assert from_fields(as_fields(record, kind=kind, identifier="x")) == record


def test_an_output_of_a_megabyte_is_marked_and_not_booked() -> None:
    """Rules measure fields, not documents; whoever spreads a megabyte over several is told so, and a worker is not."""
    base = dialogue(text="x" * 900_000, extra={"deep": [b"y" * 50_000, "é" * 20_000, None, True, 1.5, NOW]})
    fits = base | {"rest": "z" * (999_999 - weight_of(base) - len("rest") - 2)}
    assert (weight_of(fits), facts(fits).status) == (999_999, OutputStatus.BOOKED)
    found = facts(fits | {"rest": fits["rest"] + "z"})
    assert (found.status, found.cost_nano_usd, found.hits) == (OutputStatus.REJECTED, 0, 2)
    assert found.reasons == ("the document weighs 1000000 bytes; an output stays under 1000000",)
    worker = {"status": "completed", "model": "m", "generation_data": {"text": "x" * 1_000_000}}
    assert facts(worker, "files").status is OutputStatus.UNPRICED


def test_a_document_weighs_what_firestore_says() -> None:
    """The example of Firestore's documentation: fields of 71 bytes in all."""
    task = {"type": "Personal", "done": False, "priority": 1, "description": "Learn Cloud Firestore"}
    assert weight_of(task) == 14 + 6 + 17 + 34


def test_a_workers_document_counts_when_it_is_completed() -> None:
    """`processing` books nothing, `failed` counts as a failure, `completed` is a generation with what it says."""
    fields = {
        "status": "processing",
        "request_data": {"input": {"task_type": "text2img", "num_images": 4}},
        "created_at": NOW,
    }
    assert facts(fields, "files").status is OutputStatus.PENDING
    assert facts(fields | {"status": "failed"}, "files").status is OutputStatus.FAILED
    done = {
        **fields,
        "status": "completed",
        "images": ["a", "b"],
        "model": "imagen-4.0-generate-001",
        "completed_at": datetime(2026, 11, 21, 12, 0, 3, 500_000, tzinfo=UTC),
    }
    found = facts(done, "files")
    assert (found.cost_nano_usd, found.latency_ms) == (80_000_000, 3500)
    assert found.cost_origin.startswith("table:image:")


def test_a_cost_that_the_worker_confirms_is_the_cost() -> None:
    """Above the table and what the request claims; only the document's own field counts, and a mad one does not."""
    done = {
        "status": "completed",
        "model": "imagen-4.0-generate-001",
        "request_data": {"task_type": "text2img", "cost_usd": 7.0, "confirmed_cost_nano_usd": 5},
        "generation_data": {"confirmed_cost_nano_usd": 6},
    }
    assert facts(done, "files").cost_source is CostSource.COMPUTED
    confirmed = facts(done | {"confirmed_cost_nano_usd": 2_100_000}, "files")
    assert (confirmed.cost_nano_usd, confirmed.cost_source) == (2_100_000, CostSource.CONFIRMED)
    assert (confirmed.cost_origin, confirmed.reported_nano_usd) == ("", 7_000_000_000)
    for mad in (-1, 1.5, True, "1", 10**12 + 1):
        found = facts(done | {"confirmed_cost_nano_usd": mad}, "files")
        assert (found.cost_nano_usd, found.cost_source) == (40_000_000, CostSource.COMPUTED)
        assert "`confirmed_cost_nano_usd` must be whole nano-dollars" in found.reasons[-1]


def test_what_a_request_claims_hides_no_generation() -> None:
    """A worker's generation counts, whatever cost and model its request names; the claims are noted."""
    for claim in ({"cost_usd": -1}, {"cost_usd": 10**9}, {"cost_usd": "much"}, {"model": 7}, {"model": ["a"]}):
        done = {"status": "completed", "request_data": {"task_type": "text2img", **claim}}
        found = facts(done, "files")
        assert (found.status, found.model, found.cost_nano_usd) == (OutputStatus.UNPRICED, "text2img", 0)
        confirmed = facts(done | {"confirmed_cost_nano_usd": 5}, "files")
        assert (confirmed.status, confirmed.cost_nano_usd) == (OutputStatus.BOOKED, 5)


def test_no_client_can_confirm_a_cost() -> None:
    """Outputs that clients write have no such field in the books."""
    found = facts(dialogue(confirmed_cost_nano_usd=1))
    assert found.cost_source is not CostSource.CONFIRMED


def test_a_workers_video_is_priced_by_its_length() -> None:
    """Frames by frames per second, to the millisecond."""
    row = Row("text2video", Unit.SECOND, date(2026, 1, 1), Decimal("0.01"))
    fields = {"status": "completed", "request_data": {"task_type": "text2video", "num_frames": 49, "fps": 15}}
    found = facts(fields, "files", prices=Prices(rows=[*OWN_PRICES, row]))
    assert found.cost_nano_usd == 32_670_000


@pytest.mark.parametrize(
    ("path", "user", "kind"),
    [
        ("ai_outputs/u/dialogues/a_b", "u", "dialogues"),
        ("ai_outputs/ü/audio/ñ", "ü", "audio"),
        ("generations/u/files/f", "u", "files"),
        ("ai_outputs/u/other/a", None, None),
        ("ai_outputs/u/dialogues/a/b/c", None, None),
        ("usage/u", None, None),
    ],
)
def test_only_outputs_are_for_the_books(path: str, user: str | None, kind: str | None) -> None:
    """By their paths, whoever they claim to be of inside."""
    found = parse_booked(path)
    assert (found[:2] if found else (None, None)) == (user, kind)


def test_objects_count_for_the_owner_in_their_path() -> None:
    """By kind, for as long as they are there; objects of nobody are not counted."""
    name = "users/ana/ai_generated/images/dragon_portrait.webp"
    seen = observe_object("b", name, generation=5, size=700, happened=NOW, is_deleted=False)
    assert seen is not None
    record = joined(EMPTY, seen)
    assert record.amounts() == {("storage", "bytes", "images"): 700, ("storage", "objects", "images"): 1}
    newer = observe_object("b", name, generation=6, size=9, happened=NOW, is_deleted=False)
    gone = observe_object("b", name, generation=5, size=700, happened=NOW, is_deleted=True)
    assert newer
    assert gone
    for order in ([seen, newer, gone], [newer, gone, seen], [gone, seen, newer]):
        record = EMPTY
        for each in order:
            record = joined(record, each)
        assert record.amounts()["storage", "bytes", "images"] == 9
    assert observe_object("b", "media/x/y.png", generation=5, size=7, happened=NOW, is_deleted=False) is None


def test_records_of_long_ids_have_room() -> None:
    """An id that leaves no room for its kind is hashed, and cannot meet another's record."""
    long = ledger_record_path("u", "dialogues", "é" * 750)
    assert len(long.rpartition("/")[2].encode()) <= 1500
    assert long != ledger_record_path("u", "images", "é" * 750)


def observation(found: Facts, *, created: int = 10, version: int = 10, is_deleted: bool = False) -> Observation:
    return Observation(
        user="u", kind="dialogues", id="x", created=created, version=version, happened=version,
        is_deleted=is_deleted, table=1, facts=found,
    )  # fmt: skip


VERSIONS = st.builds(
    lambda life, step, gone: observation(
        facts(dialogue(cost_usd=step / 8, cache_hit_count=(step * 7) % 5)),
        created=life * 100,
        version=life * 100 + step,
        is_deleted=gone,
    ),
    st.integers(1, 3),
    st.integers(0, 5),
    st.booleans(),
)


@settings(max_examples=examples(200), deadline=None)
@given(seen=st.lists(VERSIONS, max_size=8), order=st.randoms())
def test_merging_does_not_depend_on_order_or_number(seen: list[Observation], order: Any) -> None:
    """A join: any order, any repetition, one record."""

    def merged(observations: list[Observation]) -> Record:
        record = EMPTY
        for each in observations:
            record = joined(record, each)
        return record

    shuffled = [*seen, *order.choices(seen, k=len(seen))] if seen else []
    order.shuffle(shuffled)
    assert merged(shuffled) == merged(seen)


def test_a_table_that_learns_a_price_is_heard_at_the_next_delivery() -> None:
    """A duplicate of an unpriced output under a later table prices it; a priced one stays as it was booked."""

    def seen(version: int, dollars: str | None) -> Observation:
        prices = Prices(version=version, tokens=lambda _usage, _at: None if dollars is None else Decimal(dollars))
        fields = dialogue(cost_usd=..., input_tokens=5)
        found = observe_document(
            "ai_outputs/u/dialogues/x", fields, created=10**18, version=10**18, is_deleted=False, prices=prices
        )
        assert found is not None
        return found

    record = joined(joined(EMPTY, seen(1, None)), seen(2, "0.5"))
    assert record.newest
    assert record.newest.facts.cost_nano_usd == 500_000_000
    assert joined(record, seen(3, "0.7")) == record
    assert joined(record, seen(1, None)) == record
    assert joined(record, seen(3, "0.7"), reprice=True) != record


def test_an_absurd_quantity_is_not_vouched_for() -> None:
    """The server computes nothing from it, and the client's figure is all there is."""
    usage = Usage(model="gemini-2.5-pro", output_tokens=10**15)
    assert Prices().price(usage, NOW) is None
