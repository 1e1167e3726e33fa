"""Files of the Hugging Face hub: copies that its client has, or fetched where it answers."""

import os
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

TIMEOUT = 3.0  # seconds to wait for the hub's first answer
_TRUE = {"1", "on", "true", "yes"}


def is_off() -> bool:
    """Whether the environment forbids asking the hub."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(os.environ.get(name, "").lower() in _TRUE for name in names)


def copy_of(repository: str, file: str) -> Path | None:
    """The hub client's copy of a repository's file, without asking the hub."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, file, local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def fetch(repository: str, file: str) -> Path | None:
    """The hub client's copy of a repository's file, fetched where the hub answers at once."""
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    if (copy := copy_of(repository, file)) is not None:
        return copy
    if is_off() or not is_reachable(constants.ENDPOINT):
        return None
    try:
        return Path(hf_hub_download(repository, file, etag_timeout=TIMEOUT))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError):
        return None


def is_reachable(endpoint: str) -> bool:
    """Whether a server can be reached at all; the hub's client would retry for 20 seconds."""
    if not endpoint.startswith("https://"):
        return True  # a mirror in the house: let the client find out
    try:
        with urlopen(Request(endpoint, method="HEAD"), timeout=TIMEOUT):  # noqa: S310
            return True
    except HTTPError:
        return True
    except (URLError, OSError):
        return False
