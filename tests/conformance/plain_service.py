"""The plain service, imitated in memory."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from guestlist.sandbox import SandboxRefusal, Service

LIFETIME = timedelta(days=7)
OWNER, READER = "PLAIN-OWNER-KEY", "PLAIN-READER-KEY"
ROLES = ("admin", "reader")

Handler = Any


class PlainService(Service):
    name = "plain"
    title = "Plain"
    profiles = ("plain",)

    def build(self) -> Starlette:
        self.records: list[dict[str, Any]] = []
        self.people = [{"id": "m-0", "email": "olga@example.org", "name": "Olga", "role": "admin"}]
        guarded = self._guarded
        one = "/invitations/{id:path}"
        return Starlette(
            routes=[
                Route("/invitations", guarded(self.create), methods=["POST"]),
                Route("/invitations", guarded(self.listed)),
                Route(one, guarded(self.get)),
                Route(one, guarded(self.revoke), methods=["DELETE"]),
                Route("/members", guarded(self.members)),
                Route("/roles", guarded(self.roles)),
            ]
        )

    def _guarded(self, handle: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            key = request.headers.get("authorization", "").removeprefix("Bearer ")
            if key not in (OWNER, READER):
                return refusal(401, "unknown key")
            if key == READER and request.method != "GET":
                return refusal(403, "this key may only read")
            return await handle(request)  # type: ignore[no-any-return]

        return answer

    async def create(self, request: Request) -> Response:
        wanted = json.loads(await request.body())
        email = wanted["email"].strip().lower()
        if any(one["email"].lower() == email for one in self.people):
            return refusal(409, "already a member")
        if any(self._open(one) and one["email"].lower() == email for one in self.records):
            return refusal(409, "already invited")
        now = self.clock.now()
        record = {
            "id": f"i-{len(self.records)}",
            "email": wanted["email"],
            "role": wanted["role"] or ROLES[-1],
            "status": "pending",
            "created_at": now.isoformat(),
            "expires_at": (now + LIFETIME).isoformat(),
        }
        self.records.append(record)
        self.mail(record, "You are invited")
        return JSONResponse(self._shown(record), 201)

    def mail(self, record: dict[str, Any], subject: str) -> None:
        """Sends the email of an invitation."""
        self.outbox.send(
            self.name,
            invitation=record["id"],
            to=record["email"],
            sender="hello@plain.example",
            organization="Plain",
            subject=subject,
            text="Welcome",
            link=None,
            expires_at=self.clock.now() + LIFETIME,
        )

    async def listed(self, request: Request) -> Response:
        return page(request, [self._shown(one) for one in self.records])

    async def get(self, request: Request) -> Response:
        record = self._find(request.path_params["id"])
        return JSONResponse(self._shown(record)) if record else refusal(404, "no such invitation")

    async def revoke(self, request: Request) -> Response:
        record = self._find(request.path_params["id"])
        if record is None:
            return refusal(404, "no such invitation")
        if record["status"] == "accepted":
            return refusal(409, "it was accepted")
        record["status"] = "revoked"
        return Response(status_code=204)

    async def members(self, request: Request) -> Response:
        return page(request, self.people)

    async def roles(self, request: Request) -> Response:
        return page(request, [{"id": name} for name in ROLES])

    def _find(self, id: str) -> dict[str, Any] | None:
        return next((one for one in self.records if one["id"] == id), None)

    def _open(self, record: dict[str, Any]) -> bool:
        return bool(self._shown(record)["status"] == "pending")

    def _shown(self, record: dict[str, Any]) -> dict[str, Any]:
        lapsed = record["expires_at"] <= self.clock.now().isoformat()
        return (
            {**record, "status": "expired"} if lapsed and record["status"] == "pending" else record
        )

    def settings(self, base_url: str) -> dict[str, str]:
        return {"base_url": base_url, "api_key": OWNER}

    def read_only_settings(self, base_url: str) -> dict[str, str]:
        return {"base_url": base_url, "api_key": READER}

    def accept(self, invitation: str) -> None:
        record = self._end(invitation, "accepted")
        person = {"id": f"m-{len(self.people)}", "name": "", "role": record["role"]}
        self.people.append({**person, "email": record["email"]})

    def decline(self, invitation: str) -> None:
        self._end(invitation, "declined")

    def _end(self, invitation: str, word: str) -> dict[str, Any]:
        record = self._find(invitation)
        if record is None or not self._open(record):
            raise SandboxRefusal("this invitation is not open")
        record["status"] = word
        return record

    def snapshot(self) -> dict[str, Any]:
        records = [
            {**self._shown(one), "state": self._shown(one)["status"]} for one in self.records
        ]
        return {"invitations": records, "members": self.people}


def refusal(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)


def page(request: Request, records: list[dict[str, Any]]) -> Response:
    start = int(request.query_params.get("cursor") or 0)
    end = start + int(request.query_params.get("limit") or 50)
    following = str(end) if end < len(records) else None
    return JSONResponse({"items": records[start:end], "next": following})
