"""The tree of errors, their exit codes, and lists of allowed values."""

import re

import pytest

from rtseg import errors


def drawn_tree():
    """Parse name -> (depth, exit code) from the tree in the module's docstring."""
    lines = re.findall(r"^ *([│├└─ ]*)(\w+Error) +(\d+)", errors.__doc__, re.MULTILINE)
    return {name: (len(branch) // 4, int(code)) for branch, name, code in lines}


def test_the_documented_tree_is_the_real_one():
    real = {
        cls.__name__: (len(cls.__mro__) - len(Exception.__mro__) - 1, cls.exit_code)
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, errors.RtsegError)
    }
    assert drawn_tree() == real


def test_every_error_is_documented_and_exits_with_a_failure_code():
    for cls in vars(errors).values():
        if isinstance(cls, type) and issubclass(cls, errors.RtsegError):
            assert cls.exit_code >= 1
            assert cls.__doc__


def test_allowed_values_are_listed():
    assert errors.listed(["a", 2]) == "a, 2"
    with pytest.raises(errors.RtsegError):
        raise errors.NoVideoError("no video")
