"""The loss of a finder, minimised by a network that consists of its own map."""

import numpy as np
import torch

from rtseg.faces.centres import FACE_CENTRES, STRIDE
from rtseg.faces.finder import read_centres
from rtseg.frames import Box
from rtseg.geometry.crop import Crop
from training.augment.face_maps import PlacedFace, target_map
from training.losses.face_centres import face_centre_loss

HEIGHT, WIDTH = 96, 128


def placed(x, y, width, height, roll):
    return PlacedFace(
        x=x,
        y=y,
        width=width,
        height=height,
        roll_degrees=roll,
        visible=1.0,
        box=(x - width / 2, y - height / 2, x + width / 2, y + height / 2),
    )


def test_minimising_the_loss_finds_the_faces():
    faces = [placed(30.3, 40.1, 24, 32, 170.0), placed(93.7, 51.2, 14, 16, -40.0)]
    target = target_map(faces, [], height=HEIGHT, width=WIDTH)
    targets = torch.from_numpy(target[None]).long()
    logits = torch.zeros(
        1, len(FACE_CENTRES), HEIGHT // STRIDE, WIDTH // STRIDE, requires_grad=True
    )
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(300):
        optimizer.zero_grad()
        loss = face_centre_loss(logits, targets)
        loss.backward()
        optimizer.step()
    maps = torch.softmax(logits.detach(), 1)[0].permute(1, 2, 0).numpy()
    whole = Crop(box=Box(left=0, top=0, right=WIDTH, bottom=HEIGHT))
    detections = sorted(read_centres(maps, whole, min_score=0.5), key=lambda one: one.box.left)
    assert len(detections) == 2
    for face, wanted in zip(detections, faces, strict=True):
        assert np.allclose(face.box.centre, (wanted.x, wanted.y), atol=1.0)
        assert abs((face.roll_degrees - wanted.roll_degrees + 180) % 360 - 180) < 6
    assert np.allclose(detections[1].head.height, 1.45 * 16, rtol=0.1)


def test_uncounted_cells_have_no_gradient():
    face = placed(60, 50, 20, 24, 0.0)
    targets = torch.from_numpy(target_map([], [face], height=HEIGHT, width=WIDTH)[None]).long()
    logits = torch.randn(
        1, len(FACE_CENTRES), HEIGHT // STRIDE, WIDTH // STRIDE, requires_grad=True
    )
    face_centre_loss(logits, targets).backward()
    uncounted = targets[0, ..., 1] == 0
    assert uncounted.any()
    assert not logits.grad[0][:, uncounted].any()
    assert logits.grad[0][:, ~uncounted].any()
