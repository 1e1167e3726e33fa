"""Replicas as workers of Ray Train: each a process, on this machine or on others of a cluster.

The job and its outcome are files of a folder that all machines share; Ray is connected already.
https://docs.ray.io/en/latest/train/getting-started-pytorch.html
"""

import os
import pickle
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torch.distributed
from torch import nn

from hilum import files
from hilum.files.ray_executor import CommandPlace, listens_here_alone
from hilum.files.worker import WorkerLostError
from hilum.progress import Advance
from hilum.training import loop
from hilum.training.batches import PixelBatches
from hilum.training.loop import LoopConfig, TrainingHistory
from hilum.training.replicas import InTurn, OneReplica
from hilum.types import HilumError

TRIES = 3  # groups of workers that may be lost at one stage
WATCHED = 1.0  # seconds between two looks at how many epochs are done
JOB, COURSE, EPOCHS, PIXELS, MEETING = "job", "course", "epochs", "pixels.npy", "meeting"


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A network to train, its images, and how; `replicas` says into how many parts, and the seed.

    Network and images are on the processor, and are moved to `device` where they are used.
    """

    network: nn.Module
    batches: PixelBatches
    plan: LoopConfig
    replicas: InTurn

    @property
    def device(self) -> str:
        """Where the network is trained."""
        return self.batches.device


def train_job(job: TrainingJob, shared: Path | None, advance: Advance) -> TrainingHistory:
    """Train the network of a job, its parts in turn here or each by a worker of Ray Train.

    `shared` is a folder for Ray's files; None: in turn. Raises HilumError where training does, or
    where Ray has too few cores or loses its workers.
    """
    if shared is None or job.replicas.count == 1:
        return _train(job, job.replicas, advance)
    _require_cores(job)
    files.ensure_writable_folder(shared)
    with TemporaryDirectory(prefix="ray-", dir=shared) as name:
        folder = Path(name).resolve()  # pyarrow takes a relative path for an address
        _write_job(job, folder)
        with _watched(folder / EPOCHS, advance):
            _fit(job, folder)
        course: TrainingHistory = pickle.loads((folder / COURSE).read_bytes())  # noqa: S301 - ours
    job.network.load_state_dict(course.state)
    return course


def _train(job: TrainingJob, replicas: InTurn | OneReplica, advance: Advance) -> TrainingHistory:
    network, weights = job.network.to(job.device), job.plan.weights
    weights = None if weights is None else weights.to(job.device)
    batches = replace(job.batches, replicas=replicas)
    plan = replace(job.plan, replicas=replicas, weights=weights)
    return loop.train_network(network, batches, plan, advance)


def _require_cores(job: TrainingJob) -> None:
    import ray

    cores, found = job.replicas.count * files.available_cpus(), ray.cluster_resources()
    if found.get("CPU", 0) < cores:
        raise HilumError(
            f"{job.replicas.count} replicas of {files.available_cpus()} cores each need a Ray of "
            f"{cores} cores; got {found.get('CPU', 0):g}; set train.replicas or --threads lower."
        )
    if job.device != "cpu" and found.get("GPU", 0) < job.replicas.count:
        raise HilumError(
            f"{job.replicas.count} replicas on {job.device} need a Ray with as many cards; got "
            f"{found.get('GPU', 0):g}; set train.replicas lower or HILUM_DEVICE=cpu."
        )


def _write_job(job: TrainingJob, folder: Path) -> None:
    """Prepared pixels stay where they are mapped from; those made for this run are written."""
    stack = job.batches.stack
    if isinstance(stack, np.memmap) and stack.filename is not None:
        pixels: Any = (str(stack.filename), stack.shape)
    else:
        np.save(folder / PIXELS, stack)
        pixels = None
    batches = replace(job.batches, stack=np.zeros((0, 0, 0), np.uint8))
    content = pickle.dumps((replace(job, batches=batches), pixels))
    with files.atomic_write(folder / JOB, synced=False) as path:
        path.write_bytes(content)


def _read_job(folder: Path) -> TrainingJob:
    job, pixels = pickle.loads((folder / JOB).read_bytes())  # noqa: S301 - ours
    if pixels is None:
        stack = np.load(folder / PIXELS, mmap_mode="r")
    else:
        stack = np.memmap(pixels[0], np.uint8, "r", shape=pixels[1])
    return replace(job, batches=replace(job.batches, stack=stack))


def _fit(job: TrainingJob, folder: Path) -> None:
    """Have Ray Train's workers train the job, and again from its start where one is lost."""
    from ray.train import TrainingFailedError

    for last in range(TRIES - 1, -1, -1):
        try:
            _trainer(job, folder, f"{MEETING}{last}").fit()
            return
        except TrainingFailedError as error:
            failures = getattr(error, "worker_failures", {})
            for failure in failures.values():
                if isinstance(failure, HilumError):
                    raise failure from None
            if not last:
                raise WorkerLostError(str(error).strip().splitlines()[-1]) from None


