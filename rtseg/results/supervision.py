"""Convert segmentations to `supervision.Detections`."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtseg.errors import SettingError
from rtseg.frames import Segmentation
from rtseg.results.instances import instances


def to_detections(segmentation: Segmentation) -> Any:
    """Make one detection for each class of each face.

    Returns:
        `supervision.Detections` with `xyxy`, `mask`, `class_id` (the label id), `confidence` and
        `tracker_id` (the face's, where there are faces) and `data["class_name"]`.

    Raises:
        SettingError: supervision is not installed.
    """
    try:
        import supervision
    except ImportError:
        raise SettingError(
            "to_supervision() needs the package supervision; pip install supervision"
        ) from None
    all_instances = list(instances(segmentation))
    if not all_instances:
        return supervision.Detections.empty()
    edges = np.array([instance.box for instance in all_instances], np.float32)
    edges[:, 2:] += edges[:, :2]
    faces = [instance.face for instance in all_instances if instance.face is not None]
    has_faces = len(faces) == len(all_instances)
    return supervision.Detections(
        xyxy=edges,
        mask=np.stack([instance.mask for instance in all_instances]),
        class_id=np.array([instance.label_id for instance in all_instances]),
        confidence=np.array([face.score for face in faces], np.float32) if has_faces else None,
        tracker_id=np.array([face.track_id for face in faces]) if has_faces else None,
        data={"class_name": np.array([instance.name for instance in all_instances])},
    )
