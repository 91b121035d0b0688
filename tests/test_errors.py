import re

import pytest

from rtseg import errors


def drawn_tree():
    """name -> (depth, exit code), as the module's docstring draws it."""
    lines = re.findall(r"^ *([│├└─ ]*)(\w+Error) +(\d+)", errors.__doc__, re.MULTILINE)
    return {name: (len(branch) // 4, int(code)) for branch, name, code in lines}


def test_the_drawn_tree_is_the_real_one():
    real = {
        cls.__name__: (len(cls.__mro__) - len(Exception.__mro__) - 1, cls.exit_code)
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, errors.RtsegError)
    }
    assert drawn_tree() == real


def test_no_error_looks_like_success_or_like_pythons_own():
    for cls in vars(errors).values():
        if isinstance(cls, type) and issubclass(cls, errors.RtsegError):
            assert cls.exit_code >= 1
            assert cls.__doc__


def test_listed():
    assert errors.listed(["a", 2]) == "a, 2"
    with pytest.raises(errors.RtsegError):
        raise errors.NoVideoError("no video")
