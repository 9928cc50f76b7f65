"""The log of a run over HTTP: some lines, a search, and the raw bytes."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.views.decorators.http import require_GET, require_safe

from aml_portal.durations import short_duration
from runs.access import get_run
from runs.byte_ranges import Part, asked_part
from runs.environment_events import environment_events
from runs.logs import Line, LogReader, search as search_log
from runs.mirror import log_path
from runs.models import Run
from runs.status import EndReason

_MAX_LINES = 1000
_PIECE = 1024 * 1024


@require_GET
def lines(request: HttpRequest, run_id: str) -> HttpResponse:
    """`count` lines from line `start` on; a negative `start` counts from the end.

    With those at the end it is told what stands above the script's own lines.
    """
    run = get_run(request, run_id)
    start, count = _number(request, "start", 0), _number(request, "count", _MAX_LINES)
    if start is None or count is None:
        return _refusal("Give whole numbers for start and count.")
    # Asked before the log is read: what is over by now can't grow afterwards.
    final = not run.is_active
    with LogReader(log_path(run_id)) as log:
        above = {}
        if start < 0:
            start = max(0, log.total + start)
            above["head"] = _head(run, log)
        found = log.lines(start, max(0, min(count, _MAX_LINES)))
        answer = {
            "start": start,
            "lines": [_line_as_json(line) for line in found],
            "total": log.total,
            "size": log.size,
            "final": final,
            **above,
        }
    return JsonResponse(answer, json_dumps_params={"ensure_ascii": False})


def _head(run: Run, log: LogReader) -> dict[str, Any] | None:
    """How many lines are of the making of the environment, and what came of that.

    None while that is not known, and where nothing was said of it.
    """
    if run.end_reason == EndReason.PREPARE_FAILED:
        return {"lines": 0, "title": run.error}
    told = environment_events(run.run_id)
    # The event may have come before the lines.
    if not told.log_bytes or told.log_bytes > log.size:
        return None
    count = log.mark_at(told.log_bytes).newlines
    title = "Environment is ready"
    if told.seconds is not None:
        title = f"Environment built in {short_duration(told.seconds)}"
    return {"lines": count, "title": title} if count else None


@require_GET
def search(request: HttpRequest, run_id: str) -> HttpResponse:
    """Lines with the text `q` from byte `from` on; `next` says where to go on."""
    get_run(request, run_id)
    start = _number(request, "from", 0)
    if start is None or start < 0:
        return _refusal("Give a byte offset for from.")
    with LogReader(log_path(run_id)) as log:
        found = search_log(
            log,
            request.GET.get("q", ""),
            start=start,
            ignore_case=request.GET.get("case") != "1",
        )
    hits = [{"line": hit.line, "o": hit.offset, "t": hit.text} for hit in found.hits]
    return JsonResponse({"hits": hits, "next": found.next})


@require_safe
def raw(request: HttpRequest, run_id: str) -> HttpResponseBase:
    """The log as the script wrote it, or the part that a Range header names."""
    run = get_run(request, run_id)
    path = log_path(run_id)
    size = path.stat().st_size if path.exists() else 0
    part = asked_part(request, size)
    if part is None:
        headers = {"Content-Range": f"bytes */{size}"}
        return HttpResponse(status=416, headers=headers)
    response: HttpResponseBase = (
        HttpResponse()
        if request.method == "HEAD"
        else StreamingHttpResponse(_pieces(path, part))
    )
    response.status_code = 206 if part.is_partial else 200
    for name, value in _raw_headers(run.run_id, part, size).items():
        response.headers[name] = value
    return response


async def _pieces(path: Path, part: Part) -> AsyncIterator[bytes]:
    """Read without holding up the event loop, and without holding it all in memory."""
    position = part.start
    if position == part.stop:
        return
    with await asyncio.to_thread(path.open, "rb") as file:
        while position < part.stop:
            length = min(_PIECE, part.stop - position)
            data = await asyncio.to_thread(os.pread, file.fileno(), length, position)
            if not data:
                raise OSError(f"{path} became shorter while it was sent")
            yield data
            position += len(data)


def _raw_headers(run_id: str, part: Part, size: int) -> dict[str, str]:
    return {
        **part.headers(size),
        "Content-Disposition": f'attachment; filename="{run_id}_std_log.txt"',
        "Content-Type": "text/plain; charset=utf-8",
        "X-Content-Type-Options": "nosniff",
    }


def _line_as_json(line: Line) -> dict[str, Any]:
    facts: dict[str, Any] = {"o": line.offset, "n": line.length, "t": line.text}
    if line.end is not None:
        facts["e"] = line.end
    return facts


def _number(request: HttpRequest, name: str, default: int) -> int | None:
    """The whole number given as `name`; None for anything else."""
    text = request.GET.get(name, str(default))
    return int(text) if re.fullmatch(r"-?\d{1,18}", text, re.ASCII) else None


def _refusal(sentence: str) -> JsonResponse:
    return JsonResponse({"error": sentence}, status=400)
