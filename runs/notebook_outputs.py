"""Outputs of a notebook as pages show them: in a way that can do no harm.

That is text, a picture made of pixels, Markdown, or HTML of which the page's html-view
shows text and tables alone.
"""

from binascii import Error as NoBase64, a2b_base64
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
from django.utils.safestring import SafeString

from runs.file_names import printable
from runs.highlight import escaped
from runs.pictures import is_bearable, picture_of

MOST_OUTPUTS = 100
MOST_TEXT = 100_000
_MOST_HTML = 500_000
_LONGEST_NAMES = 200
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_TEXTS = ("text/plain", "text/latex", "text/html", "text/markdown")
# A picture says its size near its beginning; so many characters of base64 have that.
_PICTURE_HEAD = 256 * 1024

Text = str | list[str]


class RawOutput(msgspec.Struct):
    """As it is in the file; nbformat 3 has its data beside the text."""

    output_type: str = ""
    name: str = ""
    text: Text = ""
    # Not decoded unless it is shown, as a file may hold millions of numbers.
    data: dict[str, msgspec.Raw] = {}
    traceback: list[str] = []
    ename: str = ""
    evalue: str = ""
    html: Text = ""
    png: Text = ""
    jpeg: Text = ""


@dataclass(frozen=True, kw_only=True)
class Output:
    """Each kind has a part in templates/runs/_notebook_output.html.

    Beside `html` and `image` is the `text` that stands for them.
    """

    kind: Literal[
        "stdout", "stderr", "error", "text", "html", "image", "markdown", "note"
    ]
    text: str = ""
    html: str = ""
    image: str = ""
    is_cut: bool = False

    @property
    def printed(self) -> SafeString:
        """The text with what makes a progress bar of it."""
        return escaped(self.text)


def outputs_of(raw: list[RawOutput]) -> list[Output]:
    """What is shown below a cell."""
    shown: list[Output] = []
    for found in map(_output, raw[:MOST_OUTPUTS]):
        last = shown[-1] if shown else None
        # A stream comes in pieces, as the script printed them.
        if last and last.kind == found.kind and found.kind in ("stdout", "stderr"):
            shown[-1] = replace(last, text=last.text + found.text)
        else:
            shown.append(found)
    if left_out := len(raw[MOST_OUTPUTS:]):
        note = f"{left_out:,} more outputs are in the source."
        shown.append(Output(kind="note", text=note))
    return [_shortened(output) for output in shown]


def joined(text: Text) -> str:
    """The text; half a surrogate pair in it could not be sent."""
    whole = text if isinstance(text, str) else "".join(text)
    return whole.encode(errors="replace").decode()


def texts_in(data: dict[str, msgspec.Raw]) -> dict[str, str]:
    """What among `data` is text, and could be shown."""
    names = [name for name in (*_PICTURES, *_TEXTS) if name in data]
    return {name: text for name in names if (text := _text(data[name]))}


def picture_in(texts: dict[str, str]) -> str:
    """The address that holds the picture among `texts`; "" if none may be shown."""
    found = (_picture(texts[name]) for name in _PICTURES if name in texts)
    return next(filter(None, found), "")


def _output(raw: RawOutput) -> Output:
    match raw.output_type:
        case "stream":
            text = joined(raw.text)
            return Output(
                kind="stderr" if raw.name == "stderr" else "stdout", text=text
            )
        case "error" | "pyerr":
            said = joined("\n".join(raw.traceback) or f"{raw.ename}: {raw.evalue}")
            return Output(kind="error", text=said)
        case "display_data" | "execute_result" | "pyout":
            return _shown(raw)
    return Output(kind="note", text="An output of an unknown kind is not shown.")


def _shown(raw: RawOutput) -> Output:
    """The best of the ways in which the output is there."""
    beside = {"image/png": raw.png, "image/jpeg": raw.jpeg, "text/html": raw.html}
    beside |= {"text/plain": raw.text}
    texts = {name: joined(text) for name, text in beside.items()} | texts_in(raw.data)
    plain = texts.get("text/plain") or texts.get("text/latex", "")
    if address := picture_in(texts):
        return Output(kind="image", image=address, text=plain)
    html = texts.get("text/html", "")
    if html and len(html) <= _MOST_HTML:
        return Output(kind="html", html=html, text=plain)
    if markdown := texts.get("text/markdown"):
        return Output(kind="markdown", text=markdown)
    if plain:
        return Output(kind="text", text=plain)
    names = printable(joined(", ".join(raw.data))[:_LONGEST_NAMES])
    return Output(kind="note", text=f"There is no safe way to show it: {names}.")


def _text(raw: msgspec.Raw) -> str:
    try:
        return joined(msgspec.json.decode(raw, type=Text))
    except ValueError:
        return ""


def _picture(content: str) -> str:
    base64 = "".join(content.split())
    try:
        picture = picture_of(a2b_base64(base64[:_PICTURE_HEAD], strict_mode=True))
    except NoBase64:
        return ""
    if picture is None or not is_bearable(picture, len(base64)):
        return ""
    return f"data:{picture.content_type};base64,{base64}"


def _shortened(output: Output) -> Output:
    if len(output.text) <= MOST_TEXT:
        return output
    return replace(output, text=output.text[:MOST_TEXT], is_cut=True)
