"""hilum doctor: what this machine has, what is missing, and which servers it reaches."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rich.filesize import decimal

from hilum.cli import extras
from hilum.cli.app import Json, Quiet, Verbose, app, terminal
from hilum.cli.terminal import Terminal

if TYPE_CHECKING:
    from hilum.files import CacheUsage
    from hilum.models.weights_check import WeightsAtHand

KINDS = {
    "compiled": "networks compiled for this processor",
    "datasets": "downloaded datasets",
    "engines": "results of the OpenVINO check",
    "features": "features of frozen networks",
    "pixels": "prepared images",
    "source_tasks": "networks trained on source tasks",
    "sources": "decoded images",
    "weights": "weights that you put there",
}  # folder of the cache -> what it holds
NOT_TRIED = "not tried"


@app.command()
def doctor(as_json: Json = False, verbose: Verbose = 0, quiet: Quiet = False) -> None:
    """Check this machine: versions, processor, memory, cache, weights, extras, network."""
    from hilum import files
    from hilum.models import weights_check

    screen = terminal(as_json, verbose, quiet)
    facts = _machine()
    kinds, weights = files.cache_usage(), weights_check.weights_at_hand()
    optional, network, proxies = extras.missing_packages(), _network(), files.proxies()
    screen.table("This machine", ("what", "value"), _shown(facts))
    _show_cache(kinds, facts, screen)
    _show_weights(weights, screen)
    rows = [(name, _installed(missing, name)) for name, missing in optional.items()]
    screen.table("Extras", ("extra", "installed"), rows)
    servers = [(one["host"], one["for"], _answer(one)) for one in network]
    screen.table("Network", ("server", "what for", "reachable"), servers)
    for scheme, proxy in proxies.items():
        screen.say(f"Proxy for {scheme}: {proxy}")
    screen.say(need := _need_of_network(weights))
    screen.give(
        facts
        | {"cache_kinds": kinds, "weights": weights}
        | {"extras": [{"name": name, "missing": gone} for name, gone in optional.items()]}
        | {"network": network, "proxies": proxies, "network_needed": need}
    )


def _machine() -> dict[str, Any]:
    """Versions, processor, device, memory and the cache's place, as --json gives them."""
    import torch

    from hilum import experiment, files
    from hilum.models.runtime import compiling, openvino_check

    engine = "torch"
    if compiling.has_openvino():
        checked = openvino_check.again()
        engine = "openvino" if checked.works else f"torch, since OpenVINO {checked.reason}"
    home = files.cache_home()
    total, free = _memory()
    return experiment.describe_environment() | {
        "engine": engine,
        "device": os.environ.get(compiling.DEVICE, "").strip() or "auto",
        "threads": torch.get_num_threads(),
        "memory_bytes": total,
        "memory_free_bytes": free,
        "cache_folder": str(home),
        "disk_free_bytes": _disk_free(home),
    }


def _memory() -> tuple[int | None, int | None]:
    """Bytes of the machine's memory, and of those what is free; None where that is unknown."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        kibibytes = {line.partition(":")[0]: int(line.split()[1]) for line in lines}
        return 1024 * kibibytes["MemTotal"], 1024 * kibibytes["MemAvailable"]
    except (OSError, ValueError, KeyError, IndexError):
        pass  # not Linux
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None
    except (OSError, ValueError, AttributeError):
        return None, None


def _disk_free(folder: Path) -> int | None:
    """Bytes that are free where the cache is, or will be."""
    there = next((place for place in (folder, *folder.parents) if place.exists()), None)
    try:
        return shutil.disk_usage(there).free if there else None
    except OSError:
        return None


def _shown(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The same for people: sizes in units, without what is unknown."""
    rows = []
    for name, value in facts.items():
        words = name.removesuffix("_bytes").replace("_", " ")
        if value is not None and not name.startswith("cache"):
            rows.append((words, decimal(value) if name.endswith("_bytes") else str(value)))
    return rows


def _show_cache(kinds: "list[CacheUsage]", facts: dict[str, Any], screen: Terminal) -> None:
    rows = [
        (one.kind, KINDS.get(one.kind, ""), f"{one.files:,}", decimal(one.bytes)) for one in kinds
    ]
    screen.table("Cache", ("folder", "what it holds", "files", "size"), rows)
    screen.gap()
    screen.point("Cache folder", facts["cache_folder"])
    total = sum(one.bytes for one in kinds)
    screen.say(
        f"The cache takes {decimal(total)}. It can be deleted at any time, except for "
        "weights/ and datasets/; HILUM_CACHE moves it."
        if kinds
        else "The cache is empty. HILUM_CACHE moves it."
    )


def _show_weights(weights: "list[WeightsAtHand]", screen: Terminal) -> None:
    rows = [(one.backbone, one.origin, decimal(one.bytes), one.state) for one in weights]
    screen.table("Weights on this machine", ("backbone", "from", "size", "state"), rows)
    screen.gap()
    for one in weights:
        screen.point(one.backbone, one.path)
        screen.point("  sha256", one.sha256 or "unknown")


def _installed(missing: list[str], name: str) -> str:
    return f"no: pip install 'hilum[{name}]' ({', '.join(missing)})" if missing else "yes"


def _need_of_network(weights: "list[WeightsAtHand]") -> str:
    """What a network is needed for, given the weights at hand."""
    from hilum import recipes

    default = recipes.load_recipe("default").model.backbone
    if any(one.backbone == default and one.intact is not False for one in weights):
        return (
            f"Your own images need no network: the weights of {default}, the default, are here. "
            "Only public datasets and the weights of other networks are downloaded."
        )
    return (
        f"The weights of {default}, the default network, are not on this machine: a network is "
        "needed once to fetch them, or a file for --weights."
    )


def _answer(server: dict[str, Any]) -> str:
    reason = str(server["reason"])
    return reason if reason.startswith(NOT_TRIED) else f"no: {reason}" if reason else "yes"


def _network() -> list[dict[str, Any]]:
    """The servers that downloads come from, and whether they answer; never an error."""
    from huggingface_hub import constants

    from hilum import files
    from hilum.datasets.registry import DATASETS
    from hilum.models import hub

    purposes: dict[str, list[str]] = {}
    for row in DATASETS.values():
        for item in row.card.download:
            parts = urlsplit(item.url)
            names = purposes.setdefault(f"{parts.scheme}://{parts.netloc}", [])
            names += [row.card.name] * (row.card.name not in names)
    off = hub.is_off()
    asked = [*purposes] if off else [constants.ENDPOINT, *purposes]
    reasons = files.unreachable(asked)
    if off:
        reasons = {constants.ENDPOINT: f"{NOT_TRIED}: HF_HUB_OFFLINE is set"} | reasons
    return [
        {
            "host": urlsplit(url).netloc,
            "for": ", ".join(purposes.get(url, ["weights"])),
            "reachable": not reason,
            "reason": reason,
        }
        for url, reason in reasons.items()
    ]
