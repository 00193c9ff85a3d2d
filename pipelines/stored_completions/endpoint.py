"""Where the API is, and who asks it: the one place that knows the headers."""

import platform
import re
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_address

import httpx

from stored_completions import __version__
from stored_completions.errors import UsageError

_AZURE = re.compile(r"\.azure\.(com|us|cn)$")


@dataclass(frozen=True)
class Endpoint:
    """Where and as whom. A setting that cannot work is a UsageError here, before anything is sent."""

    api_key: str = field(repr=False)
    base_url: str = "https://api.openai.com/v1"
    organization: str | None = None
    project: str | None = None
    api_version: str | None = None
    insecure_http: bool = False

    def __post_init__(self) -> None:
        _check_key(self.api_key)
        _check_url(self.base_url, self.insecure_http)
        for name in ("organization", "project", "api_version"):
            if not re.fullmatch(r"[!-~]+", getattr(self, name) or "-"):
                raise UsageError(f"The {name} must be plain ASCII without spaces: set it again.")

    @property
    def place(self) -> str:
        """The base URL in the one form that names it."""
        return self.base_url.rstrip("/")

    @cached_property
    def url(self) -> httpx.URL:
        return httpx.URL(self.place)

    @property
    def is_azure(self) -> bool:
        return bool(self.api_version) or _AZURE.search(self.url.host) is not None

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries, the key among it."""
        key = {"api-key": self.api_key} if self.is_azure else {"Authorization": f"Bearer {self.api_key}"}
        account = {"OpenAI-Organization": self.organization, "OpenAI-Project": self.project}
        return {
            **key,
            **{name: value for name, value in account.items() if value},
            "User-Agent": _user_agent(),
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        }


def _check_key(key: str) -> None:
    if not key:
        raise UsageError(
            "There is no API key: set OPENAI_API_KEY, or api_key in .dlt/secrets.toml. "
            "(--api-key is not a flag: others could read it in the list of processes.)"
        )
    if not re.fullmatch(r"[!-~]+", key):
        raise UsageError(
            "The API key contains a space, a line break or a character that is not ASCII, as a copy can leave "
            "behind: set OPENAI_API_KEY, or api_key in .dlt/secrets.toml, to the key alone."
        )


def _check_url(text: str, insecure_http: bool) -> None:
    if "@" in text:
        raise UsageError("The base URL must not contain a user or password: give the key as OPENAI_API_KEY.")
    if not re.match(r"https?://[^/?#\s]", text) or re.search(r"\s", text):
        raise UsageError("The base URL (OPENAI_BASE_URL) must look like https://api.openai.com/v1.")
    if "?" in text or "#" in text:
        raise UsageError(
            "The base URL must end with its path: Azure's api-version is the setting api_version."
        )
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise UsageError("The base URL (OPENAI_BASE_URL) has a host or port that is none.") from None
    if url.scheme == "http" and not insecure_http and not is_loopback(url.host):
        raise UsageError(
            f"http://{url.host} would carry the key unencrypted: use https, or --insecure-http on a network "
            f"that you trust."
        )


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _user_agent() -> str:
    python = ".".join(platform.python_version_tuple()[:2])
    return f"stored-completions/{__version__} python/{python} httpx/{httpx.__version__}"
