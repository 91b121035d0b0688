"""Convert a result for supervision, and draw it with its annotators (`pip install supervision`).

python examples/supervision_annotate.py PHOTO OUTPUT.png
"""

import sys

import cv2
import supervision

from rtseg import Segmenter

if __name__ == "__main__":
    photo, output = sys.argv[1:]
    picture = cv2.imread(photo)
    with Segmenter() as segmenter:
        detections = segmenter(picture, channels="bgr").to_supervision()
    for annotator in (supervision.MaskAnnotator(), supervision.BoxAnnotator()):
        picture = annotator.annotate(picture, detections)
    cv2.imwrite(output, picture)
