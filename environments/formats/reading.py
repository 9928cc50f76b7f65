"""What readers of formats share: their answer, and how bytes become text."""

from dataclasses import dataclass

from aml_portal.errors import UserError
from aml_portal.sizes import spell_size
from environments.definition import Definition

# Definitions that people write by hand or export are a hundred times smaller.
MOST_BYTES = 100_000


@dataclass(frozen=True, kw_only=True)
class Read:
    """A definition, and what of the file it could not hold, a sentence each.

    `name` is the environment's, if the file tells one.
    """

    definition: Definition
    name: str = ""
    notes: tuple[str, ...] = ()


def text_of(data: bytes, file: str, *, most: int = MOST_BYTES) -> str:
    """The text with plain line ends and without a byte order mark."""
    if len(data) > most:
        raise UserError(
            f"{file} is larger than {spell_size(most)}.",
            "That is no definition of an environment.",
        )
    try:
        # Windows' editors write UTF-16 where a mark says so.
        is_utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        text = data.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not text in UTF-8.") from error
    if "\0" in text:
        raise UserError(f"{file} has a NUL character: it is not text.")
    return text.replace("\r\n", "\n").replace("\r", "\n")
