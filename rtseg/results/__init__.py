"""Segmentations in the shapes that other tools know: instances, polygons, COCO, supervision."""
