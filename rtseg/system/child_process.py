"""Start child processes safely, whatever script rtseg is imported by."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_main_hidden = threading.Lock()


@contextmanager
def main_module_hidden() -> Iterator[None]:
    """Have processes that are spawned inside the block leave the user's script alone.

    `multiprocessing` imports the parent's main module in a spawned child, in case that what it is
    to call is defined there. A script without `if __name__ == "__main__":` is then run twice, or
    fails in the middle. Our children call only what lies in modules, so they need none of it:
    while the child is described, an empty module stands in for the main one.
    """
    with _main_hidden:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
