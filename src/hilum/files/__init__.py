"""Files and the machine: cache home, hashes, writes whole or not at all, downloads, cores."""

from hilum.files.disk import atomic_write, cache_home, digest, room, sha256, write_error
from hilum.files.http import HttpLimits, download
from hilum.files.memory import kept_memory
from hilum.files.processors import ahead, cores
from hilum.files.sole import alone
from hilum.files.versions import releases

__all__ = [
    "HttpLimits",
    "ahead",
    "alone",
    "atomic_write",
    "cache_home",
    "cores",
    "digest",
    "download",
    "kept_memory",
    "releases",
    "room",
    "sha256",
    "write_error",
]
