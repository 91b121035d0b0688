"""The folder of engines: who may write to it, who waits for whom, what is deleted."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rtseg.backends.tensorrt import (
    engine_folder,
    list_engines,
    remove_engines,
)
from rtseg.errors import BackendError
from tests.backends.tensorrt.opened import agreeing
from tests.backends.tensorrt.prepared import RECIPE, find_engine, prepare_engine
from tests.support.exported import tiny_onnx

pytestmark = pytest.mark.usefixtures("models", "folder")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_folder_that_others_can_write_to_is_refused(one_machine, folder):
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(BackendError, match="chmod 700"):
        prepare_engine(tiny_onnx(), RECIPE)
    assert one_machine.behaviour.builds == 0


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_engines_in_a_folder_that_others_can_write_to_are_not_used(one_machine, folder):
    prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    folder.chmod(0o775)
    with pytest.raises(BackendError, match="chmod 700"):
        find_engine(tiny_onnx(), RECIPE)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners of POSIX")
def test_a_folder_of_another_user_is_refused(one_machine, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    with pytest.raises(BackendError, match="belongs to user"):
        prepare_engine(tiny_onnx(), RECIPE)


def test_a_folder_that_cannot_be_created_is_reported(one_machine, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RTSEG_ENGINE_DIR", str(tmp_path / "file" / "engines"))
    with pytest.raises(BackendError, match="cannot be created"):
        prepare_engine(tiny_onnx(), RECIPE)


RACER = """
import sys
import pytest
from pathlib import Path
from rtseg.backends.tensorrt import EngineRecipe, prepare_engine, this_machine
from rtseg.export import read_onnx
from tests.support.fakes.machine import install

with pytest.MonkeyPatch.context() as patch:
    machine = install(patch)
    machine.behaviour.build_seconds = 0.6
    builds = Path(sys.argv[2])
    machine.behaviour.on_build = lambda: builds.open("a").write("built\\n")
    print("ready", flush=True)
    sys.stdin.readline()
    recipe = EngineRecipe(name="tiny")
    engine = prepare_engine(
        read_onnx(sys.argv[1]), recipe, this_machine(), parity_check=lambda *_: 1.0
    )
    print(engine.manifest.sha256, len(engine.read()), flush=True)
"""


def test_two_racing_processes_build_once_and_share_the_engine(tmp_path):
    model, builds = tmp_path / "tiny.onnx", tmp_path / "builds"
    model.write_bytes(tiny_onnx().data)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(model), str(builds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        for _ in range(2)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    outputs = [racer.communicate(timeout=60)[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    assert builds.read_text() == "built\n"
    assert outputs[0] == outputs[1] != ""


def test_waiting_for_the_lock_has_a_time_limit(tmp_path):
    from rtseg.system.cache import locked

    path, inside, leave = tmp_path / "x.lock", threading.Event(), threading.Event()

    def hold():
        with locked(path, timeout_seconds=5):
            inside.set()
            leave.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(5)
    with pytest.raises(BackendError, match="another process"), locked(path, timeout_seconds=0.2):
        pass
    leave.set()
    holder.join()
    with locked(path, timeout_seconds=5):
        pass


def test_engines_can_be_deleted(one_machine, folder):
    kept = prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    deleted = prepare_engine(tiny_onnx("fp32"), RECIPE, parity_check=agreeing)
    (folder / "mine.txt").write_text("not rtseg's")
    remove_engines(keep=(kept.path,))
    assert [engine.path for engine in list_engines()] == [kept.path]
    kept.read()
    assert not deleted.path.exists()
    remove_engines()
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_the_folder_of_engines_can_be_chosen(monkeypatch, tmp_path):
    assert engine_folder() == tmp_path / "engines"
    monkeypatch.delenv("RTSEG_ENGINE_DIR")
    assert engine_folder().parts[-2:] == ("engines", "built")
    elsewhere = tmp_path / "site-packages/rtseg/backends/tensorrt/recipe.py"
    monkeypatch.setattr("rtseg.backends.tensorrt.recipe.__file__", str(elsewhere))
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_args, **_names: tmp_path / "user")
    assert engine_folder() == tmp_path / "user" / "engines"
