"""A list of file names as a tree of folders, of which only the open ones are drawn."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from runs.file_names import in_query, printable

# Below this many files all folders are drawn; above, only the opened ones.
DRAWN_WHOLE = 400
MOST_PER_FOLDER = 1000
# Templates include themselves for each level, and Python's stack is finite.
DEEPEST_DRAWN = 12


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of a snapshot or an output; `version` tells one content from another.

    With a `target` it is a link, which is shown and not followed.
    """

    path: str
    size: int
    version: str = ""
    target: str = ""

    @property
    def name(self) -> str:
        return printable(self.path.rpartition("/")[2])

    @property
    def query(self) -> str:
        return in_query(self.path)

    @property
    def shown_target(self) -> str:
        return printable(self.target)


@dataclass(kw_only=True)
class Folder:
    """A folder with all that is below it; `path` is "" for the root."""

    path: str = ""
    folders: dict[str, "Folder"] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)
    depth: int = 0
    count: int = 0
    size: int = 0
    is_open: bool = False
    # Whether the page has its contents, or asks for them when it is opened.
    is_drawn: bool = True

    @property
    def name(self) -> str:
        return printable(self.path.rpartition("/")[2])

    @property
    def query(self) -> str:
        return in_query(self.path)

    @property
    def shown_path(self) -> str:
        return printable(self.path)

    @property
    def shown_folders(self) -> list["Folder"]:
        return [folder for _, folder in sorted(self.folders.items())][:MOST_PER_FOLDER]

    @property
    def shown_files(self) -> list[File]:
        room = MOST_PER_FOLDER - len(self.shown_folders)
        return sorted(self.files, key=lambda file: file.path)[:room]

    @property
    def left_out(self) -> int:
        shown = len(self.shown_folders) + len(self.shown_files)
        return len(self.folders) + len(self.files) - shown


def tree(files: Iterable[File], *, root: str = "", opened: str = "") -> Folder:
    """The tree of the `files` below `root`, with the way to the path `opened` open."""
    start = f"{root}/" if root else ""
    top = Folder(path=root, is_open=True)
    for file in files:
        if file.path.startswith(start):
            _add(top, file, len(start))
    draw_all = top.count <= DRAWN_WHOLE
    for folder in _all_below(top):
        leads = opened == folder.path or opened.startswith(folder.path + "/")
        folder.is_open = (leads or draw_all) and folder.depth <= DEEPEST_DRAWN
        folder.is_drawn = folder.is_open
    return top


def folder_at(files: Iterable[File], path: str) -> Folder | None:
    """The folder `path` with what is directly in it drawn; None if it is empty."""
    folder = tree(files, root=path)
    if not folder.count:
        return None
    for child in _all_below(folder):
        child.is_open = child.is_drawn = False
    return folder


def _add(folder: Folder, file: File, skip: int) -> None:
    _count(folder, file)
    end = file.path.find("/", skip)
    while end >= 0:
        name, path = file.path[skip:end], file.path[:end]
        child = Folder(path=path, depth=folder.depth + 1)
        folder = folder.folders.setdefault(name, child)
        _count(folder, file)
        skip = end + 1
        end = file.path.find("/", skip)
    folder.files.append(file)


def _count(folder: Folder, file: File) -> None:
    folder.count += 1
    folder.size += file.size


def _all_below(folder: Folder) -> Iterator[Folder]:
    waiting = [*folder.folders.values()]
    while waiting:
        child = waiting.pop()
        yield child
        waiting.extend(child.folders.values())
