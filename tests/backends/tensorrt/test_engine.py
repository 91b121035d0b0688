"""Keys, cache, locks, manifests and builds, on fake TensorRT 10 and 11."""

import _thread
import dataclasses
import json
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
from importlib import metadata
from pathlib import Path

import pytest

from rtseg.backends.tensorrt import (
    EngineRecipe,
    StaleEngineError,
    engine_folder,
    engine_key,
    library,
    list_engines,
    other_machines,
    read_recipe,
    remove_engines,
    shipped_recipes,
    this_machine,
)
from rtseg.backends.tensorrt import find_engine as find_engine_for
from rtseg.backends.tensorrt import prepare_engine as prepare_engine_for
from rtseg.backends.tensorrt.library import Library
from rtseg.backends.tensorrt.progress import PhaseTracker
from rtseg.backends.tensorrt.target import Target
from rtseg.errors import BackendError, SettingError
from tests.support.exported import HEIGHT, WIDTH, tiny_onnx
from tests.support.fakes.machine import GPU, install

VERSIONS = ("10.13.0.35", "11.4.0.106")
RTX = "1.7.1.116"
RECIPE = EngineRecipe(name="tiny", largest_batch=4, workspace_mib=512)


@pytest.fixture(scope="module", autouse=True)
def models():
    """Exported before any fake is installed, since PyTorch looks for a TensorRT of its own."""
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


def prepare_engine(exported, recipe, **options):
    return prepare_engine_for(exported, recipe, this_machine(), **options)


def find_engine(exported, recipe):
    return find_engine_for(exported, recipe, this_machine())


def test_a_build_leaves_an_engine_and_a_manifest_only(machine, folder):
    steps = []
    engine = prepare_engine(
        tiny_onnx(), RECIPE, parity_check=agreeing, on_progress=lambda *step: steps.append(step)
    )
    manifest = engine.manifest
    # each size has a separate profile, tuned for it alone
    assert json.loads(engine.read())["profiles"] == [
        [[batch, HEIGHT, WIDTH, 3]] * 3 for batch in (1, 2, 4)
    ]
    assert (manifest.gpu, manifest.compute_capability, manifest.cuda, manifest.driver) == (
        GPU.name,
        "8.9",
        "13.0",
        "580.65.06",
    )
    assert manifest.tensorrt in VERSIONS
    assert (manifest.precision, manifest.agreement, manifest.workspace_mib) == ("fp16", 1.0, 512)
    assert manifest.onnx_digest == tiny_onnx().digest
    assert manifest.weights_digest == tiny_onnx().weights_digest
    assert manifest.model.label_set == tiny_onnx().model.label_set
    shares = [share for share, _phase in steps]
    assert shares == sorted(shares)
    assert shares[-1] > 0.4
    assert {path.suffix for path in folder.iterdir()} == {
        ".engine",
        ".json",
        ".layers",
        ".timing",
    }
    if os.name == "posix":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(engine.path.stat().st_mode) == 0o600


def test_networks_are_strongly_typed_on_both_versions(machine):
    prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    is_11 = sys.modules["tensorrt"].__version__.startswith("11")
    assert machine.behaviour.network_flags == [0 if is_11 else 2]
    assert machine.behaviour.cleared_flags == []
    assert hasattr(sys.modules["tensorrt"].BuilderFlag, "FP16") != is_11


def test_fp32_does_not_use_tf32(machine):
    prepare_engine(tiny_onnx("fp32"), RECIPE, parity_check=agreeing)
    assert machine.behaviour.cleared_flags == ["TF32"]


def test_an_engine_is_built_once_and_its_timings_are_cached(machine):
    first = prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    assert prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing) == first
    assert find_engine(tiny_onnx(), RECIPE) == first
    assert machine.behaviour.builds == 1
    prepare_engine(
        tiny_onnx(), dataclasses.replace(RECIPE, workspace_mib=64), parity_check=agreeing
    )
    assert machine.behaviour.builds == 2
    assert machine.behaviour.timing_caches == [b"", b"+"]


def test_the_expected_duration_is_announced(one_machine, caplog):
    def building():
        assert "about 60 s" in caplog.text
        assert GPU.name in caplog.text

    one_machine.behaviour.on_build = building
    with caplog.at_level(logging.INFO, "rtseg"):
        prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    assert one_machine.behaviour.builds == 1


