"""Scripts that open a camera, as users write them: they run once, with or without a guard."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SCRIPT = """
    from rtseg.settings import CameraSettings
    from rtseg.sources.camera import CameraSource
    from tests.support.devices import {opener}

    print("begins", flush=True)
    with CameraSource(0, settings=CameraSettings(), capture={opener}) as source:
        print("frame", next(iter(source)).index >= 0, flush=True)
    print("ends", flush=True)
"""


def run(arguments, *, text=None, cwd=ROOT):
    return subprocess.run(
        [sys.executable, *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        check=False,
    )


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "my script.py"
    path.write_text(textwrap.dedent(SCRIPT.format(opener="steady")))
    return path


def check(done):
    assert done.stdout.split("\n") == ["begins", "frame True", "ends", ""], done.stderr
    assert done.returncode == 0


def test_a_script_without_a_guard_runs_once(script):
    check(run([str(script)]))


def test_a_module_of_a_package_without_a_guard_runs_once(script, tmp_path):
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    script.rename(package / "live.py")
    check(run(["-m", "mine.live"], cwd=tmp_path))


def test_a_script_on_standard_input_runs_once(script):
    check(run(["-"], text=script.read_text()))


def test_a_device_defined_in_the_script_works_with_a_guard(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(
        textwrap.dedent(
            """
            from rtseg.settings import CameraSettings
            from rtseg.sources.camera import CameraSource
            from tests.support.devices import FakeDevice

            def open_mine(device, settings):
                return FakeDevice()

            if __name__ == "__main__":
                print("begins", flush=True)
                with CameraSource(0, settings=CameraSettings(), capture=open_mine) as source:
                    print("frame", next(iter(source)).index >= 0, flush=True)
                print("ends", flush=True)
            """
        )
    )
    check(run([str(path)]))


def test_the_main_module_is_restored_afterwards():
    from rtseg.sources.camera import main_module_hidden

    main = sys.modules["__main__"]
    with pytest.raises(OSError, match="no"), main_module_hidden():
        raise OSError("no" if sys.modules["__main__"] is not main else "not hidden")
    assert sys.modules["__main__"] is main
