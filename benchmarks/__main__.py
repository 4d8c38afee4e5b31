"""``python -m benchmarks``: measures with one thread, which has to be said before numpy is imported."""

from __future__ import annotations

import os
import sys

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler of torch says much about itself

from benchmarks.command_line import main  # noqa: E402 (numpy reads the environment when it is imported)

if __name__ == "__main__":
    sys.exit(main())
