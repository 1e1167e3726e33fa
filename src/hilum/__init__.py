"""hilum: transfer learning on chest radiographs and lung CT that is honest about what it learnt."""

import os

__version__ = "0.1.0"

# OpenMP's threads sleep, not spin, until the others have done their part of a layer: on a busy
# machine a spinning one holds the core that the others need. Here, since the library reads it when
# torch loads it. What the user has set stays (OpenMP 5.2, section 21.7; GNU, Intel and LLVM).
_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")
if not any(name in os.environ for name in _WAITING):
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
