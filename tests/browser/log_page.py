"""The log view of a page: what it shows, and where."""

import re

from playwright.sync_api import Locator, Page, expect

from tests.services.runs import SubmittedRun


def open_log(page: Page, run: SubmittedRun, address: str = "") -> None:
    page.goto(f"{run.portal.url}/runs/{run.run_id}/{address}")
    expect(page.locator("log-view:defined")).to_be_visible()


def part(page: Page, name: str) -> Locator:
    return page.locator(f"log-view [data-part={name}]")


def row(page: Page, number: int) -> Locator:
    """The row of a line, counted from 1, if it is painted."""
    link = page.locator(f'.log-row__number[href="#L{number}"]')
    return page.locator(".log-row:not(.log-row--missing)").filter(has=link)


def text(page: Page, number: int) -> Locator:
    return row(page, number).locator(".log-row__text")


def first_row_seen(page: Page) -> str:
    """The text of the uppermost row that is in view."""
    found: str = page.evaluate(
        """() => {
          const { top } = document.querySelector(".log-view__layer")
            .getBoundingClientRect();
          const seen = [...document.querySelectorAll(".log-row")].find(
            (row) => row.getBoundingClientRect().bottom > top + 1);
          return seen.textContent;
        }"""
    )
    return found


def live_bytes(page: Page) -> int:
    end: int = page.evaluate("document.querySelector('log-view').store.tail.end")
    return end


def live_lines(page: Page) -> list[str]:
    """The log as the page got it over its sockets alone."""
    lines: list[str] = page.evaluate(
        """() => {
          const { tail } = document.querySelector("log-view").store;
          return Array.from({ length: tail.total }, (_, line) => tail.get(line)?.t);
        }"""
    )
    return lines


def expect_hit(page: Page, number: int, count: str) -> None:
    expect(part(page, "hit-count")).to_have_text(count)
    expect(row(page, number)).to_have_class(re.compile("log-row--current"))
    expect(text(page, number).locator("mark").first).to_be_in_viewport()


def height(locator: Locator) -> float:
    box = locator.bounding_box()
    return box["height"] if box else 0


def colour(locator: Locator) -> str:
    found: str = locator.evaluate("element => getComputedStyle(element).color")
    return found


def contrast_on_paper(piece: Locator) -> float:
    """The contrast of a text with the log's paper, by the pixels of both."""
    ratio: float = piece.evaluate(
        """(element) => {
          const canvas = document.createElement("canvas").getContext("2d");
          const luminance = (colour) => {
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
            const [red, green, blue] = [...canvas.getImageData(0, 0, 1, 1).data].map(
              (part) => part / 255 <= 0.04045 ? part / 255 / 12.92
                : ((part / 255 + 0.055) / 1.055) ** 2.4);
            return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
          };
          const paper = getComputedStyle(element.closest(".log-view")).backgroundColor;
          const both = [getComputedStyle(element).color, paper].map(luminance);
          const [low, high] = both.sort((one, other) => one - other);
          return (high + 0.05) / (low + 0.05);
        }"""
    )
    return ratio
