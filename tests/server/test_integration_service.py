"""`Phase5IntegrationService` works against one machine's server, with the shapes that programs know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from afterimage_client.integration_service import SENT_AT_ONCE_BYTES, Phase5IntegrationService
from tests.client.quick_folder import quick_folder
from tests.functions.api.conftest import serving_on_one_machine
from tests.server.server_process import ServerProcess


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with quick_folder() as folder:
        started = ServerProcess(folder / "machine").start()
        yield started
        assert started.stop() == 0


async def test_the_five_calls_answer_in_the_shapes_that_programs_know(server: ServerProcess) -> None:
    """Save, upload, history, comparison and overview, as the service's own documentation writes them."""
    token = server.token("ana")
    config = {"api_address": server.address, "max_file_size_mb": 100, "compression_threshold_mb": 10}
    async with Phase5IntegrationService({**config, "default_cdn": "cloudflare"}) as service:
        result = await service.save_artifact_with_versioning(
            access_token=token,
            user_id="ana",
            artifact_type="graphics",
            artifact_data={"canvas": "data", "layers": []},
            auto_save=True,
            create_version=True,
        )
        assert result["success"] is True
        file = result["drive_result"]["file_id"]
        again = await service.save_artifact_with_versioning(
            access_token=token, artifact_type="graphics", artifact_data={"canvas": "data", "layers": [1]}, file_id=file
        )
        assert again["version_number"] == 2
        history = await service.get_version_history_frontend(access_token=token, file_id=file)
        assert [(each["version_number"], each["description"]) for each in history["versions"]] == [(2, ""), (1, "")]
        compared = await service.compare_file_versions(
            access_token=token, file_id=file, version1_id="v1", version2_id="v2"
        )
        assert compared["differences"]["size_change_bytes"] == 1
        uploaded = await service.upload_file_with_processing(
            access_token=token, user_id="ana", file_data=b"small", file_name="design.txt", auto_compress=True
        )
        assert (uploaded["success"], uploaded["cdn"]["cdn_url"]) == (True, None)
        overview = await service.get_storage_overview(access_token=token, user_id="ana")
        assert overview["google_drive"]["quota"]["usage_percentage"] == 0.0
        assert 0 <= overview["local_storage"]["usage_percentage"] < 1


async def test_a_large_file_goes_in_pieces_and_comes_back_as_a_version(server: ServerProcess) -> None:
    """Past the API, twice the same without sending it again, and refused in a dict where it is too large."""
    token, data = server.token("ana"), b"0123456789" * (SENT_AT_ONCE_BYTES // 8)
    async with Phase5IntegrationService({"api_address": server.address, "max_file_size_mb": 11}) as service:

        async def upload(file_data: bytes, **options: Any) -> dict[str, Any]:
            return await service.upload_file_with_processing(
                access_token=token, file_data=file_data, file_name="large.txt", **options
            )

        kept = await upload(data)
        assert (kept["success"], kept["version_number"], kept["size"]) == (True, 1, len(data))
        same = await upload(data, file_id=kept["drive_result"]["file_id"])
        assert (same["success"], same["sha256"]) == (True, kept["sha256"])
        large = await upload(data * 2)
        assert (large["success"], large["code"]) == (False, "FILE_TOO_LARGE")
        published = await upload(b"x", upload_to_cdn=True, cdn_provider="cloudflare")
        assert (published["success"], published["code"]) == (False, "INVALID_REQUEST")
        assert "has none" in published["error"]
        published = await upload(data, upload_to_cdn=True)
        assert (published["success"], published["code"]) == (False, "FILE_TOO_LARGE")


async def test_a_file_for_the_world_has_an_address_where_a_network_is_in_front(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`cdn.cdn_url`, by the network of the call or of the config; small texts are packed from the config's size on."""
    with serving_on_one_machine("one-machine") as served:
        network = {"DEFAULT_CDN": "cloudflare", "CDN_BASE_URL": "https://cdn.example.com", "COMPRESS_FROM_MB": "1"}
        config = {
            "api_address": served.instance(**network), "default_cdn": "cloudflare", "compression_threshold_mb": 2,
            "google_client_id": "app",
        }  # fmt: skip
        token = served.user("ana").token
        async with Phase5IntegrationService(config) as service:
            assert "`google_client_id` is not read by this program" in caplog.text
            for provider, code in (("cloudflare", None), (None, None), ("vercel", "INVALID_REQUEST")):
                result = await service.upload_file_with_processing(
                    access_token=token, file_data=b"bytes", file_name="design.txt", upload_to_cdn=True,
                    cdn_provider=provider,
                )  # fmt: skip
                assert result.get("code") == code
                if code is None:
                    assert result["cdn"]["cdn_url"].startswith("https://cdn.example.com/a/")
            for megabytes, is_packed in ((1.5, False), (2.5, True)):
                text = b"a line of text\n" * int(megabytes * 70_000)
                kept = await service.upload_file_with_processing(access_token=token, file_data=text, file_name="a.txt")
                content = served.documents.read(f"artifacts/ana/blobs/{kept['sha256']}")
                assert content is not None
                assert content.fields["is_packed"] is is_packed


async def test_what_is_refused_comes_back_as_a_dict(server: ServerProcess) -> None:
    """A wrong token, a file of nobody's, an id that is none, and a server that is not there."""
    async with Phase5IntegrationService({"api_address": server.address}) as service:
        stranger = await service.get_storage_overview(access_token="afl_wrong")
        assert (stranger["success"], stranger["code"]) == (False, "AUTHENTICATION_FAILED")
        for file, code in (("nobody", "NOT_FOUND"), ("a/b\n", "NOT_FOUND")):
            found = await service.get_version_history_frontend(access_token=server.token("ana"), file_id=file)
            assert (found["success"], found["code"]) == (False, code), found
    async with Phase5IntegrationService({"api_address": "http://127.0.0.1:9"}) as service:
        nobody = await service.get_storage_overview(access_token="x")
        assert (nobody["success"], nobody["code"]) == (False, "UNAVAILABLE")
