"""Keys, cache, locks, manifests and builds, on fake TensorRT 10 and 11."""

import dataclasses
import json
import logging
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rtseg.backends.tensorrt import (
    EngineRecipe,
    StaleEngineError,
    build_plan,
    engine_folder,
    engine_key,
    find_engine,
    list_engines,
    prepare_engine,
    read_recipe,
    remove_engines,
    shipped_recipes,
)
from rtseg.backends.tensorrt.builder import PhaseTracker
from rtseg.errors import BackendError, SettingError
from tests.support.exported import HEIGHT, WIDTH, tiny_onnx
from tests.support.fakes.machine import GPU, install

VERSIONS = ("10.13.0.35", "11.4.0.106")
RECIPE = EngineRecipe(name="tiny", usual_batch=2, largest_batch=4, workspace_mib=512)


@pytest.fixture(scope="module", autouse=True)
def models():
    """Exported before any fake is in place: PyTorch looks for a TensorRT of its own."""
    return tiny_onnx("fp16"), tiny_onnx("fp32")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    path = tmp_path / "engines"
    monkeypatch.setenv("RTSEG_ENGINE_DIR", str(path))
    return path


@pytest.fixture(params=VERSIONS)
def machine(request, monkeypatch):
    return install(monkeypatch, version=request.param)


@pytest.fixture
def one_machine(monkeypatch):
    return install(monkeypatch)


def agreeing(_plan, _manifest):
    return 1.0


def test_a_build_leaves_an_engine_a_manifest_and_nothing_else(machine, folder):
    seen = []
    engine = prepare_engine(
        tiny_onnx(), RECIPE, parity_check=agreeing, on_progress=lambda *step: seen.append(step)
    )
    manifest = engine.manifest
    assert json.loads(engine.read())["profile"] == [[n, HEIGHT, WIDTH, 3] for n in (1, 2, 4)]
    assert (manifest.gpu, manifest.compute_capability, manifest.cuda, manifest.driver) == (
        GPU.name,
        "8.9",
        "13.0",
        "580.65.06",
    )
    assert manifest.tensorrt in VERSIONS
    assert (manifest.precision, manifest.agreement, manifest.workspace_mib) == ("fp16", 1.0, 512)
    assert manifest.onnx_digest == tiny_onnx().digest
    assert manifest.weights_digest == tiny_onnx().model.digest
    assert manifest.model.label_set == tiny_onnx().model.label_set
    shares = [share for share, _phase in seen]
    assert shares == sorted(shares)
    assert shares[-1] > 0.4
    assert {path.suffix for path in folder.iterdir()} == {".engine", ".json", ".timing"}
    if os.name == "posix":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(engine.path.stat().st_mode) == 0o600


def test_networks_are_strongly_typed_on_both_versions(machine):
    prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    is_11 = sys.modules["tensorrt"].__version__.startswith("11")
    assert machine.behaviour.network_flags == [0 if is_11 else 2]
    assert machine.behaviour.cleared_flags == []
    assert hasattr(sys.modules["tensorrt"].BuilderFlag, "FP16") != is_11


def test_fp32_is_no_tf32(machine):
    prepare_engine(tiny_onnx("fp32"), RECIPE, parity_check=agreeing)
    assert machine.behaviour.cleared_flags == ["TF32"]


def test_an_engine_is_built_once_and_its_timings_kept(machine):
    first = prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    assert prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing) == first
    assert find_engine(tiny_onnx(), RECIPE) == first
    assert machine.behaviour.builds == 1
    prepare_engine(tiny_onnx(), dataclasses.replace(RECIPE, usual_batch=1), parity_check=agreeing)
    assert machine.behaviour.builds == 2
    assert machine.behaviour.timing_caches == [b"", b"+"]


def test_the_expected_duration_is_said_first(one_machine, caplog):
    def building():
        assert "about 60 s" in caplog.text
        assert GPU.name in caplog.text

    one_machine.behaviour.on_build = building
    with caplog.at_level(logging.INFO, "rtseg"):
        prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    assert one_machine.behaviour.builds == 1


def test_a_key_depends_on_everything():
    def key(exported=None, recipe=RECIPE, gpu=GPU, tensorrt="11.4"):
        return engine_key(exported or tiny_onnx(), recipe, gpu=gpu, tensorrt=tensorrt)

    other_gpu = dataclasses.replace(GPU, name="NVIDIA Fake 5000")
    other_chip = dataclasses.replace(GPU, compute_capability="9.0")
    keys = {
        key(),
        key(exported=tiny_onnx("fp32")),
        key(recipe=dataclasses.replace(RECIPE, largest_batch=8)),
        key(recipe=dataclasses.replace(RECIPE, usual_batch=1)),
        key(recipe=dataclasses.replace(RECIPE, workspace_mib=256)),
        key(recipe=dataclasses.replace(RECIPE, optimisation_level=5)),
        key(gpu=other_gpu),
        key(gpu=other_chip),
        key(tensorrt="10.13"),
    }
    assert len(keys) == 9
    assert key(gpu=dataclasses.replace(GPU, driver="590.1", memory_bytes=1)) in keys
    assert key(recipe=dataclasses.replace(RECIPE, name="other", expected_seconds=9)) in keys


