"""Recolour lips in a video.

python examples/lip_recolour.py INPUT OUTPUT.mp4 [#b0122a]
"""

import sys

from rtseg import process_video

if __name__ == "__main__":
    source, output, *colour = sys.argv[1:]
    shade = colour[0] if colour else "#b0122a"
    process_video(source, output, effects=[f"lips={shade}:0.75"])
