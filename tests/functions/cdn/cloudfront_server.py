"""Owns CloudFront's and CloudWatch's APIs: bodies held against AWS's models, signatures made by its own library."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from xml.etree import ElementTree

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.validate import ParamValidator

from tests.functions.cdn.contract_server import Answer, Asked, ContractServer

NAMESPACE: Final = "http://cloudfront.amazonaws.com/doc/2020-05-31/"
MOST_IN_PROGRESS: Final = 3000
TAKES: Final = timedelta(minutes=5)
"""How long an invalidation is in progress here; CloudFront promises nothing."""
_SESSION: Final = botocore.session.Session()
CLOUDFRONT: Final = _SESSION.get_service_model("cloudfront", "2020-05-31")
CLOUDWATCH: Final = _SESSION.get_service_model("cloudwatch")


@dataclass
class CloudFrontServer(ContractServer):
    """One distribution that reads tags."""

    distribution: str = "EDFDVBD6EXAMPLE"
    identifier: str = "AKIDEXAMPLE"
    secret: str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    invalidations: dict[str, tuple[str, list[str], Any]] = field(default_factory=dict)
    """Identifier, items and time by reference."""

    def answer(self, asked: Asked) -> Answer:
        is_metric = asked.path == "/"
        if not self._is_signed(asked, "monitoring" if is_metric else "cloudfront"):
            return _refused(403, "SignatureDoesNotMatch", "The request signature we calculated does not match")
        if is_metric:
            return self._figures(asked)
        if asked.path != f"/2020-05-31/distribution/{self.distribution}/invalidation":
            return _refused(404, "NoSuchDistribution", "The specified distribution does not exist.")
        return self._invalidate(asked)

    def _is_signed(self, asked: Asked, service: str) -> bool:
        """The signature as AWS's own library makes it over the very headers that were signed."""
        sent = asked.headers.get("Authorization", "")
        names = re.search(r"SignedHeaders=([^,]+)", sent)
        stamp = asked.headers.get("X-Amz-Date", "")
        if names is None or not {"host", "x-amz-date"} <= set(names[1].split(";")):
            return False
        lowered = {name.lower(): value for name, value in asked.headers.items()}
        request = AWSRequest(
            method=asked.method,
            url=f"http://{lowered['host']}{asked.path}",
            headers={name: lowered[name] for name in names[1].split(";") if name != "host"},
            data=asked.body,
        )
        auth = SigV4Auth(Credentials(self.identifier, self.secret), service, "us-east-1")
        request.context["timestamp"] = stamp
        canonical = auth.canonical_request(request)
        signature = auth.signature(auth.string_to_sign(request, canonical), request)
        return sent.startswith("AWS4-HMAC-SHA256 ") and sent.endswith(f"Signature={signature}")

    def _invalidate(self, asked: Asked) -> Answer:
        shape = CLOUDFRONT.operation_model("CreateInvalidation").input_shape.members["InvalidationBatch"]
        root = ElementTree.fromstring(asked.body)
        if root.tag != f"{{{NAMESPACE}}}InvalidationBatch":
            return _refused(400, "MissingBody", "This operation requires a body.")
        batch = read_as(root, shape)
        faults = ParamValidator().validate(batch, shape)
        if faults.has_errors():
            return _refused(400, "InvalidArgument", faults.generate_report())
        items, reference = batch["Paths"]["Items"], batch["CallerReference"]
        if batch["Paths"]["Quantity"] != len(items):
            return _refused(400, "InconsistentQuantities", "The value of Quantity and the size of Items don't match.")
        if any(not re.fullmatch(r"[/#][\x21-\x2b\x2d-\x7e]{0,256}", item) for item in items):
            return _refused(400, "InvalidArgument", "Your request contains one or more invalid invalidation paths.")
        known = self.invalidations.get(reference)
        if known is not None and known[1] != items:
            return _refused(400, "InvalidArgument", "The caller reference was used for another batch.")
        if known is None:
            in_progress = sum(len(held) for _, held, at in self.invalidations.values() if self.now - at < TAKES)
            if in_progress + len(items) > MOST_IN_PROGRESS:
                self.too_many += 1
                return _refused(400, "TooManyInvalidationsInProgress", "You have exceeded the maximum number.")
            known = (f"I{len(self.invalidations):013d}", items, self.now)
            self.invalidations[reference] = known
            self.forget({item[1:].lower() for item in items if item[0] == "#"})
        return Answer(status=201, body=_invalidation(known[0], items, reference, self.now.isoformat()))

    def _figures(self, asked: Asked) -> Answer:
        if asked.headers.get("X-Amz-Target") != f"{CLOUDWATCH.metadata['targetPrefix']}.GetMetricData":
            return Answer(status=400, body=b'{"__type":"UnknownOperationException"}')
        body = json.loads(asked.body)
        faults = ParamValidator().validate(body, CLOUDWATCH.operation_model("GetMetricData").input_shape)
        if faults.has_errors():
            return Answer(status=400, body=json.dumps({"message": faults.generate_report()}).encode())
        values = {"Requests": [1000.0], "BytesDownloaded": [5_000_000.0], "CacheHitRate": [90.0]}
        results = [
            {"Id": query["Id"], "Values": values[query["MetricStat"]["Metric"]["MetricName"]], "Timestamps": []}
            for query in body["MetricDataQueries"]
        ]
        return Answer(body=json.dumps({"MetricDataResults": results, "Messages": []}).encode())


def read_as(element: ElementTree.Element, shape: Any) -> Any:
    """An element as its shape in AWS's model says it is to be read; what the shape does not know is refused."""
    if shape.type_name == "structure":
        found = {}
        for child in element:
            name = child.tag.removeprefix(f"{{{NAMESPACE}}}")
            assert name in shape.members, f"`{shape.name}` has no `{name}`"
            assert name not in found, f"`{name}` stands in `{shape.name}` twice"
            found[name] = read_as(child, shape.members[name])
        return found
    if shape.type_name == "list":
        wanted = shape.member.serialization.get("name", "member")
        assert all(child.tag == f"{{{NAMESPACE}}}{wanted}" for child in element)
        return [read_as(child, shape.member) for child in element]
    return int(element.text or "") if shape.type_name in {"integer", "long"} else element.text or ""


def _invalidation(identifier: str, items: list[str], reference: str, created: str) -> bytes:
    listed = "".join(f"<Path>{item}</Path>" for item in items)
    return (
        f'<?xml version="1.0"?><Invalidation xmlns="{NAMESPACE}"><Id>{identifier}</Id><Status>InProgress</Status>'
        f"<CreateTime>{created}</CreateTime><InvalidationBatch><Paths><Quantity>{len(items)}</Quantity>"
        f"<Items>{listed}</Items></Paths><CallerReference>{reference}</CallerReference></InvalidationBatch>"
        "</Invalidation>"
    ).encode()


def _refused(status: int, code: str, message: str) -> Answer:
    body = (
        f'<?xml version="1.0"?><ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type><Code>{code}</Code>'
        f"<Message>{message}</Message></Error><RequestId>0</RequestId></ErrorResponse>"
    )
    return Answer(status=status, body=body.encode(), headers={"Content-Type": "text/xml"})
