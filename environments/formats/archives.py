"""The files of an environment in one: a zip, as it is uploaded and downloaded."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath

from aml_portal.errors import UserError
from aml_portal.sizes import spell_size

_MOST_FILES = 100
MOST_BYTES = 4_000_000
# Each file has a time in a zip; always the same makes it the same zip.
_TIME = (2020, 1, 1, 0, 0, 0)


def unpack(data: bytes, file: str, *, wanted: frozenset[str]) -> dict[str, bytes]:
    """The wanted files of the archive's topmost folder that has any."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            _check(members, file)
            chosen = _topmost(members, wanted)
            return {name: _content(archive, chosen[name], file) for name in chosen}
    except UserError:
        raise
    except Exception as error:
        # Whatever the decompressors and zipfile itself make of bytes of strangers.
        raise UserError(f"{file} is not a zip that can be read.") from error


def pack(files: Mapping[str, str]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, _TIME), text)
    return whole.getvalue()


def _check(members: list[zipfile.ZipInfo], file: str) -> None:
    if len(members) > _MOST_FILES:
        raise UserError(
            f"{file} has more than {_MOST_FILES} files.",
            "Take only those of the environment.",
        )


def _topmost(
    members: list[zipfile.ZipInfo], wanted: frozenset[str]
) -> dict[str, zipfile.ZipInfo]:
    found: dict[PurePosixPath, dict[str, zipfile.ZipInfo]] = {}
    for member in members:
        path = PurePosixPath(member.filename)
        if path.name in wanted:
            found.setdefault(path.parent, {})[path.name] = member
    if not found:
        return {}
    return found[min(found, key=lambda folder: (len(folder.parts), str(folder)))]


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: str) -> bytes:
    """Whatever size it claims, no more than the limit is unpacked."""
    with archive.open(member) as stream:
        data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise UserError(
            f"{member.filename} in {file} is over {spell_size(MOST_BYTES)}."
        )
    return data