def _trainer(job: TrainingJob, folder: Path, meeting: str) -> Any:
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    card, cores, alone = job.device != "cpu", files.available_cpus(), listens_here_alone()
    library = "nccl" if card else "gloo"
    return TorchTrainer(
        _work,
        train_loop_config={
            "folder": str(folder),
            "place": CommandPlace.here(cores),
            "meeting": (library, meeting) if alone else None,
        },
        torch_config=_no_meeting() if alone else _rays_meeting(library),
        scaling_config=ScalingConfig(
            num_workers=job.replicas.count,
            use_gpu=card,
            resources_per_worker={"CPU": cores, **({"GPU": 1} if card else {})},
        ),
        run_config=RunConfig(name=meeting, storage_path=str(folder / "ray")),
    )


def _rays_meeting(library: str) -> Any:
    """Ray's own: workers find each other at a port of the first one."""
    from ray.train.torch import TorchConfig

    return TorchConfig(backend=library)


def _no_meeting() -> Any:
    """None: torch's port would listen on every address, where Ray itself does on one."""
    from ray.train.backend import Backend
    from ray.train.torch import TorchConfig

    class MeetByFile(TorchConfig):  # type: ignore[misc]  # ray has no types
        @property
        def backend_cls(self) -> type[Backend]:
            return Backend

    return MeetByFile()


def _meet(library: str, file: Path, rank: int, count: int) -> None:
    """Join the process group by a file, on the loopback interface alone."""
    loopback = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    os.environ |= dict.fromkeys(("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"), loopback[0])
    torch.distributed.init_process_group(
        library, init_method=f"file://{file}", rank=rank, world_size=count
    )


def _work(config: dict[str, Any]) -> None:
    """One worker: replica number its rank; the first one writes what came of it."""
    import ray.train
    from ray.train.torch import get_device

    folder, context = Path(config["folder"]), ray.train.get_context()
    rank, count = context.get_world_rank(), context.get_world_size()
    config["place"].take_up()
    if config["meeting"] is not None:
        library, meeting = config["meeting"]
        _meet(library, folder / meeting, rank, count)
    job = _read_job(folder)
    job = replace(job, batches=replace(job.batches, device=str(get_device())))
    replicas = OneReplica(count, rank, job.replicas.seed)

    def advance(done: int, total: int) -> None:
        if rank == 0:
            with files.atomic_write(folder / EPOCHS, synced=False) as path:
                path.write_text(f"{done} {total}")

    course = _train(job, replicas, advance)
    if rank == 0:
        course.state = {name: value.cpu() for name, value in course.state.items()}
        with files.atomic_write(folder / COURSE, synced=False) as path:
            path.write_bytes(pickle.dumps(course))


@contextmanager
def _watched(path: Path, advance: Advance) -> Iterator[None]:
    """Inside the block, epochs that the first worker counts are shown here."""
    over = threading.Event()

    def watch() -> None:
        seen = ""
        while not over.wait(WATCHED):
            with suppress(OSError, ValueError):
                if (text := path.read_text()) != seen:
                    seen = text
                    done, total = map(int, text.split())
                    advance(done, total)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
