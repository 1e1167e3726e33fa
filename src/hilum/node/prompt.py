"""Small messages over TCP without the wait of 40 ms that its two economies make together.

A peer that writes a message in two parts (DCMTK, and Orthanc with it) holds the second one back
until the first is acknowledged (RFC 896), and the acknowledgement waits for something to go with
(RFC 1122, 4.2.3.2): 40 ms for each object stored. pynetdicom leaves both as the system has them.
"""

import socket
from typing import TYPE_CHECKING, Any

from pynetdicom import evt

if TYPE_CHECKING:
    from pynetdicom.transport import AssociationSocket

AT_ONCE = getattr(socket, "TCP_QUICKACK", None)  # Linux; it holds until data was sent again


def _opened(event: "evt.Event") -> None:
    """What is written leaves at once, and a peer that reads no more is not waited for forever."""
    connection = _connection(event)
    if connection is not None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(event.assoc.network_timeout)
    _sent(event)


def _sent(event: "evt.Event") -> None:
    """The first part of what comes next is acknowledged at once."""
    connection = _connection(event)
    if connection is not None and AT_ONCE is not None:
        connection.setsockopt(socket.IPPROTO_TCP, AT_ONCE, 1)


def _connection(event: "evt.Event") -> socket.socket | None:
    """The connection of an association, or None where it has ended."""
    transport: AssociationSocket | None = event.assoc.dul.socket
    connection = transport.socket if transport else None
    return connection if connection is not None and connection.fileno() >= 0 else None


HANDLERS: list[Any] = [(evt.EVT_CONN_OPEN, _opened), (evt.EVT_DATA_SENT, _sent)]
