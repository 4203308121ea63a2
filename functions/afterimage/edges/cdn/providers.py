"""Which network stands in front, from the environment: one of the three, or one that a deployment brings itself."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Mapping
from typing import Final

from afterimage.edges.cdn import cloudflare, cloudfront, vercel
from afterimage.edges.cdn.port import CdnProvider
from afterimage.edges.cdn.signature_v4 import AwsKeys
from afterimage.settings import SettingsError

_SECRETS: Final = ("CLOUDFLARE_API_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "VERCEL_TOKEN")
_CARRIED: Final = re.compile(r"[!-~]+")
_NOT_GIVEN: Final = "not-given-to-this-function"
_FACTORY: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def provider_from(environment: Mapping[str, str] | None = None, *, with_secrets: bool = True) -> CdnProvider | None:
    """The network that `DEFAULT_CDN` names; None where nothing stands in front. SettingsError says what is missing.

    Without secrets it can only say what an answer has to carry, which is all that the origin needs of it.
    """
    variables = os.environ if environment is None else environment
    if not with_secrets:
        own = [name.strip() for name in variables.get("CDN_SECRETS", "").split(",") if name.strip()]
        variables = {**variables, **dict.fromkeys([*_SECRETS, *own], _NOT_GIVEN), "AWS_SESSION_TOKEN": ""}
    name = variables.get("DEFAULT_CDN", "").strip()
    if not name:
        return None
    if name in _MADE_HERE:
        return _MADE_HERE[name](variables)
    if not _FACTORY.fullmatch(name):
        known = ", ".join(f"`{known}`" for known in _MADE_HERE)
        raise SettingsError(f"DEFAULT_CDN is `{name}`; it must be {known}, or `module:factory` of your own")
    module, _, factory = name.partition(":")
    try:
        make = getattr(importlib.import_module(module), factory)
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"DEFAULT_CDN is `{name}`, which cannot be imported: {error}") from error
    made: CdnProvider = make(variables)
    return made


def _needed(variables: Mapping[str, str], name: str) -> str:
    value = variables.get(name, "").strip()
    if not value:
        raise SettingsError(f"DEFAULT_CDN is `{variables.get('DEFAULT_CDN')}`, which needs `{name}`; set it")
    return value


def _secret(variables: Mapping[str, str], name: str) -> str:
    """What a header can carry. Anything else is refused here: further on, the fault would show the secret."""
    value = _needed(variables, name)
    if not _CARRIED.fullmatch(value):
        raise SettingsError(f"`{name}` holds spaces, line breaks or letters outside ASCII; set the secret alone, anew")
    return value


def _base_url(variables: Mapping[str, str]) -> str:
    url = _needed(variables, "CDN_BASE_URL").rstrip("/")
    if not re.fullmatch(r"https?://[^/\s]+", url):
        raise SettingsError(f"CDN_BASE_URL is `{url}`; write the scheme and the host alone, as https://cdn.example.com")
    return url


def _varies(variables: Mapping[str, str]) -> bool:
    text = variables.get("CDN_VARIES", "").strip().lower()
    if text not in {"", "true", "false"}:
        raise SettingsError(f"CDN_VARIES is `{text}`; it must be `true` or `false`")
    return text == "true"


def _cloudflare(variables: Mapping[str, str]) -> CdnProvider:
    plan = variables.get("CLOUDFLARE_PLAN", "").strip() or "free"
    if plan not in cloudflare.PLANS:
        raise SettingsError(f"CLOUDFLARE_PLAN is `{plan}`; it must be one of {', '.join(cloudflare.PLANS)}")
    return cloudflare.Cloudflare(
        zone=_needed(variables, "CLOUDFLARE_ZONE_ID"),
        token=_secret(variables, "CLOUDFLARE_API_TOKEN"),
        base_url=_base_url(variables),
        plan=plan,
        varies=_varies(variables),
        api=variables.get("CDN_API_URL", "").rstrip("/") or cloudflare.API,
    )


def _cloudfront(variables: Mapping[str, str]) -> CdnProvider:
    api = variables.get("CDN_API_URL", "").rstrip("/")
    return cloudfront.CloudFront(
        distribution=_needed(variables, "CLOUDFRONT_DISTRIBUTION_ID"),
        keys=AwsKeys(
            identifier=_secret(variables, "AWS_ACCESS_KEY_ID"),
            secret=_secret(variables, "AWS_SECRET_ACCESS_KEY"),
            session_token=_secret(variables, "AWS_SESSION_TOKEN")
            if variables.get("AWS_SESSION_TOKEN", "").strip()
            else "",
        ),
        base_url=_base_url(variables),
        varies=_varies(variables),
        api=api or cloudfront.API,
        metrics_api=api or cloudfront.METRICS_API,
    )


def _vercel(variables: Mapping[str, str]) -> CdnProvider:
    return vercel.Vercel(
        project=_needed(variables, "VERCEL_PROJECT_ID"),
        token=_secret(variables, "VERCEL_TOKEN"),
        base_url=_base_url(variables),
        team=variables.get("VERCEL_TEAM_ID", "").strip(),
        varies=_varies(variables),
        api=variables.get("CDN_API_URL", "").rstrip("/") or vercel.API,
    )


_MADE_HERE: Final[Mapping[str, Callable[[Mapping[str, str]], CdnProvider]]] = {
    "cloudflare": _cloudflare,
    "cloudfront": _cloudfront,
    "vercel": _vercel,
}
