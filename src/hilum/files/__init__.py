"""Files and the machine: cache home, hashes, writes whole or not at all, downloads, cores."""

from hilum.files.cache_usage import CacheUsage, cache_usage
from hilum.files.disk import (
    atomic_write,
    cache_home,
    ensure_writable_folder,
    remove_unfinished,
    sha256,
    stable_digest,
    write_error,
)
from hilum.files.download import HttpLimits, download
from hilum.files.executors import Executor, ProcessExecutor, SerialExecutor, executor_of
from hilum.files.lock import alone, holding, waiting
from hilum.files.memory import retain_freed_memory
from hilum.files.network import proxies, unreachable
from hilum.files.ours import require_own, require_own_export, require_own_run
from hilum.files.parallel import (
    available_cpus,
    limit_threads,
    mapped_ahead,
    prefetch,
    single_threaded_products,
    wanted_threads,
)
from hilum.files.path_list import PathList
from hilum.files.scratch import scratch_cache
from hilum.files.versions import releases
from hilum.files.whole_folder import moved_when_whole, replaced_folder
from hilum.files.worker import WorkerLostError

__all__ = [
    "CacheUsage",
    "Executor",
    "HttpLimits",
    "PathList",
    "ProcessExecutor",
    "SerialExecutor",
    "WorkerLostError",
    "alone",
    "atomic_write",
    "available_cpus",
    "cache_home",
    "cache_usage",
    "download",
    "ensure_writable_folder",
    "executor_of",
    "holding",
    "limit_threads",
    "mapped_ahead",
    "moved_when_whole",
    "prefetch",
    "proxies",
    "releases",
    "remove_unfinished",
    "replaced_folder",
    "require_own",
    "require_own_export",
    "require_own_run",
    "retain_freed_memory",
    "scratch_cache",
    "sha256",
    "single_threaded_products",
    "stable_digest",
    "unreachable",
    "waiting",
    "wanted_threads",
    "write_error",
]
