"""Convert a folder of photos to a COCO file: one annotation for each class of each face.

python examples/masks_to_coco.py FOLDER annotations.json
"""

import json
import sys
from pathlib import Path

from rtseg import Segmenter
from rtseg.results.coco import coco_categories

if __name__ == "__main__":
    folder, output = map(Path, sys.argv[1:])
    images, annotations = [], []
    with Segmenter() as segmenter:
        for number, path in enumerate(sorted(folder.glob("*.[jp][pn]g")), start=1):
            result = segmenter(path)
            height, width = result.labels.shape
            images.append({"id": number, "file_name": path.name, "height": height, "width": width})
            first = len(annotations) + 1
            annotations += result.to_coco(image_id=number, first_id=first)
        categories = coco_categories(segmenter.label_set)
    coco = {"images": images, "annotations": annotations, "categories": categories}
    output.write_text(json.dumps(coco), encoding="utf-8")
