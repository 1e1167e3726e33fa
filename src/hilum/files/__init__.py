"""Files: the cache home, hashes, writes that happen whole or not at all, and downloads."""

from hilum.files.disk import atomic_write, cache_home, digest, sha256, write_error
from hilum.files.http import HttpLimits, download

__all__ = [
    "HttpLimits",
    "atomic_write",
    "cache_home",
    "digest",
    "download",
    "sha256",
    "write_error",
]
