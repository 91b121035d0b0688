"""Start child processes safely from any user's script."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_main_hidden = threading.Lock()


@contextmanager
def main_module_hidden() -> Iterator[None]:
    """Keep processes spawned inside the block from importing the user's script.

    `multiprocessing` imports the parent's main module in a spawned child, in case the function to
    call is defined there. A script without `if __name__ == "__main__":` then runs twice or fails.
    Our children only call functions of modules, so they do not need it: while the child is being
    started, an empty module replaces the main one.
    """
    with _main_hidden:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
