"""Drop things on a page."""

from pathlib import Path

from playwright.sync_api import Locator, Page


def drop(page: Page, target: Locator, path: Path) -> None:
    """Drop a file or a folder of the disk, as the mouse of a person does."""
    page.locator("[data-part=archive]:not([name])").wait_for(state="attached")
    box = target.bounding_box()
    assert box
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send(
            "Input.dispatchDragEvent",
            {
                "type": kind,
                "x": box["x"] + box["width"] / 2,
                "y": box["y"] + 40,
                "data": {"items": [], "files": [str(path)], "dragOperationsMask": 1},
            },
        )
    session.detach()
