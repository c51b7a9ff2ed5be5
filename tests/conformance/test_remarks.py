"""What the suite says of providers that are wrong: a short remark, once, at the right place."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

import guestlist.sandbox
import pytest_guestlist.conformance
from guestlist.plugins import installed

pytest_plugins = ["pytester"]

HERE = Path(__file__).parent

SUITE = """\
from plain_service import *
from plain_provider import *
from guestlist.provider import Options
from pytest_guestlist.conformance import ProviderSuite, Example

class Broken(Plain):
{broken}
{more}
class Odd(PlainService):
{odd}

class TestBroken(ProviderSuite):
    kind = Broken
    service = Odd
    documented = {documented}
"""


@pytest.fixture
def told(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Told:
    # pytester forgets what is loaded within its runs: two copies of a class would not be the same
    assert guestlist.sandbox
    assert pytest_guestlist.conformance
    assert installed().providers
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.delenv("CI", raising=False)  # pytest prints more there
    monkeypatch.delenv("BUILD_NUMBER", raising=False)
    return Told(pytester)


class Told:
    """Runs the suite on a provider that overrides something of the plain one."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester
        self.outcomes: dict[str, int] = {}

    def __call__(
        self,
        broken: str,
        chosen: str = "",
        odd: str = "pass",
        more: str = "",
        documented: str = "()",
    ) -> str:
        """What is printed.

        Args:
            broken: the body of the provider's class.
            chosen: which tests.
            odd: the body of the class of its service.
            more: what the module of the provider holds besides.
            documented: what the documentation of the service shows.
        """
        bodies = {
            name: indent(dedent(body), "    ").strip("\n")
            for name, body in (("broken", broken), ("odd", odd))
        }
        self._pytester.makepyfile(
            test_broken=SUITE.format(**bodies, more=more, documented=documented)
        )
        options = (
            "-n0",
            "-ra",
            "-p",
            "no:hypothesispytest",
            "-p",
            "no:schemathesis",
            "-p",
            "no:cacheprovider",
            "-k",
            chosen,
        )
        result = self._pytester.runpytest_inprocess(*options)
        self.outcomes = result.parseoutcomes()
        return str(result.stdout)


UNREADABLE = """
    @operation
    def get_invitation(self, id):
        reply = yield Request.get("invitations", id)
        return Invitation(id=reply.mapping()["number"])
"""


def test_an_operation_that_never_works_is_remarked_once(told: Told) -> None:
    said = told(UNREADABLE)

    assert told.outcomes["errors"] == 1
    assert "rule:      every operation works on the service" in said
    assert "KeyError: 'number'), after GET /invitations/i-0" in said
    assert "look at:   Broken.get_invitation (test_broken.py:10)" in said
    assert "step 'get_invitation' of the walkthrough has failed with MalformedResponse" in said
    assert "Traceback" not in said
    assert len(said.splitlines()) < 120  # most of them say what is skipped


def test_an_error_in_the_middle_of_a_test_is_a_remark(told: Told) -> None:
    said = told(UNREADABLE, "test_get_of_an_unknown_id or test_pending")

    assert told.outcomes == {"failed": 1, "passed": 1, "deselected": told.outcomes["deselected"]}
    assert "rule:      An invited person is pending, by address and by id." in said
    assert "look at:   Broken.get_invitation (test_broken.py:10)" in said
    assert len(said.splitlines()) < 30


ROUNDABOUT = """
    @operation
    def invite(self, new):
        yield Request.get("roles", query={"limit": 50})
        return (yield from super().invite(new))

    @operation
    def resend(self, invitation):
        yield Request.post("invitations", str(invitation.id), "resend")
        now = {"state": State.PENDING, "expires_at": None, "created_at": None}
        return invitation.model_copy(update=now)

    @operation
    def invitations(self, cursor=None):
        known = yield Request.get("roles", query={"limit": 50})
        page = yield from super().invitations(cursor)
        names = {role["id"]: role["id"] for role in known.items("items")}
        return Page([named(one, names) for one in page.items], page.next)

    @operation
    def members(self, cursor=None):
        page = yield from super().members(cursor)
        known = yield Request.get("roles", query={"limit": 50})
        names = {role["id"]: role["id"] for role in known.items("items")}
        return Page([named(one, names) for one in page.items], page.next)
"""
NAMED = """

def named(one, names):
    roles = [role.model_copy(update={"name": names.get(role.id)}) for role in one.roles]
    return one.model_copy(update={"roles": tuple(roles)})
"""
REMINDING = """
    def build(self):
        app = super().build()
        path = "/invitations/{id}/resend"
        app.routes.insert(0, Route(path, self._guarded(self.resend), methods=["POST"]))
        return app

    async def resend(self, request):
        record = self._find(request.path_params["id"])
        if record is None:
            return refusal(404, "no such invitation")
        record["expires_at"] = (self.clock.now() + LIFETIME).isoformat()
        self.mail(record, "You are still invited")
        return Response(status_code=202)
"""