def test_a_key_depends_on_every_input():
    def key(exported=None, recipe=RECIPE, gpu=GPU, tensorrt="11.4", flavour="tensorrt", sms=()):
        library = Library(flavour=flavour, module=None, version=tensorrt)
        target = Target(library=library, gpu=gpu, architectures=sms)
        return engine_key(exported or tiny_onnx(), recipe, target)

    other_gpu = dataclasses.replace(GPU, name="NVIDIA Fake 5000")
    other_chip = dataclasses.replace(GPU, compute_capability="9.0")
    keys = {
        key(),
        key(exported=tiny_onnx("fp32")),
        key(recipe=dataclasses.replace(RECIPE, largest_batch=8)),
        key(recipe=dataclasses.replace(RECIPE, workspace_mib=256)),
        key(recipe=dataclasses.replace(RECIPE, optimisation_level=5)),
        key(gpu=other_gpu),
        key(gpu=other_chip),
        key(tensorrt="10.13"),
        key(flavour="tensorrt-rtx", sms=("sm89",)),
        key(flavour="tensorrt-rtx", sms=("sm86", "sm89")),
    }
    assert len(keys) == 10
    # for an architecture, not for one particular card
    rtx = key(flavour="tensorrt-rtx", sms=("sm89",), gpu=other_gpu)
    assert rtx in keys
    assert key(flavour="tensorrt-rtx", sms=("sm89",), gpu=None) == rtx
    assert key(gpu=dataclasses.replace(GPU, driver="590.1", memory_bytes=1)) in keys
    assert key(recipe=dataclasses.replace(RECIPE, name="other", expected_seconds=9)) in keys


def test_another_tensorrt_version_needs_another_engine(monkeypatch):
    install(monkeypatch, version="10.13.0.35")
    old = prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    machine = install(monkeypatch, version="11.4.0.106")
    assert find_engine(tiny_onnx(), RECIPE) is None
    new = prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    assert machine.behaviour.builds == 1
    assert {engine.path for engine in list_engines()} == {old.path, new.path}


@pytest.mark.parametrize("damage", ["engine", "manifest", "no manifest", "other manifest"])
def test_a_modified_engine_is_rebuilt_instead_of_loaded(one_machine, damage, caplog):
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
    # another process has replaced it in the meantime: that engine is used
    assert prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing, replacing=stale) == fresh
    assert one_machine.behaviour.builds == 2


def test_fp16_that_disagrees_is_rebuilt_in_fp32_with_a_message(machine, caplog):
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
    # the engine is kept for this model, and not rebuilt at each start
    assert find_engine(tiny_onnx(), RECIPE) == engine


def test_fp32_that_disagrees_is_discarded(one_machine, folder):
    with pytest.raises(BackendError, match=r"only 20\.00%"):
        prepare_engine(tiny_onnx(), RECIPE, parity_check=lambda _plan, _manifest: 0.2)
    assert one_machine.behaviour.built_precisions == ["fp16", "fp32"]
    assert not list(folder.glob("*.engine"))


def test_without_a_reference_a_message_says_so(one_machine, caplog):
    engine = prepare_engine(tiny_onnx(), RECIPE)
    assert engine.manifest.agreement is None
    assert "not compared" in caplog.text


def test_full_memory_reduces_the_workspace(machine, caplog):
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
def test_memory_too_full_for_a_build_has_an_error_of_its_own(one_machine, folder, message):
    one_machine.behaviour.fits_mib = 0
    one_machine.behaviour.out_of_memory_message = message
    with pytest.raises(BackendError, match="memory is too full") as raised:
        prepare_engine(tiny_onnx(), RECIPE)
    assert "close other programs" in str(raised.value)
    assert one_machine.behaviour.builds == 0
    assert not list(folder.glob("*.engine"))


def test_another_build_failure_is_not_reported_as_full_memory(one_machine):
    one_machine.behaviour.fits_mib = 0
    one_machine.behaviour.out_of_memory_message = "Internal error: assertion x failed"
    with pytest.raises(BackendError, match="could not build the engine: Internal error"):
        prepare_engine(tiny_onnx(), RECIPE)


def test_a_rejected_model_is_reported_with_the_reason(machine):
    machine.behaviour.parse_errors = ("No importer registered for op: Frobnicate",)
    with pytest.raises(BackendError, match="Frobnicate"):
        prepare_engine(tiny_onnx(), RECIPE)


