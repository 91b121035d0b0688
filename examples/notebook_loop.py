"""A loop that a notebook can stop: closing the generator joins its threads and frees the camera.

python examples/notebook_loop.py [SOURCE] [FRAMES]
"""

import sys
from contextlib import closing

from rtseg import stream

if __name__ == "__main__":
    source = sys.argv[1] if len(sys.argv) > 1 else "0"
    most = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    with closing(stream(source)) as frames:
        for count, (frame, segmentation) in enumerate(frames, start=1):
            print(f"{float(frame.pts_seconds):7.3f} s  {segmentation}")
            if count == most:
                break
