"""Where the faces are: the looks over the whole picture, crops, and tracks."""

from rtseg.faces.tracker import FaceTracker, TrackedFace

__all__ = ["FaceTracker", "TrackedFace"]