def test_an_interruption_ends_the_build_and_is_raised(machine, folder):
    def interrupt(_share, _phase):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_engine(tiny_onnx(), RECIPE, on_progress=interrupt)
    assert machine.behaviour.builds == 0
    assert not list(folder.glob("*.engine"))
    # the lock is free again
    prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)


@pytest.mark.parametrize("version", ["9.3.0", "12.0.0"])
def test_unsupported_versions_are_refused(monkeypatch, version):
    install(monkeypatch, version=version)
    with pytest.raises(BackendError, match=rf"TensorRT {version}.*allowed: 10, 11"):
        prepare_engine(tiny_onnx(), RECIPE)


def test_without_a_driver_tensorrt_is_not_even_imported(monkeypatch):
    install(monkeypatch)
    monkeypatch.setitem(sys.modules, "tensorrt", None)  # an import would raise
    monkeypatch.setattr(
        "rtseg.backends.tensorrt.library.nvidia_driver_problem", lambda: "no NVIDIA driver"
    )
    with pytest.raises(BackendError, match="no NVIDIA driver"):
        find_engine(tiny_onnx(), RECIPE)


def test_a_missing_tensorrt_is_reported_by_name(monkeypatch):
    install(monkeypatch)
    for name in ("tensorrt", "tensorrt_rtx_bindings"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BackendError, match=r"pip install 'rtseg\[tensorrt\]'"):
        prepare_engine(tiny_onnx(), RECIPE)


@pytest.mark.parametrize("what", ["Builder", "OnnxParser"])
def test_a_builder_that_cannot_be_created_is_a_backend_error(machine, what):
    machine.behaviour.makes_nothing = (what,)
    with pytest.raises(BackendError, match=r"TensorRT could not make a (builder|parser): it gives"):
        prepare_engine(tiny_onnx(), RECIPE)


def test_a_driver_older_than_tensorrt_is_detected_before_tensorrt_is_loaded(monkeypatch):
    """Using TensorRT for the first time would abort the process."""
    install(monkeypatch)
    monkeypatch.setitem(sys.modules, "tensorrt", None)  # an import would raise
    monkeypatch.setattr(library, "installed_flavours", lambda: ("tensorrt",))
    monkeypatch.setattr(library, "built_for_cuda", lambda _flavour: 13)
    monkeypatch.setattr("rtseg.system.nvidia.driver_cuda_version", lambda: (12, 8))
    with pytest.raises(BackendError, match=r"for CUDA 13, but .* supports CUDA 12\.8; update"):
        prepare_engine(tiny_onnx(), RECIPE)


def test_a_librarys_cuda_version_is_read_from_its_packages(monkeypatch):
    def version(name):
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return "11.4"

    monkeypatch.setattr(library.metadata, "version", version)
    for names, major in (
        ({"tensorrt-cu12-libs", "tensorrt-rtx-cu13-bindings"}, 12),
        ({"tensorrt-cu13-bindings"}, 13),
        ({"tensorrt"}, None),
    ):
        installed = names
        assert library.built_for_cuda("tensorrt") == major
    installed = {"tensorrt-cu12-libs", "tensorrt-rtx-cu13-bindings"}
    assert library.built_for_cuda("tensorrt-rtx") == 13


def test_tensorrt_is_preferred_to_tensorrt_rtx_with_a_message(monkeypatch, caplog):
    install(monkeypatch, version=RTX)
    with caplog.at_level(logging.INFO, "rtseg"):
        engine = prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    assert f"by TensorRT-RTX {RTX}" in caplog.text
    assert (engine.manifest.flavour, engine.manifest.architectures) == ("tensorrt-rtx", ("sm89",))
    install(monkeypatch)  # both TensorRT and TensorRT-RTX are now installed
    monkeypatch.setattr(library, "installed_flavours", lambda: ("tensorrt", "tensorrt-rtx"))
    assert prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing).manifest.flavour == "tensorrt"