def test_another_tensorrt_means_another_engine(monkeypatch):
    install(monkeypatch, version="10.13.0.35")
    old = prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    machine = install(monkeypatch, version="11.4.0.106")
    assert find_engine(tiny_onnx(), RECIPE) is None
    new = prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    assert machine.behaviour.builds == 1
    assert {engine.path for engine in list_engines()} == {old.path, new.path}


@pytest.mark.parametrize("damage", ["engine", "manifest", "no manifest", "other manifest"])
def test_what_was_tampered_with_is_not_loaded_but_built_anew(one_machine, damage, caplog):
    engine = prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    manifest = engine.path.with_name(engine.path.name + ".json")
    if damage == "engine":
        engine.path.write_bytes(engine.path.read_bytes() + b" ")
        with pytest.raises(StaleEngineError, match="SHA-256"):
            engine.read()
    elif damage == "manifest":
        manifest.write_text("{}")
    elif damage == "no manifest":
        manifest.unlink()
    else:
        values = json.loads(manifest.read_text())
        manifest.write_text(json.dumps({**values, "header": {"format": 1}}))
    assert find_engine(tiny_onnx(), RECIPE) is None
    assert str(engine.path.name) in caplog.text
    again = prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    assert one_machine.behaviour.builds == 2
    again.read()


def test_an_engine_that_does_not_load_is_replaced_once(one_machine):
    stale = prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    fresh = prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing, replacing=stale)
    assert one_machine.behaviour.builds == 2
    assert fresh.manifest.sha256 != stale.manifest.sha256
    # somebody else has replaced it in the meantime: theirs is used
    assert prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing, replacing=stale) == fresh
    assert one_machine.behaviour.builds == 2


def test_fp16_that_disagrees_is_built_in_fp32_and_said(machine, caplog):
    figures = iter([0.9, 1.0])
    engine = prepare_engine(
        tiny_onnx(), RECIPE, parity_check=lambda _plan, _manifest: next(figures)
    )
    assert machine.behaviour.built_precisions == ["fp16", "fp32"]
    manifest = engine.manifest
    assert (manifest.asked_precision, manifest.precision) == ("fp16", "fp32")
    assert manifest.agreement == 1.0
    assert "90.00%" in caplog.text
    assert "FP32" in caplog.text
    assert json.loads(engine.read())["precision"] == "fp32"
    # it is what this model gets from now on, and is not built again at each start
    assert find_engine(tiny_onnx(), RECIPE) == engine


def test_fp32_that_disagrees_is_not_kept(one_machine, folder):
    with pytest.raises(BackendError, match=r"only 20\.00%"):
        prepare_engine(tiny_onnx(), RECIPE, parity_check=lambda _plan, _manifest: 0.2)
    assert one_machine.behaviour.built_precisions == ["fp16", "fp32"]
    assert not list(folder.glob("*.engine"))


def test_without_anything_to_compare_with_it_says_so(one_machine, caplog):
    engine = prepare_engine(tiny_onnx(), RECIPE)
    assert engine.manifest.agreement is None
    assert "not compared" in caplog.text


def test_full_memory_shrinks_the_workspace(machine, caplog):
    machine.behaviour.fits_mib = 200
    engine = prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    assert engine.manifest.workspace_mib == 128
    assert "256 MiB" in caplog.text


@pytest.mark.parametrize(
    "message",
    [
        "Could not find any implementation for node {ForeignNode[a...b]}.",
        "[defaultAllocator.cpp::allocate::19] Error Code 1: Cuda Runtime (out of memory)",
    ],
)
def test_memory_that_is_too_full_is_named(one_machine, folder, message):
    one_machine.behaviour.fits_mib = 0
    one_machine.behaviour.out_of_memory_message = message
    with pytest.raises(BackendError, match="memory is too full") as raised:
        prepare_engine(tiny_onnx(), RECIPE)
    assert "close other programs" in str(raised.value)
    assert one_machine.behaviour.builds == 0
    assert not list(folder.glob("*.engine"))


def test_another_failure_is_not_taken_for_memory(one_machine):
    one_machine.behaviour.fits_mib = 0
    one_machine.behaviour.out_of_memory_message = "Internal error: assertion x failed"
    with pytest.raises(BackendError, match="could not build the engine: Internal error"):
        build_plan(tiny_onnx(), RECIPE)


def test_a_model_that_is_not_taken_says_why(machine):
    machine.behaviour.parse_errors = ("No importer registered for op: Frobnicate",)
    with pytest.raises(BackendError, match="Frobnicate"):
        build_plan(tiny_onnx(), RECIPE)


def test_an_interruption_ends_the_build_and_goes_on(machine, folder):
    def interrupt(_share, _phase):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_engine(tiny_onnx(), RECIPE, on_progress=interrupt)
    assert machine.behaviour.builds == 0
    assert not list(folder.glob("*.engine"))
    # the lock is free again
    prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)


