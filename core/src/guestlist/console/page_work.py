"""Reviews, and the progress of the work that follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from time import monotonic

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from guestlist.console.gate import redirect, visitor
from guestlist.console.site import Site
from guestlist.console.work import BackgroundWork, ReadingWork, Review, ReviewWork, Step, StepState
from guestlist.web import page_numbers

ROWS = 200
"""Rows of a review or a result on one page."""
REVIEW_SECONDS = 3600.0
"""Seconds after which a review can no longer be started."""
LOOK_SECONDS = 0.3
"""Seconds between two checks of a live stream for changes."""
PING_SECONDS = 15.0
STREAM_SECONDS = 120.0
"""After this time a stream ends, and the browser opens another."""
MAX_STREAMS = 100


class WorkPages:
    """The endpoints of reviews and of the work that follows them.

    Args:
        is_closing: returns whether the server is about to end.
    """

    def __init__(self, site: Site, is_closing: Callable[[], bool]) -> None:
        self._site = site
        self._is_closing = is_closing
        self._streams = 0

    def review(self, request: Request) -> Response:
        """Shows what a change will do."""
        review = self._review(request)
        if review.work is not None:
            return redirect(request, f"/work/{review.work.id}")
        steps = review.steps
        number, last = page_numbers(request, len(steps), ROWS)
        return self._site.page(
            request,
            "review.html",
            review=review,
            steps=steps[(number - 1) * ROWS : number * ROWS],
            number=number,
            last=last,
        )

    def start(self, request: Request) -> Response:
        """Starts the work of a review, unless it was started already."""
        review, site, visit = self._review(request), self._site, visitor(request)
        if not review.steps:
            raise HTTPException(400, "There is nothing to do.")
        if review.work is None and monotonic() - review.made > REVIEW_SECONDS:
            raise HTTPException(
                409,
                "This review is more than an hour old, and what it shows may have changed."
                " Nothing was changed. Make a new one.",
            )

        def begin() -> BackgroundWork:
            client = site.acting(visit)
            work = ReviewWork(review, client, site.people, site.resends, visit.actor)
            site.works.add(work)
            work.start()
            return work

        work = review.start(begin)
        return redirect(request, f"/work/{work.id}")

    def show(self, request: Request) -> Response:
        """Shows the progress or the result."""
        work = self._work(request)
        if isinstance(work, ReadingWork):
            return redirect(request, work.page)
        if not isinstance(work, ReviewWork):
            return self._site.page(request, "run.html", work=work)
        order = {StepState.FAILED: 0, StepState.STOPPED: 1, StepState.RUNNING: 2}
        steps = sorted(work.steps, key=lambda step: order.get(step.progress, 3))
        number, last = page_numbers(request, len(steps), ROWS)
        return self._site.page(
            request,
            "work.html",
            work=work,
            summary=_summary(work),
            steps=steps[(number - 1) * ROWS : number * ROWS],
            number=number,
            last=last,
        )

    def stop(self, request: Request) -> Response:
        """Stops the work: no further step is started."""
        work = self._work(request)
        work.stop()
        return redirect(request, f"/work/{work.id}")

    def resume(self, request: Request) -> Response:
        """Makes the calls that were not made, because the work was stopped."""
        work = self._work(request)
        if isinstance(work, ReviewWork):
            work.resume()
        return redirect(request, f"/work/{work.id}")

    def again(self, request: Request) -> Response:
        """Makes a review of the steps that failed."""
        work, visit = self._work(request), visitor(request)
        if not isinstance(work, ReviewWork) or not work.failed:
            raise HTTPException(400, "No step has failed.")
        before = work.review
        steps = [
            Step(
                one.verb,
                one.account,
                one.who,
                one.label,
                one.forecast,
                one.tone,
                one.group,
                one.arguments,
            )
            for one in work.failed
        ]
        review = Review(
            f"Try the {len(steps)} that failed again?",
            before.warning,
            f"Try {len(steps)} again",
            steps,
            visit.actor,
            f"/work/{work.id}",
            verb=before.verb,
        )
        return redirect(request, f"/reviews/{self._site.reviews.add(review).id}")

    async def events(self, request: Request) -> Response:
        """Sends an event whenever the page of a work changes (server-sent events)."""
        work = self._work(request)
        if self._streams >= MAX_STREAMS:
            raise HTTPException(503, "Too many pages are open.")
        headers = {"X-Accel-Buffering": "no"}
        stream = self._stream(work)
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    async def _stream(self, work: BackgroundWork) -> AsyncIterator[str]:
        self._streams += 1
        try:
            began = pinged = monotonic()
            seen = -1
            yield "retry: 2000\n\n"
            while not self._is_closing() and monotonic() - began < STREAM_SECONDS:
                if work.version != seen:
                    seen = work.version
                    yield f"id: {seen}\ndata: changed\n\n"
                if not work.is_running:
                    return
                if monotonic() - pinged > PING_SECONDS:
                    pinged = monotonic()
                    yield ": still at work\n\n"
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._streams -= 1

    def _review(self, request: Request) -> Review:
        found = self._site.reviews.get(request.path_params["id"])
        if found is None:
            raise HTTPException(404, "This review is gone: nothing was changed. Make a new one.")
        return found

    def _work(self, request: Request) -> BackgroundWork:
        found = self._site.works.get(request.path_params["id"])
        if found is None:
            raise HTTPException(404, "This page is gone. The log shows what was done.")
        return found


def _summary(work: ReviewWork) -> str:
    """Returns what was done so far, as a sentence."""
    counted: dict[str, int] = {}
    for step in work.steps:
        if step.progress is StepState.DONE:
            first = step.result.partition(".")[0]
            counted[first] = counted.get(first, 0) + 1
    parts = [f"{text}: {number:,}" for text, number in counted.items()]
    if work.failed:
        parts.append(f"{len(work.failed):,} failed")
    if work.stopped:
        parts.append(f"{len(work.stopped):,} not begun, because it was stopped")
    return "; ".join(parts) + "." if parts else ""
