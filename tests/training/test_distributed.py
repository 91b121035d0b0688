"""Two gloo processes train like one; a killed one ends the run with one clear line."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from training.distributed import Group

COMMON = """
    import os
    from pathlib import Path

    import numpy as np
    import torch
    from torch import nn

    from rtseg.labels import LabelSet
    from training.data.base import Sample
    from training.distributed import joined
    from training.evaluation.predictor import evaluate
    from training.losses.named import LossContext, make_loss
    from rtseg.checkpoint import ModelSpec
    from training.recipes.base import Recipe
    from training.settings import FitSettings
    from training.state import RunState, moving_average
    from training.step import Stepper

    torch.set_num_threads(1)
    SET = LabelSet(name="t", names=("a", "b", "c"), colours=((0, 0, 0), (9, 9, 9), (99, 99, 99)))

    class Noise:
        label_set = SET

        def __init__(self, count):
            self.names = tuple(map(str, range(count)))

        def __len__(self):
            return len(self.names)

        def __getitem__(self, index):
            rng = np.random.default_rng(index)
            labels = rng.integers(0, 3, (8, 8)).astype(np.uint8)
            # a different number of ignored pixels in every picture
            labels.ravel()[: 3 * index] = 255
            image = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
            return Sample(name=str(index), image=image, labels=labels)

    def guess(images):
        return [(image[:, :, 0] % 3).astype(np.uint8) for image in images]
"""

STEP_AND_EVALUATION = """
    settings = FitSettings(
        optimizer="sgd", momentum=0.0, learning_rate=0.5, schedule="constant", precision="fp32",
        loss="cross-entropy", loss_step=1, clip=0.0, average=0.0, batch=4,
    )
    recipe = Recipe(
        name="t", summary="", settings=settings, training=None, evaluation=None, downloads=None,
        spec=ModelSpec(
            architecture="unet", label_set=SET, input_height=16, input_width=16, stride=1
        ),
    )
    with joined("cpu") as group:
        matrix = group.summed(evaluate(guess, group.part(Noise(7)), size=(8, 8)))
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1))
        state = RunState(
            model=net, average=moving_average(net, 0.0),
            optimizer=torch.optim.SGD(net.parameters(), lr=0.5),
            scaler=torch.amp.GradScaler("cpu", enabled=False),
        )
        stepper = Stepper(
            recipe, settings, state, make_loss("cross-entropy", LossContext()), group,
            total=9, per_epoch=3,
        )
        samples = [Noise(4)[i] for i in group.share(range(4))]
        part = (
            torch.from_numpy(np.stack([s.image for s in samples])),
            torch.from_numpy(np.stack([s.labels for s in samples])),
        )
        stepper([part])
        if group.leads:
            weights = {k: v.numpy() for k, v in net.state_dict().items()}
            np.savez(os.environ["RESULT"], matrix=matrix, **weights)
"""

KILLED = """
    import signal, sys, time

    with joined("cpu") as group:
        if group.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        group.summed(np.zeros((3, 3), np.int64))
"""


def script(folder: Path, body: str) -> Path:
    path = folder / "script.py"
    path.write_text(textwrap.dedent(COMMON) + textwrap.dedent(body))
    return path


def environment(**more: str) -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TORCHELASTIC")}
    return {**clean, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", **more}


def test_two_processes_count_and_train_as_one(tmp_path: Path) -> None:
    path = script(tmp_path, STEP_AND_EVALUATION)
    alone, together = tmp_path / "alone.npz", tmp_path / "together.npz"
    two = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *("--nproc-per-node", "2", str(path)),
    ]
    runs = [
        subprocess.Popen([sys.executable, str(path)], env=environment(RESULT=str(alone))),
        subprocess.Popen(two, env=environment(RESULT=str(together)), stderr=subprocess.DEVNULL),
    ]
    assert [run.wait(timeout=100) for run in runs] == [0, 0]
    one, both = np.load(alone), np.load(together)
    # seven pictures over two processes: none is omitted, and none counts twice
    assert np.array_equal(one["matrix"], both["matrix"])
    assert one["matrix"].sum() == 7 * 64 - 3 * sum(range(7))
    for name in one.files:
        np.testing.assert_allclose(both[name], one[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_killed_process_ends_the_run_with_one_clear_line(tmp_path: Path) -> None:
    path = script(tmp_path, KILLED)
    launcher = f"""
        import sys
        from rtseg.errors import BackendError
        from training import distributed
        try:
            distributed.launch(2, [], command=[sys.executable, {str(path)!r}])
        except BackendError as error:
            print(f"error: {{error}}")
            sys.exit(error.exit_code)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(launcher)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error:")]
    assert "process 1 of 2 was killed by SIGKILL" in line
    assert "--resume" in line


@pytest.mark.parametrize("size", [1, 2, 3])
def test_shares_and_parts_are_complete_and_disjoint(size: int) -> None:
    groups = [Group(rank=rank, size=size) for rank in range(size)]
    shares = [list(group.share(range(12, 24))) for group in groups]
    assert sorted(index for share in shares for index in share) == list(range(12, 24))
    assert len({len(share) for share in shares}) == 1


def test_part_keeps_names_and_samples_together() -> None:
    class Letters:
        names = ("a", "b", "c", "d", "e")
        label_set = None

        def __len__(self) -> int:
            return 5

        def __getitem__(self, index: int) -> str:
            return self.names[index]

    letters = Letters()
    parts = [Group(rank=rank, size=2).part(letters) for rank in range(2)]  # type: ignore[arg-type]
    assert Group().part(letters) is letters  # type: ignore[arg-type, comparison-overlap]
    assert parts[0].names == ("a", "c", "e")
    assert [parts[1][i] for i in range(len(parts[1]))] == ["b", "d"]


def test_a_single_process_changes_nothing() -> None:
    group = Group()
    matrix = np.arange(4).reshape(2, 2)
    assert group.summed(matrix) is matrix
    assert group.average_weight(torch.tensor(5)) == 1.0
    assert group.agreed(2.5) == 2.5
    assert group.leads
