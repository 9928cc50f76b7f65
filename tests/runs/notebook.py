"""A notebook as Jupyter saves it, with outputs of all kinds, some meaning harm."""

import base64
import json
import struct
import zlib
from typing import Any

# Whatever of these ran would change the title or ask for the address.
SCRIPT = "<script>document.title = 'taken'</script>"
ASKING = "https://tracker.example.org/pixel.png"

TRACEBACK = [
    "\x1b[0;31m---------------------------------------------------------\x1b[0m",
    "\x1b[0;31mValueError\x1b[0m          Traceback (most recent call last)",
    "Cell \x1b[0;32mIn[4], line 2\x1b[0m\n\x1b[1;32m      1\x1b[0m model.fit(X)",
    "\x1b[0;32m----> 2\x1b[0m \x1b[43mmodel\x1b[49m\x1b[38;5;241m.\x1b[39mscore(y)",
    "\x1b[0;31mValueError\x1b[0m: Expected 2D array, got 1D array instead",
]
FRAME = f"""<div>
<style scoped>
    .dataframe tbody tr th {{ vertical-align: top; }}
</style>
<table border="1" class="dataframe" style="position: fixed; inset: 0">
  <thead>
    <tr style="text-align: right;"><th></th><th>epoch</th><th>loss</th></tr>
  </thead>
  <tbody>
    <tr><th>0</th><td>1</td><td>0.693147</td></tr>
    <tr><th>1</th><td>2</td><td>0.431250</td></tr>
  </tbody>
</table>
<p onclick="document.title = 'taken'">2 rows</p>
<img src="{ASKING}" onerror="document.title = 'taken'">
<a href="javascript:document.title='taken'">more</a>
<form action="/sign-out/"><input name="x"><button>Go on</button></form>
<iframe src="{ASKING}"></iframe>
{SCRIPT}
</div>"""
INTRODUCTION = f"""# Training

A *small* model. {SCRIPT}

| a | b |
|---|---|
| 1 | 2 |

![foreign]({ASKING})
<img src="data:image/png;base64,AAAA" onerror="document.title = 'taken'">
"""
BAR = "".join(
    f"\r{done:3}%|{'█' * (done // 10):<10}| {done}/100" for done in (0, 50, 100)
)


def pixels(width: int = 320, height: int = 160) -> str:
    """A PNG in base64: a gradient."""
    row = b"".join(bytes((200, 255 * x // width, 120)) for x in range(width))
    data = zlib.compress(b"".join(b"\0" + row for _ in range(height)))
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", size), (b"IDAT", data), (b"IEND", b""))
    return base64.b64encode(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(body))
            + kind
            + body
            + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks
        )
    ).decode()


def code(source: str, *outputs: dict[str, Any], count: int | None = None) -> Any:
    return {
        "cell_type": "code",
        "execution_count": count,
        "metadata": {},
        "source": source.splitlines(keepends=True),
        "outputs": list(outputs),
    }


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": [text]}


def result(**data: Any) -> dict[str, Any]:
    """The keywords are types with an underscore for the slash."""
    types = {name.replace("_", "/", 1): content for name, content in data.items()}
    return {"output_type": "execute_result", "data": types, "metadata": {}}


def markdown(source: str, **attachments: Any) -> Any:
    return {
        "cell_type": "markdown",
        "metadata": {},
        "source": [source],
        "attachments": attachments,
    }


def notebook(*cells: Any, language: str = "python") -> bytes:
    return json.dumps(
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"language_info": {"name": language}},
            "cells": list(cells),
        },
        ensure_ascii=False,
    ).encode()


def realistic() -> bytes:
    return notebook(
        markdown(INTRODUCTION),
        code(
            "import numpy as np\n\n\ndef train(epochs: int = 3) -> float:\n"
            '    """Return the loss."""\n    for epoch in range(epochs):\n'
            '        print(f"epoch {epoch}: {1 / (epoch + 1):.3f}")  # <b>\n',
            stream("epoch 0: 1.000\n"),
            stream("epoch 1: 0.500\n\x1b[32mdone\x1b[0m\n"),
            stream("UserWarning: no GPU was found\n", "stderr"),
            stream(BAR, "stderr"),
            count=1,
        ),
        code("history", result(text_html=FRAME, text_plain="  epoch  loss"), count=2),
        code(
            "plt.plot(loss)",
            result(image_png=pixels(), text_plain="<Figure size 320x160 with 1 Axes>"),
            count=3,
        ),
        code(
            "model.fit(X)\nmodel.score(y)",
            {
                "output_type": "error",
                "ename": "ValueError",
                "evalue": "Expected 2D array",
                "traceback": TRACEBACK,
            },
            count=4,
        ),
        code("never_run()"),
        code(
            "display(widget)",
            result(text_html=SCRIPT, text_plain="Widget(value=3)"),
            result(application_javascript="document.title = 'taken'"),
            count=6,
        ),
        {"cell_type": "raw", "metadata": {}, "source": ["raw <b>text</b>"]},
    )