def test_tensorrt_rtx_builds_for_other_machines_without_a_gpu(monkeypatch, caplog):
    machine = install(monkeypatch, version=RTX)
    monkeypatch.setattr(library, "nvidia_driver_problem", lambda: "no NVIDIA driver")
    target = other_machines(("sm120", "sm86", "sm89", "sm86"))
    engine = prepare_engine_for(tiny_onnx(), RECIPE, target, parity_check=agreeing)
    assert machine.behaviour.architectures == ["SM86", "SM89", "SM120"]
    assert machine.behaviour.set_flags == ["REQUIRE_USER_ALLOCATION"]
    manifest = engine.manifest
    assert (manifest.architectures, manifest.gpu) == (("sm86", "sm89", "sm120"), "")
    assert manifest.agreement is None
    assert "no GPU to run it on" in caplog.text
    assert prepare_engine_for(tiny_onnx(), RECIPE, target) == engine
    # one of these machines runs the engine that was built for all of them
    monkeypatch.setattr(library, "nvidia_driver_problem", lambda: None)
    assert find_engine(tiny_onnx(), RECIPE) == engine
    assert prepare_engine(tiny_onnx(), RECIPE) == engine
    assert machine.behaviour.builds == 1
    assert find_engine(tiny_onnx("fp32"), RECIPE) is None
    # a machine of another architecture does not
    other = dataclasses.replace(GPU, compute_capability="7.5")
    install(monkeypatch, version=RTX, gpu=other)
    assert find_engine(tiny_onnx(), RECIPE) is None


def test_unsupported_architectures_are_refused(monkeypatch):
    install(monkeypatch, version=RTX, gpu=dataclasses.replace(GPU, compute_capability="9.0"))
    with pytest.raises(BackendError, match=r"does not run on .*9\.0\), only on sm75, sm80"):
        this_machine()
    with pytest.raises(SettingError, match=r"architecture 'sm90'.*allowed: sm75, sm80, sm86"):
        other_machines(("sm86", "sm90"))


def test_an_interruption_while_tensorrt_is_busy_ends_the_build(machine, monkeypatch):
    """A signal that arrives between two progress reports, or inside one."""
    main, sent = threading.main_thread(), []

    def interrupt(share, _phase):
        assert threading.current_thread() is not main
        if not sent:
            sent.append(share)
            _thread.interrupt_main()

    machine.behaviour.step_seconds = 0.3
    # background jobs of a shell, and everything they start, ignore the signal
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            prepare_engine(tiny_onnx(), RECIPE, on_progress=interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (machine.behaviour.builds, len(sent)) == (0, 1)
    assert not [thread for thread in threading.enumerate() if thread.name == "engine build"]


def test_an_error_inside_a_progress_report_does_not_fail_the_build(machine, monkeypatch):
    def fail(*_arguments):
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(PhaseTracker, "step", fail)
    with pytest.raises(ZeroDivisionError):
        prepare_engine(tiny_onnx(), RECIPE)
    assert machine.behaviour.builds == 0


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


def test_the_shipped_recipes_are_valid():
    recipes = shipped_recipes()
    assert recipes["face-parts"].precision == "fp16"
    assert recipes["face-parts-fp32"].precision == "fp32"
    assert recipes["face-finder"].model == "face-finder"
    assert read_recipe("face-parts") == recipes["face-parts"]
    assert read_recipe("folder/other.onnx") == EngineRecipe(name="other", model="folder/other.onnx")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("model = ", "not a TOML file"),
        ("batch = 3", "unknown key 'batch'; allowed: model, precision"),
        ("largest_batch = 3", "largest_batch is 3; allowed: 1, 2, 4, 8"),
        ("largest_batch = '8'", "must be of type int"),
        ("usual_batch = 4", "usual_batch was removed"),
        ("precision = 'int4'", "'int4' is unknown; allowed: fp32, fp16, int8"),
        ("optimisation_level = 9", "allowed: 0 to 5"),
    ],
)
def test_an_invalid_recipe_is_refused(tmp_path, text, complaint):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(SettingError) as raised:
        read_recipe(str(path))
    assert complaint in str(raised.value)


def test_a_recipe_finds_its_model_beside_it(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("model = 'mine.onnx'\nlargest_batch = 2\n")
    assert read_recipe(str(path)) == EngineRecipe(
        name="mine", model=str(tmp_path / "mine.onnx"), largest_batch=2
    )
    with pytest.raises(SettingError, match=r"allowed: face-finder, face-parts"):
        read_recipe("nothing")


def test_progress_of_nested_phases_never_falls():
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
