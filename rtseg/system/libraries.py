"""Find system libraries that a Python package needs and that are missing."""

from __future__ import annotations

import re

from rtseg.errors import BackendError

_PACKAGES = {
    "libGL.so": ("libgl1", "mesa-libGL", "OpenCV"),
    "libEGL.so": ("libegl1", "mesa-libEGL", "OpenCV"),
    "libgthread-2.0.so": ("libglib2.0-0", "glib2", "OpenCV"),
    "libglib-2.0.so": ("libglib2.0-0", "glib2", "OpenCV"),
    "libSM.so": ("libsm6", "libSM", "OpenCV"),
    "libICE.so": ("libice6", "libICE", "OpenCV"),
    "libXext.so": ("libxext6", "libXext", "OpenCV"),
    "libXrender.so": ("libxrender1", "libXrender", "OpenCV"),
    "libX11.so": ("libx11-6", "libX11", "OpenCV"),
    "libxcb": ("libxcb1", "libxcb", "OpenCV"),
    "libgomp.so": ("libgomp1", "libgomp", "PyTorch"),
    "libstdc++.so": ("libstdc++6", "libstdc++", "several packages"),
    "libatomic.so": ("libatomic1", "libatomic", "several packages"),
    "libusb-1.0.so": ("libusb-1.0-0", "libusbx", "OpenCV"),
    "libva.so": ("libva2", "libva", "FFmpeg"),
    "libasound.so": ("libasound2", "alsa-lib", "FFmpeg"),
}
"""By prefix of the library's name: Debian's and Fedora's packages, and who needs it."""

_LINUX = re.compile(r"(\S+\.so\S*?): cannot open shared object file")
_TOO_OLD = re.compile(r"(\S+): version [`'](\S+)' not found")
_MACOS = re.compile(r"Library not loaded: (\S+)")
_WINDOWS = re.compile(r"DLL load failed while importing (\w+)")


def missing_library(error: BaseException) -> BackendError | None:
    """Return the error for an import that failed on a missing system library, else None.

    Args:
        error: an ImportError, or the OSError from loading a library directly.
    """
    if not isinstance(error, (ImportError, OSError)):
        return None
    text = str(error)
    if match := _LINUX.search(text):
        return BackendError(_advice(match[1].rsplit("/", 1)[-1]))
    if match := _TOO_OLD.search(text):
        return BackendError(
            f"{match[1].rsplit('/', 1)[-1]}: is too old on this system: {match[2]} is needed; "
            "install rtseg on a newer one, or in a container"
        )
    if match := _MACOS.search(text):
        return BackendError(
            f"{match[1].rsplit('/', 1)[-1]}: is missing on this system; install the package that "
            "has it (brew), or reinstall rtseg"
        )
    if match := _WINDOWS.search(text):
        return BackendError(
            f"{match[1]}: a Windows library is missing; install Microsoft's Visual C++ "
            "Redistributable (and on N editions the Media Feature Pack)"
        )
    return None


def _advice(library: str) -> str:
    for begin, (debian, fedora, user) in _PACKAGES.items():
        if library.startswith(begin):
            headless = ""
            if user == "OpenCV":
                headless = (
                    "; or, if no window is needed: pip uninstall opencv-python, then pip "
                    "install opencv-python-headless"
                )
            return (
                f"{library}: is missing on this system, and {user} needs it; apt-get install "
                f"{debian} (Debian, Ubuntu), dnf install {fedora} (Fedora){headless}"
            )
    return (
        f"{library}: is missing on this system; install the package that has it (apt-file search "
        f"{library}, dnf provides '*/{library}')"
    )
