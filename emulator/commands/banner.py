"""What `start` shows once everything answers: where the services are, what is loaded, what to try."""

from __future__ import annotations

from emulator.configuration import Configuration
from emulator.suite import Suite


def banner(suite: Suite, configuration: Configuration) -> str:
    """The table of services and a command that works as it stands."""
    lines = ["", f"  project {configuration.project_id}"]
    lines += [f"    {name:<10} {address}" for name, address in suite.addresses().items()]
    lines += [f"  warning: {warning}" for warning in configuration.warnings]
    functions = suite.services.get("functions")
    if functions is not None:
        lines += ["  functions"]
        lines += [f"    {line}" for line in functions.summary()]
    try_it = _try_it(suite)
    if try_it:
        lines += ["  try", *(f"    {line}" for line in try_it)]
    return "\n".join([*lines, "", ""])


def _try_it(suite: Suite) -> list[str]:
    addresses = suite.addresses()
    if "storage" in addresses:
        bucket = suite.configuration.default_bucket
        return [
            f"curl -s -X POST --data-binary @picture.jpg -H 'content-type: image/jpeg' "
            f"'http://{addresses['storage']}/upload/storage/v1/b/{bucket}/o?uploadType=media&name=media/first/picture.jpg'"
        ]
    if "firestore" in addresses:
        documents = f"projects/{suite.project_id}/databases/(default)/documents"
        return [f"curl -s 'http://{addresses['firestore']}/v1/{documents}/cards'"]
    return []
