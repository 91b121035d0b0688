"""Convert segmentations to common formats: instances, polygons, COCO, supervision, JSON."""
