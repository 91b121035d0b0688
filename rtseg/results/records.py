"""Convert segmentations to JSON values, as written by `--json` for each frame."""

from __future__ import annotations

from typing import Any

from rtseg.frames import Face, Segmentation


def face_record(face: Face) -> dict[str, Any]:
    """`{"box": [left, top, right, bottom], "face_box": [...], "track": id, "score": 0..1}`."""
    return {
        "box": [round(edge, 2) for edge in face.box.xyxy],
        "face_box": [round(edge, 2) for edge in face.face_box.xyxy],
        "track": face.track_id,
        "score": round(face.score, 4),
    }


def segmentation_record(segmentation: Segmentation) -> dict[str, Any]:
    """`{"faces": [face], "pixels": {class: count}}`; classes without a pixel are left out."""
    counts = segmentation.pixel_counts()
    return {
        "faces": [face_record(face) for face in segmentation.faces],
        "pixels": {name: count for name, count in counts.items() if count},
    }
