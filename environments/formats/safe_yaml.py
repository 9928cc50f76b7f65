"""YAML of strangers: plain data alone, as strings, and of bounded size when unfolded.

Numbers and booleans stay as they were written, so that `python=3.10` under a version
key is not 3.1; anchors, aliases and merge keys work.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from aml_portal.errors import UserError

_MOST_NODES = 20_000


class _Loader(yaml.SafeLoader):
    pass


# Only what is no string by itself: nothing, and the key that merges.
_KEPT = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")
_Loader.yaml_implicit_resolvers = {
    letter: kept
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    if (kept := [each for each in resolvers if each[0] in _KEPT])
}


def read_mapping(text: str, file: str) -> Mapping[str, Any]:
    """The mapping that a YAML text holds. Raises UserError."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise UserError(f"{file} is empty.")
            _check_size(node, file)
            value = loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise UserError(f"{file} is not YAML{_place(error)}: {_why(error)}.") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f"{file} is not YAML that can be read.") from error
    if not isinstance(value, Mapping):
        raise UserError(f"{file} has to hold names and values, and does not.")
    return value


def _check_size(node: yaml.Node, file: str) -> None:
    """Refuse what its aliases make much larger than it looks."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) in sizes:
            if sizes[id(node)] == 0:
                raise UserError(f"{file} has an alias that contains itself.")
            return sizes[id(node)]
        if isinstance(node, yaml.ScalarNode):
            # Half of a character can be written down, but is nowhere taken.
            node.value.encode()
        sizes[id(node)] = 0
        sizes[id(node)] = total = 1 + sum(size(each) for each in _inside(node))
        if total > _MOST_NODES:
            raise UserError(f"{file} unfolds to more than {_MOST_NODES:,} values.")
        return total

    size(node)


def _inside(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [each for pair in node.value for each in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _place(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f" (line {mark.line + 1})" if mark else ""


def _why(error: yaml.MarkedYAMLError) -> str:
    return ", ".join(part for part in (error.context, error.problem) if part)
