"""How much one request, one film and the whole server may cost."""

from dataclasses import dataclass

KIBI, MEBI = 2**10, 2**20


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Bounds of the server; whatever goes beyond one of them is refused in one sentence."""

    head: int = 16 * KIBI  # bytes of a request's first line and headers
    body: int = 32 * MEBI  # bytes of a request
    held: int = 512 * MEBI  # bytes of all requests that are read or wait for their answer
    parts: int = 64  # films of a request
    queue: int = 128  # films accepted and not yet answered, of all requests together
    film_processor: float = 20.0  # seconds of computing, to decode and prepare one film
    film_seconds: float = 60.0  # the same by the clock, on a busy machine too
    film_memory: int = 2048 * MEBI  # bytes that a decoder may take beyond what it starts with
    upload_seconds: float = 60.0  # from the first byte of a request to its last; for an answer too
    idle_seconds: float = 10.0  # between two pieces of a request, and before its headers end
    connections: int = 512  # open at a time
    decoders: int = 0  # processes; 0: as many as processor cores
