"""Whether servers answer, quickly and without ever failing; and which proxies are set."""

import threading
from collections.abc import Sequence
from urllib.parse import urlsplit

PATIENCE = 3.0  # seconds for name, connection and first answer together


def unreachable(urls: Sequence[str], seconds: float = PATIENCE) -> dict[str, str]:
    """Each address -> why it cannot be reached, "" where it answers, whatever the answer is.

    All are asked at once. A name that no server resolves can block longer than any timeout of a
    socket, so that each is asked by a thread of its own, which is left behind after `seconds`.
    """
    reasons = dict.fromkeys(urls, f"no answer within {seconds:g} s")
    threads = [
        threading.Thread(target=_ask, args=(url, seconds, reasons), daemon=True) for url in reasons
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
    return dict(reasons)


def _ask(url: str, seconds: float, reasons: dict[str, str]) -> None:
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    try:
        with urlopen(Request(url, method="HEAD"), timeout=seconds):  # noqa: S310 - our own addresses
            reasons[url] = ""
    except HTTPError as error:
        proxy_refuses = error.code == 407
        reasons[url] = "the proxy asks for a password (HTTP 407)" if proxy_refuses else ""
    except (OSError, HTTPException, ValueError) as error:
        reasons[url] = _in_words(error)


def _in_words(error: Exception) -> str:
    cause = getattr(error, "reason", None) or error  # urllib wraps what the system says
    return str(getattr(cause, "strerror", None) or cause) or type(error).__name__


def proxies() -> dict[str, str]:
    """Scheme -> proxy as downloads use it, without its user and password."""
    from urllib.request import getproxies

    return {scheme: _without_user(proxy) for scheme, proxy in sorted(getproxies().items())}


def _without_user(proxy: str) -> str:
    """The address alone; "no" is a list of hosts and stays as it is."""
    try:
        parts = urlsplit(proxy if "://" in proxy else f"//{proxy}")
    except ValueError:
        return "not an address"
    if "@" not in parts.netloc:
        return proxy
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host).geturl().removeprefix("//")