@pytest.mark.parametrize("version", ["9.3.0", "12.0.0"])
def test_other_versions_are_refused(monkeypatch, version):
    install(monkeypatch, version=version)
    with pytest.raises(BackendError, match=rf"TensorRT {version}.*allowed: 10, 11"):
        prepare_engine(tiny_onnx(), RECIPE)


def test_without_a_driver_tensorrt_is_not_even_imported(monkeypatch):
    install(monkeypatch)
    monkeypatch.setitem(sys.modules, "tensorrt", None)  # an import would raise
    monkeypatch.setattr(
        "rtseg.backends.tensorrt.builder.nvidia_driver_problem", lambda: "no NVIDIA driver"
    )
    with pytest.raises(BackendError, match="no NVIDIA driver"):
        find_engine(tiny_onnx(), RECIPE)


def test_a_missing_tensorrt_is_named(monkeypatch):
    install(monkeypatch)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(BackendError, match=r"pip install 'rtseg\[tensorrt\]'"):
        prepare_engine(tiny_onnx(), RECIPE)


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
def test_a_folder_of_somebody_else_is_refused(one_machine, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    with pytest.raises(BackendError, match="belongs to user"):
        prepare_engine(tiny_onnx(), RECIPE)


def test_a_folder_that_cannot_be_made_is_named(one_machine, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RTSEG_ENGINE_DIR", str(tmp_path / "file" / "engines"))
    with pytest.raises(BackendError, match="cannot be made"):
        prepare_engine(tiny_onnx(), RECIPE)


RACER = """
import sys
import pytest
from pathlib import Path
from rtseg.backends.tensorrt import EngineRecipe, prepare_engine
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
    engine = prepare_engine(read_onnx(sys.argv[1]), recipe, parity_check=lambda *_: 1.0)
    print(engine.manifest.sha256, len(engine.read()), flush=True)
"""


def test_two_processes_that_race_build_once_and_share_it(tmp_path):
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
    found = [racer.communicate(timeout=60)[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    assert builds.read_text() == "built\n"
    assert found[0] == found[1] != ""


def test_the_lock_is_waited_for_but_not_forever(tmp_path):
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


def test_deleting(one_machine, folder):
    kept = prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    gone = prepare_engine(tiny_onnx("fp32"), RECIPE, parity_check=agreeing)
    (folder / "mine.txt").write_text("not rtseg's")
    remove_engines(keep=(kept.path,))
    assert [engine.path for engine in list_engines()] == [kept.path]
    kept.read()
    assert not gone.path.exists()
    remove_engines()
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_where_engines_are_kept(monkeypatch, tmp_path):
    assert engine_folder() == tmp_path / "engines"
    monkeypatch.delenv("RTSEG_ENGINE_DIR")
    assert engine_folder().parts[-2:] == ("engines", "built")
    elsewhere = tmp_path / "site-packages/rtseg/engine/store.py"
    monkeypatch.setattr("rtseg.backends.tensorrt.store.__file__", str(elsewhere))
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_args, **_names: tmp_path / "user")
    assert engine_folder() == tmp_path / "user" / "engines"


def test_the_shipped_recipes():
    recipes = shipped_recipes()
    assert recipes["face-parts"].precision == "fp16"
    assert recipes["face-parts-fp32"].precision == "fp32"
    assert read_recipe("face-parts") == recipes["face-parts"]
    assert read_recipe("folder/other.onnx") == EngineRecipe(name="other", model="folder/other.onnx")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("model = ", "not a TOML file"),
        ("batch = 3", "unknown key 'batch'; allowed: model, precision"),
        ("largest_batch = 3", "largest_batch is 3; allowed: 1, 2, 4, 8"),
        ("largest_batch = '8'", "must be of type int"),
        ("usual_batch = 4\nlargest_batch = 2", "usual_batch 4 is more than"),
        ("precision = 'int8'", "'int8' is unknown; allowed: fp32, fp16"),
        ("optimisation_level = 9", "allowed: 0 to 5"),
    ],
)
def test_a_wrong_recipe_is_refused(tmp_path, text, complaint):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(SettingError) as raised:
        read_recipe(str(path))
    assert complaint in str(raised.value)


def test_a_recipe_finds_its_model_beside_it(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("model = 'mine.onnx'\nusual_batch = 2\n")
    assert read_recipe(str(path)) == EngineRecipe(
        name="mine", model=str(tmp_path / "mine.onnx"), usual_batch=2
    )
    with pytest.raises(SettingError, match=r"allowed: face-parts"):
        read_recipe("nothing")


def test_nested_phases_make_one_share_that_never_falls():
    tracker = PhaseTracker()
    shares = []
    for root in ("first", "second"):
        tracker.start(root, None, 2)
        for step in range(2):
            tracker.start("inner", root, 2)
            tracker.step("inner", 1)
            shares.append(tracker.share)
            tracker.finish("inner")
            tracker.step(root, step + 1)
            shares.append(tracker.share)
        tracker.finish(root)
    assert shares == [0.125, 0.25, 0.375, 0.5, 0.5625, 0.625, 0.6875, 0.75]
    tracker.step("unknown", 3)
    tracker.finish("unknown")
    assert tracker.share == 0.75
