"""`import rtseg` and the light packages load none of the heavy libraries."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import rtseg

HEAVY = ("torch", "tensorrt", "openvino", "av", "cv2", "pycuda", "onnx", "onnxruntime")
LIGHT = [
    "rtseg",
    "rtseg.backends",
    "rtseg.backends.base",
    "rtseg.checkpoint",
    "rtseg.errors",
    "rtseg.faces",
    "rtseg.geometry.crop",
    "rtseg.geometry.resample",
    "rtseg.faces.parsed_faces",
    "rtseg.postprocess",
    "rtseg.frames",
    "rtseg.labels",
    "rtseg.faces.one_euro",
    "rtseg.segmenter",
    "rtseg.settings",
    "rtseg.postprocess.smoothing",
    "rtseg.timing",
]


def loaded_after(statement):
    """The heavy modules in a fresh interpreter's sys.modules after a statement."""
    program = f"import sys\n{statement}\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.split()


def test_light_packages_import_no_heavy_library():
    assert loaded_after("import " + ", ".join(LIGHT)) == []


def test_the_check_notices_a_heavy_import():
    assert loaded_after("import cv2") == ["cv2"]


def test_the_names_of_the_api_exist():
    assert loaded_after("from rtseg import Segmenter, Frame, FaceSettings, open_backend") == []
    assert rtseg.Segmenter.__name__ == "Segmenter"
    assert {"Segmenter", "open_source", "__version__"} <= set(dir(rtseg))
    assert set(rtseg._HOMES) | {"__version__"} == set(rtseg.__all__)


@pytest.mark.parametrize("name", sorted(rtseg.__all__))
def test_every_public_name_can_be_loaded(name):
    assert getattr(rtseg, name) is not None


def test_the_documentation_lists_every_public_name_and_no_other():
    page = Path(__file__).parents[1] / "docs" / "python.md"
    table = page.read_text("utf-8").split("## Every name")[1].split("##")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(rtseg.__all__)


def test_the_architecture_page_names_every_package_and_module():
    page = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text("utf-8")
    table = page.split("## The packages")[1].split("## Contracts")[0]
    package = Path(rtseg.__file__).parent
    modules = [path.name for path in package.glob("*.py") if not path.name.startswith("__")]
    folders = [f"rtseg/{path.parent.name}/" for path in package.glob("*/__init__.py")]
    assert modules
    assert folders
    assert [name for name in (*modules, *folders) if f"{name}`" not in table] == []


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'segmentor'"):
        _ = rtseg.segmentor
