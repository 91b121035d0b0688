"""A page on which a picture can be dropped to get it segmented (`pip install gradio`).

python examples/gradio_app.py
"""

import gradio

from rtseg import Segmenter


def page(segmenter: Segmenter) -> gradio.Interface:
    """Make the page, without serving it."""

    def segment(picture):
        return None if picture is None else segmenter(picture).plot(picture, legend=True)

    return gradio.Interface(
        segment,
        gradio.Image(type="numpy", label="a photo"),
        gradio.Image(label="its parts"),
        title="rtseg",
        flagging_mode="never",
    )


if __name__ == "__main__":
    with Segmenter() as shared:
        page(shared).launch()
