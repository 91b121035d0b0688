"""Build the stub of libcuda that tests use instead of a driver."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

SOURCE = Path(__file__).with_name("libcuda.c")

# 801 is CUDA_ERROR_NOT_SUPPORTED, returned by every function that the stub does not implement.
_NOT_THERE = "int {name}(void) {{ return 801; }}\n"


def header_folder() -> Path | None:
    """The folder of cuda.h, from a CUDA toolkit or from PyTorch; None if there is none."""
    site = Path(sysconfig.get_paths()["purelib"])
    candidates = [
        *sorted(Path("/usr/local").glob("cuda*/include"), reverse=True),
        *sorted(site.glob("nvidia/*/include"), reverse=True),
        site / "triton" / "backends" / "nvidia" / "include",
    ]
    nvcc = shutil.which("nvcc")
    if nvcc is not None:
        candidates.insert(0, Path(nvcc).resolve().parent.parent / "include")
    return next((folder for folder in candidates if (folder / "cuda.h").is_file()), None)


def compiler() -> str | None:
    """A C compiler's path; None if there is none."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def library(folder: Path) -> Path:
    """Build `libcuda.so.1` in a folder, and a link to it for linkers; returns its path.

    Raises:
        subprocess.CalledProcessError: it does not compile.
    """
    include, cc = header_folder(), compiler()
    assert include is not None
    assert cc is not None
    built = folder / "libcuda.so.1"
    rest = folder / "rest.c"
    rest.write_text("".join(_NOT_THERE.format(name=name) for name in _missing(include)))
    command = [cc, "-shared", "-fPIC", "-O1", f"-I{include}", str(SOURCE), str(rest)]
    command += ["-o", str(built), "-Wl,-soname,libcuda.so.1", "-lpthread", "-ldl"]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    link = folder / "libcuda.so"
    link.unlink(missing_ok=True)
    link.symlink_to(built.name)
    return built


def _missing(include: Path) -> list[str]:
    """The driver's functions that the stub does not define, by the names that programs link."""
    header = (include / "cuda.h").read_text(encoding="utf-8", errors="replace")
    # programs link the newest form of a function, which the header names by a macro
    newest = dict(re.findall(r"#\s*define\s+(cu\w+)\s+(?:__\w+\()?(cu\w+_v\d+)\b", header))
    declared = set(re.findall(r"\bCUDAAPI\s+(cu\w+)\s*\(", header))
    declared |= {"cuProfilerInitialize", "cuProfilerStart", "cuProfilerStop"}  # cudaProfiler.h's
    source = SOURCE.read_text(encoding="utf-8")
    defined = set(re.findall(r"\bCUDAAPI\s+(cu\w+)\s*\(", source))
    defined |= {newest.get(name, name) for name in defined}
    defined |= {"cuGetProcAddress_v2"}
    return sorted({newest.get(name, name) for name in declared} - defined)