def test_several_requests_and_answers_without_a_body_are_no_mistakes(told: Told) -> None:
    said = told(ROUNDABOUT, odd=REMINDING, more=NAMED)

    assert told.outcomes.keys() == {"passed", "skipped"}, said
    assert "resend returns no state as a word of the service" in said


GUESSED = """
    @operation
    def invitations(self, cursor=None):
        known = yield Request.get("roles", query={"limit": 50})
        page = yield from super().invitations(cursor)
        guessed = [
            one.model_copy(update={"state": State.PENDING})
            if one.state is State.UNKNOWN
            else one
            for one in page.items
        ]
        return Page(guessed, page.next)
"""


def test_a_guessed_state_is_found_in_a_list_of_several_requests(told: Told) -> None:
    said = told(GUESSED, "test_unknown_state_word or test_state_that_is_no_word")

    assert told.outcomes["failed"] == 2
    remarks = said.partition("short test summary")[0]  # which is longer where CI is set
    assert remarks.count("look at:   Broken.invitations (test_broken.py:7), its table from") == 2


ENDLESS = """
    @operation
    def invitations(self, cursor=None):
        cursor = "0"
        while cursor:
            reply = yield Request.get("roles", query={"limit": 50, "cursor": cursor})
            cursor = following(reply.json())
        return (yield from super().invitations(cursor))
"""


def test_remarks_point_at_what_the_author_has_written(told: Told) -> None:
    said = told(ENDLESS, "test_finding_ends")

    assert "rule:      A service that answers every cursor with the same page" in said
    assert "the last one GET https://sandbox.test/roles" in said
    assert "Broken.invitations (test_broken.py:7)" in said
    assert "find_" not in said.replace("test_finding_ends", "")


FORGETFUL = """
    @operation
    def get_invitation(self, id):
        read = yield from super().get_invitation(id)
        return read.model_copy(update={"expires_at": None})

    @operation
    def members(self, cursor=None):
        page = yield from super().members(cursor)
        return Page([one.model_copy(update={"joined_at": None}) for one in page.items], page.next)
"""
JOINED = """
    def accept(self, invitation):
        super().accept(invitation)
        self.people[-1]["joinedAt"] = int(self.clock.seconds() * 1000)
"""


def test_moments_that_are_not_read_are_found(told: Told) -> None:
    said = told(FORGETFUL, "test_dates_in_answers", odd=JOINED)

    assert told.outcomes["failed"] == 2
    assert "expected:  expires_at = 2026-05-11T09:15:00+00:00 in a field of the invitation" in said
    assert "expected:  joinedAt = 2026-05-04T09:15:00+00:00 in a field of the member" in said
    assert "look at:   Broken.members (test_broken.py:12)" in said


LASTING = """
    async def get(self, request):
        told = json.loads((await super().get(request)).body)
        if told.pop("expires_at", None):
            told["expires_in"] = 604800
        return JSONResponse(told, 200 if "id" in told else 404)
"""


def test_a_duration_that_is_not_read_is_found(told: Told) -> None:
    said = told(FORGETFUL, "test_dates_in_answers and get_invitation", odd=LASTING)

    assert "expected:  an expires_at, because of expires_in = 604800" in said


DEAF = """
    @operation
    def revoke(self, invitation):
        yield Request.delete("invitations", str(invitation.id))
"""
POLITE = """
    def _guarded(self, handle):
        guarded = super()._guarded(handle)

        async def answer(request):
            got = await guarded(request)
            return JSONResponse({"ok": False}) if got.status_code == 403 else got

        return answer
"""


def test_a_refusal_in_a_200_that_is_not_read_is_found(told: Told) -> None:
    said = told(DEAF, "test_reading_credentials_change_nothing", odd=POLITE)

    assert "got:       no error\nlook at:   Broken.revoke (test_broken.py:7)" in said


