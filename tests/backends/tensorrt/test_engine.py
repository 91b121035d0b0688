"""Keys, cache, locks, manifests and builds, on fake TensorRT 10 and 11."""

import _thread
import dataclasses
import json
import logging
import os
import signal
import stat
import sys
import threading

import pytest

from rtseg.backends.tensorrt import (
    EngineRecipe,
    StaleEngineError,
    engine_key,
    list_engines,
    read_recipe,
    shipped_recipes,
)
from rtseg.backends.tensorrt.library import Library
from rtseg.backends.tensorrt.progress import PhaseTracker
from rtseg.backends.tensorrt.target import Target
from rtseg.errors import BackendError, SettingError
from tests.backends.tensorrt.opened import VERSIONS, agreeing
from tests.backends.tensorrt.prepared import RECIPE, find_engine, prepare_engine
from tests.support.exported import HEIGHT, WIDTH, tiny_onnx
from tests.support.fakes.machine import GPU, install

pytestmark = pytest.mark.usefixtures("models", "folder")


def test_a_build_leaves_an_engine_and_a_manifest_only(plain_machine, folder):
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


def test_networks_are_strongly_typed_on_both_versions(plain_machine):
    prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    is_11 = sys.modules["tensorrt"].__version__.startswith("11")
    assert plain_machine.behaviour.network_flags == [0 if is_11 else 2]
    assert plain_machine.behaviour.cleared_flags == []
    assert hasattr(sys.modules["tensorrt"].BuilderFlag, "FP16") != is_11


def test_fp32_does_not_use_tf32(plain_machine):
    prepare_engine(tiny_onnx("fp32"), RECIPE, parity_check=agreeing)
    assert plain_machine.behaviour.cleared_flags == ["TF32"]


def test_an_engine_is_built_once_and_its_timings_are_cached(plain_machine):
    first = prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    assert prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing) == first
    assert find_engine(tiny_onnx(), RECIPE) == first
    assert plain_machine.behaviour.builds == 1
    prepare_engine(
        tiny_onnx(), dataclasses.replace(RECIPE, workspace_mib=64), parity_check=agreeing
    )
    assert plain_machine.behaviour.builds == 2
    assert plain_machine.behaviour.timing_caches == [b"", b"+"]


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


def test_fp16_that_disagrees_is_rebuilt_in_fp32_with_a_message(plain_machine, caplog):
    figures = iter([0.9, 1.0])
    engine = prepare_engine(
        tiny_onnx(), RECIPE, parity_check=lambda _plan, _manifest: next(figures)
    )
    assert plain_machine.behaviour.built_precisions == ["fp16", "fp32"]
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


def test_full_memory_reduces_the_workspace(plain_machine, caplog):
    plain_machine.behaviour.fits_mib = 200
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


def test_the_last_error_of_a_larger_workspace_is_not_the_reason_of_a_smaller_ones_failure(
    one_machine, caplog
):
    behaviour = one_machine.behaviour
    behaviour.fits_mib = 200

    def silently():
        raise RuntimeError("an internal assertion")

    behaviour.on_build = silently
    with pytest.raises(BackendError, match="could not build the engine: an internal assertion"):
        prepare_engine(tiny_onnx(), RECIPE)
    assert caplog.text.count("trying 128 MiB") == 1


def test_another_build_failure_is_not_reported_as_full_memory(one_machine):
    one_machine.behaviour.fits_mib = 0
    one_machine.behaviour.out_of_memory_message = "Internal error: assertion x failed"
    with pytest.raises(BackendError, match="could not build the engine: Internal error"):
        prepare_engine(tiny_onnx(), RECIPE)


def test_a_rejected_model_is_reported_with_the_reason(plain_machine):
    plain_machine.behaviour.parse_errors = ("No importer registered for op: Frobnicate",)
    with pytest.raises(BackendError, match="Frobnicate"):
        prepare_engine(tiny_onnx(), RECIPE)


def test_an_interruption_ends_the_build_and_is_raised(plain_machine, folder):
    def interrupt(_share, _phase):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_engine(tiny_onnx(), RECIPE, on_progress=interrupt)
    assert plain_machine.behaviour.builds == 0
    assert not list(folder.glob("*.engine"))
    # the lock is free again
    prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)


@pytest.mark.parametrize("what", ["Builder", "OnnxParser"])
def test_a_builder_that_cannot_be_created_is_a_backend_error(plain_machine, what):
    plain_machine.behaviour.makes_nothing = (what,)
    with pytest.raises(BackendError, match=r"TensorRT could not make a (builder|parser): it gives"):
        prepare_engine(tiny_onnx(), RECIPE)


def test_an_interruption_while_tensorrt_is_busy_ends_the_build(plain_machine, monkeypatch):
    """A signal that arrives between two progress reports, or inside one."""
    main, sent = threading.main_thread(), []

    def interrupt(share, _phase):
        assert threading.current_thread() is not main
        if not sent:
            sent.append(share)
            _thread.interrupt_main()

    plain_machine.behaviour.step_seconds = 0.3
    # background jobs of a shell, and everything they start, ignore the signal
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            prepare_engine(tiny_onnx(), RECIPE, on_progress=interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (plain_machine.behaviour.builds, len(sent)) == (0, 1)
    assert not [thread for thread in threading.enumerate() if thread.name == "engine build"]


def test_an_error_inside_a_progress_report_does_not_fail_the_build(plain_machine, monkeypatch):
    def fail(*_arguments):
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(PhaseTracker, "step", fail)
    with pytest.raises(ZeroDivisionError):
        prepare_engine(tiny_onnx(), RECIPE)
    assert plain_machine.behaviour.builds == 0


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
