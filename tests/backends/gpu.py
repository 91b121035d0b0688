"""Whether the tests marked `gpu` can run."""

import os

import pytest

from rtseg.system.nvidia import nvidia_driver_problem


def require_gpu() -> None:
    """Skip the test without an NVIDIA GPU; fail if RTSEG_REQUIRE_GPU=1 says that there is one."""
    problem = nvidia_driver_problem()
    if problem is None:
        return
    if os.environ.get("RTSEG_REQUIRE_GPU") == "1":
        pytest.fail(f"RTSEG_REQUIRE_GPU=1, but {problem}")
    pytest.skip(problem)
