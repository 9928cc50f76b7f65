"""What can be seen of a container from outside, in words."""

from typing import Any

from aml_portal.sizes import spell_size
from computes.launchers.base import Sight

_OVER = ("exited", "dead")
_KILLED = 137

GONE = Sight(
    words="The container is gone: something outside the portal removed it.",
    is_over=True,
)


def sight_of(container: dict[str, Any], *, last_words: str, is_foreign: bool) -> Sight:
    """What the engine knows of a container (`docker inspect`), and what it printed.

    `is_foreign` says that its image was built for another processor.
    """
    state = container["State"]
    if state["Status"] == "paused":
        return Sight(
            words="Something outside the portal has paused the container; it goes on"
            " after docker unpause."
        )
    if state["Status"] not in _OVER:
        return Sight()
    return Sight(
        words=_how_it_ended(container, last_words, is_foreign=is_foreign),
        is_over=True,
        hint=_hint(container),
    )


def _how_it_ended(
    container: dict[str, Any], last_words: str, *, is_foreign: bool
) -> str:
    state, image = container["State"], container["Config"]["Image"]
    python = (container["Config"]["Entrypoint"] or container["Config"]["Cmd"])[0]
    code, why = state["ExitCode"], state.get("Error") or last_words
    if code == 0:
        # The runner has told the rest.
        return ""
    if is_foreign:
        return f"The image {image} was built for another processor."
    if "future feature annotations" in last_words:
        return f"{python} of the image {image} is too old: it has to be 3.8 or newer."
    match code:
        # What a shell, and so `init`, says of a program that it can't start.
        case 127:
            return f"The image {image} has no {python}: the runner needs Python."
        case 126:
            return f"{python} of the image {image} can't be run."
    return f"The container ended with exit code {code}" + (f": {why}." if why else ".")


def _hint(container: dict[str, Any]) -> str:
    state, limit = container["State"], container["HostConfig"].get("Memory")
    if state.get("OOMKilled"):
        room = f", of which it may use {spell_size(limit)}" if limit else ""
        return f"A process of the container was ended for lack of memory{room}."
    if state["ExitCode"] == _KILLED:
        return (
            "The container was killed from outside the portal, as by a restart of"
            " Docker without live-restore."
        )
    return ""
