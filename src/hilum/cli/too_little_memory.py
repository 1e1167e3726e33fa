"""What libraries say when the system gives them no more memory: one sentence in its place."""

SAID = (
    "can't alloc",  # OpenVINO
    "bad_alloc",
    "bad allocation",
    "failed to map segment",  # the dynamic linker: a library is not loaded
    "cannot allocate memory",
    "can't start new thread",  # Python: a thread needs room for its stack
    "thread creation failed",
    "not enough memory",  # torch
    "insufficient memory",  # OpenCV
    "could not create a primitive",  # oneDNN, within torch
)


def sentence(error: Exception) -> str:
    """What to end with, or "" for an error that is of something else."""
    said = str(error).lower()
    found = next((words for words in SAID if words in said), None)
    if isinstance(error, MemoryError):
        found = found or "no more memory"
    if found is None:
        return ""
    return (
        f"hilum needs more memory than the system gives it; got {found!r}; end other programs, use "
        "fewer --workers or --threads, or raise the limit."
    )
