"""Owns the worker that the contract was made from: firebase-admin as its document has it, behind an HTTP endpoint."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from uuid import uuid4

import firebase_admin
from firebase_admin import credentials, firestore, storage
from PIL import Image

from tests.listening import listening


class Worker:
    """Opens a document, uploads what it made, completes the document; its key is a JSON string, as from a secret."""

    def __init__(self, key: str, bucket: str, host: str) -> None:
        certificate = credentials.Certificate(json.loads(key))
        self.app = firebase_admin.initialize_app(certificate, {"storageBucket": bucket}, f"worker-{uuid4()}")
        self.host = host

    def generate(self, request: dict[str, Any]) -> dict[str, Any]:
        user_id, file_uid = request["user_id"], request["file_uid"]
        document = firestore.client(self.app).collection("generations").document(user_id).collection("files")
        entry = document.document(file_uid)
        entry.set(
            {
                "status": "processing", "created_at": firestore.SERVER_TIMESTAMP, "request_data": request,
                "file_uid": file_uid, "user_id": user_id,
            }
        )  # fmt: skip
        urls = [
            self.upload(f"generating/{user_id}/image/{file_uid}_{number}.png")
            for number in range(request["num_images"])
        ]
        made = {"images": urls, "image_url": urls[0], "seed": 123, "task_type": request["task_type"]}
        entry.update({"status": "completed", "completed_at": firestore.SERVER_TIMESTAMP, "generation_data": made})
        return {**made, "file_uid": file_uid, "user_id": user_id}

    def upload(self, path: str) -> str:
        picture = io.BytesIO()
        Image.new("RGB", (64, 48), (10, 120, 200)).save(picture, "PNG")
        blob = storage.bucket(app=self.app).blob(path)
        token = str(uuid4())
        blob.metadata = {"firebaseStorageDownloadTokens": token}
        blob.upload_from_string(picture.getvalue(), content_type="image/png")
        return f"{self.host}/v0/b/{blob.bucket.name}/o/{path.replace('/', '%2F')}?alt=media&token={token}"


@contextmanager
def serving(worker: Worker) -> Iterator[str]:
    """The address that a phone posts its requests to."""

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(worker.generate(asked["input"])).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: Any) -> None:
            """Nothing: the tests speak for themselves."""

    try:
        with listening(Endpoint) as address:
            yield address
    finally:
        firebase_admin.delete_app(worker.app)