OPTIONS = """
    class Options(Options):
        message: str = ""
        team: str | None = None

    @operation
    def invite(self, new):
        options = new.options or self.Options()
        json = {"email": new.email, "role": "reader", "message": options.message}
        reply = yield Request.post("invitations", json=json)
        return read_invitation(reply.mapping())
"""


def test_an_option_that_is_not_sent_is_found(told: Told) -> None:
    said = told(OPTIONS, "test_text_option_is_sent")

    assert (told.outcomes["failed"], told.outcomes["passed"]) == (1, 1)
    assert "expected:  team='zugzwang' in a request" in said


LINKED = """
    @operation
    def invitations(self, cursor=None):
        reply = yield Request.get("invitations", query={"cursor": cursor})
        return Page([], reply.headers.get("link"))
"""


def test_a_documented_answer_has_headers(told: Told) -> None:
    shown = 'Example("invitations", {{}}, {{"next": {}}}, headers={{"Link": "2"}})'
    documented = f"({shown.format(repr('2'))}, {shown.format(repr('3'))})"
    said = told(LINKED, "test_documented_answer_is_read", documented=documented)

    assert (told.outcomes["failed"], told.outcomes["passed"]) == (1, 1)
    assert "expected:  next is '3', not '2'" in said


def test_a_missing_provider_is_reported_without_a_traceback(
    told: Told, pytester: pytest.Pytester
) -> None:
    program = pytester.makepyfile("""
        from plain_service import PlainService
        from pytest_guestlist.conformance import ProviderSuite

        class TestNowhere(ProviderSuite):
            service = PlainService
    """)
    said = str(
        pytester.runpytest_inprocess(
            "-n0", "-p", "no:hypothesispytest", "-p", "no:schemathesis", program
        ).stdout
    )

    assert "no provider 'plain' is installed" in said
    assert "Or name its class in `kind`." in said
    assert "conformance/base.py" not in said


def test_a_failure_shows_the_requests_and_the_likely_cause(told: Told) -> None:
    said = told(
        """
        @operation
        def revoke(self, invitation):
            yield Request.post("invitations", json={"email": "", "role": None, "token": "S3CRET-7"})
        """,
        "test_revoke_withdraws",
        """
        async def create(self, request):
            wanted = json.loads(await request.body())
            if not wanted["email"]:
                return JSONResponse({"error": {"message": "no address"}}, 422)
            return await super().create(request)
        """,
    )

    assert "sent:      " in said
    assert "POST /invitations" in said
    assert '-> 422 {"error":{"message":"no address"}}' in said
    assert "S3CRET-7" not in said
    assert "cause:     This line does not expect" in said
    assert "Likely cause" not in said


def test_a_service_that_refuses_to_decline_skips_with_the_reason(told: Told) -> None:
    said = told(
        "pass",
        "test_declined",
        """
        def decline(self, invitation):
            raise SandboxRefusal("invitees can only let it expire")
        """,
    )

    assert told.outcomes["skipped"] == 1
    assert "no way to decline: invitees can only let it expire" in said


def test_a_step_that_was_not_run_is_named_with_the_reason(told: Told) -> None:
    said = told(
        """
        @operation
        def get_member(self, id):
            reply = yield Request.get("members", id)
            return read_member(reply.mapping())
        """,
        "test_refusal",
        """
        def accept(self, invitation):
            pass
        """,
    )

    assert "step 'get_member' of the walkthrough was not run: ada@example.com accepted" not in said
    assert "step 'get_member' of the walkthrough was not run: bob@example.com accepted" in said


EAGER = """
    @operation
    def roles(self, cursor=None):
        page = yield from super().roles(cursor)
        assert page.items[0]
        return page
"""


def test_remark_names_the_emptied_list(told: Told) -> None:
    said = told(EAGER, "test_empty_list")

    assert told.outcomes["failed"] == 1
    assert "with items emptied: MalformedResponse" in said


NAMELESS = """
    @operation
    def organization(self):
        yield Request.get("members")
        return self.base_url
"""


def test_organization_without_a_name_is_where_the_service_is(told: Told) -> None:
    said = told(NAMELESS, "test_organization_is_named")

    assert told.outcomes["failed"] == 1
    assert "expected:  a name, or the host and path of base_url without the scheme" in said
    told(NAMELESS.replace("base_url", "base_url.partition('://')[2]"), "test_organization_is_named")
    assert told.outcomes["passed"] == 1
