"""Whether OpenVINO survives on this processor: tried once, in a child process, and remembered.

Its compiler has been killed by a signal on some virtual machines
(https://github.com/openvinotoolkit/openvino/issues/35943), and a process cannot survive that.
"""

import json
import platform
import signal
import subprocess
import sys
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from hilum import files
from hilum.types import HilumError, HilumWarning

CHILD = Path(__file__).with_name("openvino_child.py")
SECONDS = 120  # about one is usual
_CPUINFO = Path("/proc/cpuinfo")
# what differs from core to core or from moment to moment
_VARIES = ("processor", "mhz", "bogomips", "core", "apicid", "physical", "siblings")
_STOPPED = ("SIGINT", "SIGTERM", "SIGHUP")  # by a person or the system: says nothing of OpenVINO
_WINDOWS_FAULT = 0xC0000000  # NTSTATUS: exit codes from here on are crashes


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """Whether OpenVINO may compute here, and if not, what became of the child."""

    works: bool
    reason: str = ""


def outcome() -> CheckOutcome:
    """What is known of this processor and this OpenVINO; the first call ever finds it out.

    Warns once, when it is found out, that torch computes instead.
    """
    return _cached_outcome(_place())


def again() -> CheckOutcome:
    """The same, found out again."""
    _cached_outcome.cache_clear()
    with suppress(OSError):
        _place().unlink()
    return outcome()


def why_torch_computes(reason: str) -> str:
    """What a person should know where OpenVINO is not used."""
    return (
        f"OpenVINO {version('openvino')} {reason} when it compiled a small network on "
        "this processor. Torch computes instead, which is slower. `hilum doctor` tries "
        "again."
    )


@cache
def _cached_outcome(place: Path) -> CheckOutcome:
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(place.read_text())
        return CheckOutcome(bool(known["works"]), str(known["reason"]))
    outcome = _try_in_child()
    if outcome is None:
        return CheckOutcome(works=True)  # not known: as if nobody had asked
    with suppress(HilumError), files.atomic_write(place) as path:  # it is asked again next time
        path.write_text(json.dumps({"works": outcome.works, "reason": outcome.reason}) + "\n")
    if not outcome.works:
        warnings.warn(why_torch_computes(outcome.reason), HilumWarning, stacklevel=2)
    return outcome


def _try_in_child() -> CheckOutcome | None:
    """The child's end; None where that says nothing: it could not start, or was stopped."""
    try:
        # no folder of a script on the path: modules next to this one have names that others have
        done = subprocess.run(  # noqa: S603  (our own script)
            [sys.executable, "-P", str(CHILD)], capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return CheckOutcome(works=False, reason=f"did not end within {SECONDS} s")
    except OSError:
        return None
    if done.returncode == 0:
        return CheckOutcome(works=True)
    name = _signal(done.returncode)
    if name is None or name in _STOPPED:
        return None
    return CheckOutcome(works=False, reason=f"was ended by {name}")


def _signal(code: int) -> str | None:
    """The signal that ended a process, by its exit code; a shell between adds 128."""
    if code >= _WINDOWS_FAULT:
        return f"fault {code:#x}"
    number = -code if code < 0 else code - 128
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}" if code < 0 else None


def _place() -> Path:
    """Where the outcome is remembered: by processor, system and version."""
    key = files.stable_digest(_processor(), platform.platform(), version("openvino"))
    return files.cache_home() / "engines" / f"openvino-{key}.json"


@cache
def _processor() -> str:
    """The first core's entry of /proc/cpuinfo, or what Python knows.

    Flags too, not the name alone: they show what a virtual machine hides of its processor.
    """
    lines = []
    with suppress(OSError), _CPUINFO.open(encoding="utf-8", errors="replace") as cpuinfo:
        for line in cpuinfo:
            if not line.strip():
                break
            if not any(word in line.partition(":")[0].lower() for word in _VARIES):
                lines.append(line.strip())
    return "\n".join(lines) or f"{platform.machine()} {platform.processor()}"
