"""Answers below `/__/`, which Hosting keeps for itself on every site: the SDK, its configuration, Auth's pages."""

from __future__ import annotations

import ipaddress
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from afterimage_emulator.configuration import Address
from afterimage_emulator.front.local_hosts import split_host
from afterimage_emulator.hosting.file_answers import content_of, file_answer
from afterimage_emulator.hosting.installed_sdk import FILE_NAME, VERSION, InstalledSdk
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, text_response

PREFIX: Final = "/__/"
_GOOGLE: Final = b"https://www.gstatic.com/firebasejs/"
"""Where the SDK's files import each other from."""
_EMULATED: Final = ("auth", "firestore", "functions", "storage")
_AUTH_PAGES: Final = frozenset({"handler", "handler.js", "iframe", "iframe.js", "experiments.js", "links", "links.js"})
AuthPage = Callable[[HttpRequest, str], HttpResponse | None]
_SCRIPT: Final = """\
(function () {
  if (typeof firebase === "undefined") {
    throw new Error("load the scripts of the Firebase SDK (the -compat ones) before /__/firebase/init.js");
  }
  firebase.initializeApp(%(config)s);
  var emulators = %(emulators)s;
  if (!emulators) {
    console.warn("this page uses the Firebase project itself, not the local suite: load init.js?useEmulator=true");
    return;
  }
  Object.keys(emulators).forEach(function (name) {
    if (typeof firebase[name] !== "function") return;
    var at = emulators[name];
    if (name === "auth") firebase.auth().useEmulator("http://" + at.hostAndPort);
    else firebase[name]().useEmulator(at.host, at.port);
    console.info(name + " is served by http://" + at.hostAndPort);
  });
})();
"""
_log = logging.getLogger("afterimage_emulator.hosting")


class ReservedPages:
    """`addresses` tells where the services are reached; `auth_page` gives Auth's pages of providers by their names."""

    def __init__(
        self,
        *,
        project_id: str,
        default_bucket: str,
        addresses: Callable[[], Mapping[str, Address]],
        sdk: InstalledSdk,
        auth_page: AuthPage | None = None,
    ) -> None:
        self._provider_page = auth_page
        self._config = {
            "projectId": project_id,
            "appId": "1:1:web:1",
            "apiKey": "local",
            "authDomain": f"{project_id}.firebaseapp.com",
            "storageBucket": default_bucket,
            "messagingSenderId": "1",
        }
        self._addresses = addresses
        self._sdk = sdk
        self._told: set[str] = set()

    async def answer(self, request: HttpRequest, places: Sequence[Path]) -> HttpResponse:
        """`places` are folders of the site, where its packages may be."""
        area, _, rest = request.raw_path.removeprefix(PREFIX).partition("/")
        if area == "auth":
            return self._auth_page(request, rest)
        if area == "firebase" and rest == "init.json":
            return await self._sent(request, "application/json; charset=utf-8", json.dumps(self._config, indent=2))
        if area == "firebase" and rest == "init.js":
            return await self._sent(request, "text/javascript; charset=utf-8", self._script(request))
        version, _, name = rest.partition("/")
        if area == "firebase" and VERSION.fullmatch(version) and FILE_NAME.fullmatch(name):
            return await self._sdk_file(request, version, name, places)
        return text_response(f"`{request.raw_path[:200]}`: nothing is there; Hosting keeps `{PREFIX}` for itself", 404)

    async def _sent(self, request: HttpRequest, kind: str, text: str) -> HttpResponse:
        return await file_answer(content_of(kind, text.encode()), request.headers)

    # -- the SDK and its configuration

    def _script(self, request: HttpRequest) -> str:
        emulators = self._emulators(request) if request.query_value("useEmulator") == "true" else None
        return _SCRIPT % {"config": _literal(self._config), "emulators": _literal(emulators)}

    def _emulators(self, request: HttpRequest) -> Mapping[str, Any]:
        """Where the page that asks reaches the services: by the name it called us by, where they listen everywhere."""
        called = split_host(request.headers.get("host") or "")
        found = {}
        for name, address in self._addresses().items():
            if name in _EMULATED:
                host = called[0] if _is_everywhere(address.host) and called else address.host
                at = Address(host=host, port=address.port)
                found[name] = {"host": at.host, "port": at.port, "hostAndPort": str(at)}
        return found

    async def _sdk_file(self, request: HttpRequest, version: str, name: str, places: Sequence[Path]) -> HttpResponse:
        sdk = self._sdk.of_version(version, places)
        if sdk is None:
            others = self._sdk.versions(places)
            having = f"npm has installed {', '.join(others)} here" if others else "npm has installed none here"
            return text_response(
                f"the JavaScript SDK {version} comes from the npm package `firebase`, and {having}; "
                f"run `npm install firebase@{version}` in the project's folder",
                404,
            )
        try:
            source = (sdk.folder / name).read_bytes()
        except OSError:
            return text_response(f"the npm package `firebase` {sdk.version} has no file `{name}`", 404)
        if sdk.version != version:
            self._tell(
                f"a page asks for the JavaScript SDK {version}; npm has installed {sdk.version}, which is served"
            )
        # One page must not load the SDK twice, once from here and once from the network.
        here = f"{PREFIX}firebase/".encode()
        for named in {version, sdk.version}:
            source = source.replace(_GOOGLE + named.encode() + b"/", here + version.encode() + b"/")
        kind = "application/json; charset=utf-8" if name.endswith(".map") else "text/javascript; charset=utf-8"
        return await file_answer(content_of(kind, source), request.headers)

    # -- Auth

    def _auth_page(self, request: HttpRequest, page: str) -> HttpResponse:
        auth = self._addresses().get("auth")
        query = f"?{request.raw_query}" if request.raw_query else ""
        if page == "action" and auth is not None:
            return HttpResponse(302, [("location", f"http://{auth}/emulator/action{query}")])
        found = None if self._provider_page is None else self._provider_page(request, page)
        if found is not None:
            return found
        if page in _AUTH_PAGES or page == "action":
            why = "start the suite with Auth" if auth is None else "the suite's Auth has no such page"
            return text_response(f"`{PREFIX}auth/{page}` is a page of Auth's: {why}", 501)
        return text_response(f"`{request.raw_path[:200]}`: Auth has no such page", 404)

    def _tell(self, text: str) -> None:
        if text not in self._told and len(self._told) < 100:
            self._told.add(text)
            _log.warning("%s", text)


def _is_everywhere(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _literal(value: Any) -> str:
    """JSON that stays JSON wherever a script may stand, also within a page."""
    return json.dumps(value).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
