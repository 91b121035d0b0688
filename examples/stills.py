"""Count the faces in photos, and measure how much of each picture is hair.

python examples/stills.py photo.jpg …
"""

import sys

from rtseg import Segmenter

if __name__ == "__main__":
    with Segmenter() as segmenter:
        for path in sys.argv[1:]:
            result = segmenter(path)
            print(f"{path}: {len(result.faces)} faces, hair {result.mask('hair').mean():.1%}")
