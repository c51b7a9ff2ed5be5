"""The operations of the HTTP API: each calls the method of the library, and shows its result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from tests.api.conftest import Caller, NewServer, Server

from guestlist.console.api import jobs
from guestlist.console.api.operations import OPERATIONS
from guestlist.ledger import history
from guestlist.ledger.tokens import Right
from guestlist.runs import ApplyResult
from guestlist.runs.stop import Stop

ADA = "ada@example.com"
ENGINEERING = "group:Engineering"


def accept(server: Server, to: str = ADA) -> None:
    (email,) = server.sandbox.emails(to=to)
    server.sandbox.accept(email)


def test_the_accounts_with_what_they_can_do(caller: Caller) -> None:
    accounts = {one["account"]: one for one in caller.get("/accounts")["items"]}
    assert sorted(accounts) == ["aitronos", "vultr"]
    assert accounts["vultr"]["title"] == "Vultr IAM"
    assert "invite" in accounts["vultr"]["operations"]
    (limit,) = accounts["aitronos"]["limits"]
    assert (limit["what"], limit["count"], limit["per"]) == ("requests", 100, 60.0)
    caller.get("/accounts/check", account="aitronos")
    after = {one["account"]: one for one in caller.get("/accounts")["items"]}
    assert after["aitronos"]["limits"][0]["used"] > limit["used"]
    assert caller.get("/accounts/check", account="vultr") == {
        "account": "vultr",
        "organization": "Example Works",
    }


def test_inviting_waiting_and_removing(server: Server, caller: Caller) -> None:
    invited = caller.post("/invite", account="vultr", email=ADA)
    assert (invited["outcome"], invited["email_sent"]) == ("invited", True)
    assert caller.post("/invite", account="vultr", email=ADA)["outcome"] == "already_invited"
    assert len(server.sandbox.emails(to=ADA)) == 1
    assert caller.get("/status", account="vultr", who=ADA)["state"] == "pending"
    accept(server)
    assert caller.get("/status", account="vultr", who=ADA)["state"] == "accepted"
    assert caller.post("/invite", account="vultr", email=ADA)["outcome"] == "already_member"
    assert caller.post("/remove", account="vultr", who=ADA)["outcome"] == "removed"
    assert caller.post("/remove", account="vultr", who=ADA)["outcome"] == "already_removed"
    assert caller.get("/status", account="vultr", who=ADA)["state"] == "gone"


def test_resending_and_revoking(server: Server, caller: Caller) -> None:
    caller.post("/invite", account="aitronos", email=ADA, roles=["Member"])
    assert caller.post("/resend", account="aitronos", who=ADA)["outcome"] == "resent"
    assert len(server.sandbox.emails(to=ADA)) == 2
    assert caller.post("/revoke", account="aitronos", who=ADA)["outcome"] == "revoked"
    assert caller.post("/revoke", account="aitronos", who=ADA)["outcome"] == "already_revoked"


def test_roles_and_access(server: Server, caller: Caller) -> None:
    caller.post("/invite", account="vultr", email=ADA)
    accept(server)
    empty = caller.get("/access", account="vultr", who=ADA)
    assert empty["is_member"]
    assert "No Active Organization" in empty["explanation"]
    given = caller.post("/assign-role", account="vultr", who=ADA, role=ENGINEERING)
    assert (given["outcome"], given["role"]["name"]) == ("assigned", "Engineering")
    access = caller.get("/access", account="vultr", who=ADA)
    assert access["effective"]
    assert "explanation" not in access
    taken = caller.post("/unassign-role", account="vultr", who=ADA, role=ENGINEERING)
    assert taken["outcome"] == "unassigned"


def test_onboarding_does_not_wait(server: Server, caller: Caller) -> None:
    asked: dict[str, Any] = {"account": "vultr", "email": ADA, "roles": [ENGINEERING]}
    assert caller.post("/onboard", **asked)["outcome"] == "invited"
    assert caller.post("/onboard", **asked)["outcome"] == "invited"
    accept(server)
    done = caller.post("/onboard", **asked)
    assert (done["outcome"], done["granted"][0]["role"]["name"]) == ("onboarded", "Engineering")
    assert done["access"]["effective"]
    assert caller.post("/onboard", **asked)["outcome"] == "already_onboarded"
    assert len(server.sandbox.emails(to=ADA)) == 1


def test_the_people_of_all_accounts_page_by_page(server: Server, caller: Caller) -> None:
    for account, roles in (("vultr", []), ("aitronos", ["Member"])):
        caller.post("/invite", account=account, email=ADA, roles=roles)
    found: list[Any] = []
    page = caller.get("/people", limit=3)
    while True:
        assert page["problems"] == []
        found += page["items"]
        if "next" not in page:
            break
        page = caller.get("/people", limit=3, cursor=page["next"])
    assert len(found) == len({one["key"] for one in found}) > 3
    (ada,) = (one for one in found if one["key"] == ADA)
    assert {one["account"]: one["state"] for one in ada["guests"]} == {
        "vultr": "pending",
        "aitronos": "pending",
    }
    assert (ada["in_roster"], ada["wanted"]) == (True, ["vultr"])
    assert [one["key"] for one in caller.get("/people", match="ada@")["items"]] == [ADA]
    assert caller.get("/people", match="nobody")["items"] == []
    (there,) = caller.get("/people", match=ADA, account="vultr")["items"]
    assert [one["account"] for one in there["guests"]] == ["vultr"]
    assert caller.get("/people", 404, account="nope")["error"] == "UnknownAccount"


def test_an_audit_finds_what_should_not_be_so(new_server: NewServer, caller: Caller) -> None:
    found = caller.get("/audit", account="vultr")
    kinds = {(one["kind"], one["person"]) for one in found["findings"]}
    assert ("missing", ADA) in kinds
    assert ("not_in_roster", "ines@example.org") in kinds
    assert found["problems"] == []
    assert new_server(roster=None).caller().get("/audit", 404)["error"] == "NoRoster"


def test_offboarding_takes_a_person_out_of_every_account(server: Server, caller: Caller) -> None:
    caller.post("/invite", account="vultr", email=ADA)
    accept(server)
    caller.post("/invite", account="aitronos", email=ADA, roles=["Member"])
    planned = caller.post("/offboard", who=ADA, dry_run=True)
    assert {one["account"]: one["outcome"] for one in planned["accounts"]} == {
        "aitronos": "would_remove",
        "vultr": "would_remove",
    }
    assert caller.get("/status", account="vultr", who=ADA)["state"] == "accepted"
    done = caller.post("/offboard", who=ADA, note="left")
    assert not done["access_remains"]
    assert [one["outcome"] for one in done["accounts"]] == ["removed", "removed"]
    assert caller.get("/status", account="vultr", who=ADA)["state"] == "gone"
    lines = [one for one in history.log_lines(server.ledger.store) if one.note == "left"]
    assert {(one.account, one.actor) for one in lines} == {
        ("vultr", "deploy"),
        ("aitronos", "deploy"),
    }
    again = caller.post("/offboard", who=ADA)
    assert {one["outcome"] for one in again["accounts"]} == {"not_there"}
    assert caller.post("/offboard", 422, who="@ada")["error"] == "InvalidArgument"


def test_the_ledger_names_the_token_and_the_note(server: Server) -> None:
    caller = server.caller(name="payroll")
    caller.post("/invite", account="vultr", email=ADA, note="TICKET-7")
    caller.post("/invite", account="aitronos", email=ADA, roles=["Member"])
    lines = list(history.log_lines(server.ledger.store))
    assert [(one.account, one.actor, one.note) for one in lines] == [
        ("vultr", "payroll", "TICKET-7"),
        ("aitronos", "payroll", None),
    ]


def test_a_list_is_read_page_by_page(caller: Caller) -> None:
    people = [f"p{number}@example.com" for number in range(5)]
    for email in people:
        caller.post("/invite", account="aitronos", email=email, roles=["Member"])
    asked: dict[str, Any] = {"account": "aitronos", "limit": 2}
    found: list[str] = []
    pages, cursor = 0, ""
    while True:
        page = (
            caller.get("/invitations", **asked, cursor=cursor)
            if cursor
            else caller.get("/invitations", **asked)
        )
        pages += 1
        found += [one["email"] for one in page["items"]]
        if "next" not in page:
            break
        if pages == 2:
            again = caller.get("/invitations", **asked, cursor=cursor)
            assert again == page, "a request whose answer was lost can be repeated"
        cursor = page["next"]
    assert (pages, sorted(found)) == (3, people)


def test_a_cursor_belongs_to_one_list_and_one_token(server: Server, caller: Caller) -> None:
    cursor = caller.get("/roles", account="vultr", limit=1)["next"]
    other = server.caller()
    for who, path, query in (
        (other, "/roles", {"account": "vultr"}),
        (caller, "/members", {"account": "vultr"}),
        (caller, "/roles", {"account": "aitronos"}),
        (caller, "/roles", {"account": "vultr", "kind": "group"}),
    ):
        problem = who.get(path, 404, limit=1, cursor=cursor, **query)
        assert problem["error"] == "UnknownCursor"
    assert caller.get("/roles", account="vultr", limit=1, cursor=cursor)["items"]


def test_only_roles_of_a_kind_and_invitations_in_a_state(caller: Caller) -> None:
    groups = caller.get("/roles", account="vultr", kind="group")["items"]
    assert {one["kind"] for one in groups} == {"group"}
    caller.post("/invite", account="aitronos", email=ADA, roles=["Member"])
    pending = caller.get("/invitations", account="aitronos", state="pending")["items"]
    assert [one["email"] for one in pending] == [ADA]
    assert caller.get("/invitations", account="aitronos", state="declined")["items"] == []


def test_a_plan_is_made_reviewed_and_carried_out(server: Server, caller: Caller) -> None:
    plan = caller.plan()
    assert (plan["state"], plan["possible"]) == ("done", 3)
    assert plan["counts"] == {"aitronos": {"invite": 1}, "vultr": {"invite": 2}}
    first = caller.get(f"/plans/{plan['id']}/changes", limit=2)
    rest = caller.get(f"/plans/{plan['id']}/changes", limit=2, cursor=first["next"])
    changes = [*first["items"], *rest["items"]]
    assert [(one["account"], one["action"]) for one in changes] == [
        ("aitronos", "invite"),
        ("vultr", "invite"),
        ("vultr", "invite"),
    ]
    assert next(one for one in changes if one["email"] == ADA)["deferred"] == [ENGINEERING]
    assert server.sandbox.emails() == [], "a plan sends nothing"

    run = caller.post("/runs", 202, plan=plan["id"], note="new team")
    run = caller.ended("/runs", run)
    assert (run["state"], run["left"], run["problems"]) == ("done", 0, [])
    assert {one["account"]: one["done"] for one in run["accounts"]} == {
        "aitronos": {"invited": 1},
        "vultr": {"invited": 2},
    }
    assert len(server.sandbox.emails()) == 3
    assert caller.get("/runs")["items"] == [run]
    made = {(one.run, one.actor, one.note) for one in history.log_lines(server.ledger.store)}
    assert made >= {(run["run"], "deploy", "new team")}
    assert caller.plan()["possible"] == 0


def test_a_plan_that_is_out_of_date_is_refused(server: Server, caller: Caller) -> None:
    plan = caller.plan(accounts=["vultr"], people=[ADA])
    assert plan["possible"] == 1
    caller.post("/invite", account="vultr", email=ADA)
    run = caller.ended("/runs", caller.post("/runs", 202, plan=plan["id"]))
    assert run["state"] == "failed"
    (problem,) = run["problems"]
    assert (problem["error"], problem["happened"]) == ("Conflict", False)
    assert len(server.sandbox.emails(to=ADA)) == 1


def test_a_run_of_a_roster_that_is_invalid_says_so(new_server: NewServer, tmp_path: Path) -> None:
    roster = tmp_path / "broken.toml"
    roster.write_text("[[people]]\nemail = 7\n")
    caller = new_server(roster=roster).caller()
    plan = caller.plan()
    assert plan["state"] == "failed"
    assert plan["problems"][0]["error"] == "ConfigError"
    assert caller.get(f"/plans/{plan['id']}/changes", 409)["error"] == "NotPlanned"
    assert caller.post("/runs", 409, plan=plan["id"])["error"] == "NotPlanned"


def test_without_a_roster_nothing_is_planned(new_server: NewServer) -> None:
    caller = new_server(roster=None).caller()
    assert caller.post("/plans", 404)["error"] == "NoRoster"


def test_a_run_is_stopped_and_continued(
    server: Server, new_server: NewServer, caller: Caller, tmp_path: Path
) -> None:
    people = [f"p{number}@example.com" for number in range(30)]
    table = "".join(f'[[people]]\nemail = "{one}"\naccounts.vultr = []\n' for one in people)
    (tmp_path / "guestlist.toml").write_text('[accounts.vultr]\nprovider = "vultr"\n' + table)
    plan = caller.plan()
    run = caller.post("/runs", 202, plan=plan["id"])
    assert caller.post("/runs", 409, plan=plan["id"])["error"] == "RunUnderWay"
    while not server.sandbox.emails():
        pass
    caller.post(f"/runs/{run['id']}/stop", 202)
    stopped = caller.ended("/runs", run)
    assert stopped["state"] == "stopped"
    assert stopped["left"] > 0
    after_restart = new_server().caller()
    lost = after_restart.get(f"/runs/{run['id']}", 404)
    assert "Make a new plan and carry it out: it has what is left" in lost["hint"]
    assert after_restart.plan()["possible"] == stopped["left"]
    rest = caller.ended("/runs", caller.post("/runs", 202, plan=plan["id"]))
    assert (rest["state"], rest["left"], rest["run"]) == ("done", 0, stopped["run"])
    emails = [one.to for one in server.sandbox.emails()]
    assert sorted(emails) == sorted(people), "everybody gets one email"


def test_a_plan_and_a_run_that_do_not_exist(caller: Caller) -> None:
    for path in ("/plans/0123456789abcdef", "/runs/0123456789abcdef"):
        assert caller.get(path, 404)["error"] == "NotFound"
    assert caller.post("/runs", 404, plan="0123456789abcdef")["error"] == "NotFound"


def test_old_plans_are_dropped_but_not_one_that_is_carried_out(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def apply(*_: Any, stop: Stop, **__: Any) -> ApplyResult:
        assert stop.wait(60)
        return ApplyResult(interrupted=True)

    monkeypatch.setattr(jobs, "MAX_PLANS", 2)
    monkeypatch.setattr(jobs, "apply", apply)
    first = caller.plan()
    run = caller.post("/runs", 202, plan=first["id"])
    others = [caller.plan(people=[ADA])["id"] for _ in range(3)]
    assert caller.get(f"/plans/{first['id']}/changes")["items"]
    assert caller.get(f"/plans/{others[0]}", 404)["error"] == "NotFound"
    assert caller.get(f"/plans/{others[-1]}")["state"] == "done"
    caller.post(f"/runs/{run['id']}/stop", 202)
    assert caller.ended("/runs", run)["state"] == "stopped"
    caller.plan(people=[ADA])
    assert caller.get(f"/plans/{first['id']}", 404)["error"] == "NotFound"


def test_where_a_plan_is(server: Server, caller: Caller) -> None:
    answer = caller.http.post("/api/v1/plans", json={})
    assert answer.headers["location"] == f"/api/v1/plans/{answer.json()['id']}"
    assert answer.headers["retry-after"] == "1"


def test_mounted_in_an_application(server: Server, caller: Caller) -> None:
    app = Starlette(routes=[Mount("/tools/api", server.api)])
    headers = {"authorization": f"Bearer {caller.secret}"}
    with TestClient(app, headers=headers) as http:
        assert http.get("/tools/api/v1/accounts").status_code == 200
        made = http.post("/tools/api/v1/plans", json={})
        assert made.headers["location"] == f"/tools/api/v1/plans/{made.json()['id']}"
        assert http.get(made.headers["location"]).json()["id"] == made.json()["id"]


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("/invite", {"account": "nope", "email": ADA}, 404, "UnknownAccount"),
        ("/invite", {"account": "vultr", "email": "a@b"}, 422, "InvalidArgument"),
        ("/invite", {"account": "aitronos", "email": ADA, "roles": ["x"]}, 422, "UnknownRole"),
        ("/invite", {"account": "vultr", "email": ADA, "send_email": False}, 422, "Unsupported"),
        (
            "/invite",
            {"account": "vultr", "email": ADA, "options": {"x": 1}},
            422,
            "InvalidArgument",
        ),
        (
            "/invite",
            {"account": "vultr", "email": ADA, "options": {"x": ["\0"]}},
            422,
            "InvalidArgument",
        ),
        ("/resend", {"account": "vultr", "who": ADA}, 404, "NotFound"),
        ("/revoke", {"account": "vultr", "who": ADA}, 422, "Unsupported"),
        ("/assign-role", {"account": "vultr", "who": ADA, "role": ENGINEERING}, 409, "Conflict"),
    ],
)
def test_errors_of_the_library(
    caller: Caller, path: str, body: dict[str, Any], status: int, error: str
) -> None:
    problem = caller.post(path, status, **body)
    assert (problem["error"], problem["happened"], problem["status"]) == (error, False, status)
    assert problem["type"].startswith("urn:problem-type:guestlist:")
    assert problem["instance"] == f"/api/v1{path}"
    assert problem["hint"]


def test_every_operation_has_a_unique_name_and_says_what_it_does() -> None:
    names = [one.name for one in OPERATIONS]
    assert len(set(names)) == len(names)
    for one in OPERATIONS:
        assert one.text.partition("\n")[0].endswith("."), one.name
        assert one.right is Right.READ or one.method == "POST", one.name
