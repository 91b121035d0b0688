"""Detect faces, follow them, and choose the crops around them."""

from rtseg.faces.base import FaceDetection, FaceFinder, Tracker
from rtseg.faces.following import FaceFollower, TrackedFace
from rtseg.faces.tracker import FaceTracker

__all__ = [
    "FaceDetection",
    "FaceFinder",
    "FaceFollower",
    "FaceTracker",
    "TrackedFace",
    "Tracker",
]
