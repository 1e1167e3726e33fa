"""Names and addresses on a DICOM network: AE titles, the archive, who may send films.

AE titles: DICOM PS3.5, 6.2, https://dicom.nema.org/medical/dicom/current/output/chtml/part05/sect_6.2.html
"""

import ipaddress
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from hilum.types import HilumError

LONGEST_TITLE = 16  # characters, DICOM PS3.8 9.3.2
TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]+")  # PS3.5 6.2, AE: no backslash, no control characters
HIGHEST_PORT = 65535


def ae_title(text: str, option: str) -> str:
    """A checked AE title; HilumError for one that no peer would take."""
    title = text.strip()
    if not TITLE.fullmatch(title) or len(title) > LONGEST_TITLE:
        raise HilumError(
            f"{option} must hold an AE title of 1 to {LONGEST_TITLE} ASCII characters without a "
            f"backslash; got {text!r}, which has {len(title)}; choose another title."
        )
    return title


@dataclass(frozen=True, slots=True)
class Archive:
    """The application entity that results are sent to."""

    title: str
    host: str
    port: int

    @classmethod
    def of(cls, text: str) -> "Archive":
        """AET@HOST:PORT taken apart; HilumError for anything else."""
        title, _, address = text.partition("@")
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) <= HIGHEST_PORT:
            raise HilumError(
                f"--archive must be AET@HOST:PORT; got {text!r}; write for instance "
                "ORTHANC@127.0.0.1:4242."
            )
        return cls(ae_title(title, "--archive"), host.strip("[]"), int(port))


@dataclass(frozen=True, slots=True)
class Peers:
    """Who may open an association: AE titles with their addresses; none: anyone who can reach."""

    addresses: dict[str, frozenset[str]]

    @classmethod
    def of(cls, texts: Sequence[str], host: str, archive: Archive | None = None) -> "Peers":
        """AET@HOST of every peer; HilumError where one is wrong, or is needed and not there.

        The archive that gets the results is a peer too: its storage commitments come from it.
        """
        if not texts and not is_loopback(host):
            raise HilumError(
                f"--host {host} lets other machines send films, which needs their names; got no "
                "--peer; give --peer AET@HOST for each, or leave --host at 127.0.0.1."
            )
        addresses: dict[str, frozenset[str]] = {}
        for text in texts:
            title, _, name = text.partition("@")
            title = ae_title(title, "--peer")
            addresses[title] = addresses.get(title, frozenset()) | _resolved(text, name)
        if texts and archive:
            with suppress(OSError, UnicodeError):  # without an address, it cannot call either
                known = addresses.get(archive.title, frozenset())
                addresses[archive.title] = known | _addresses(archive.host)
        return cls(addresses)

    def known(self, title: str, address: str) -> bool:
        """Whether a peer of this AE title may call from this address."""
        return not self.addresses or address in self.addresses.get(title.strip(), ())


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _resolved(text: str, name: str) -> frozenset[str]:
    try:
        if not name:
            raise OSError("no host")
        return _addresses(name)
    except (OSError, UnicodeError):
        raise HilumError(
            f"--peer must be AET@HOST with a host that has an address; got {text!r}; write for "
            "instance MODALITY@127.0.0.1."
        ) from None


def _addresses(name: str) -> frozenset[str]:
    return frozenset(str(row[4][0]) for row in socket.getaddrinfo(name, None))
