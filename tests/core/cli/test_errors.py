"""What goes wrong: one readable line, the hint, the exit code, and no traceback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from guestlist import errors
from guestlist.cli.exit_codes import Bug, Interrupted, exit_code
from guestlist.cli.printing import print_errors
from guestlist.exchange.policy import PREPARED_HINT
from guestlist.sandbox import Sandbox

from .conftest import Cli, Run

ADA = "ada@example.com"
ANYWHERE = "0.0.0.0"  # noqa: S104 - nothing listens there: it is refused


def failed(run: Run, code: int, message: str, hint: str = "") -> None:
    """One line of error, one of hint at most, nothing else."""
    assert run.code == code
    lines = run.err.splitlines()
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert [line for line in lines[1:] if not line.startswith("hint: ")] == []
    assert hint in "".join(lines[1:])
    assert "Traceback" not in run.err


@pytest.mark.parametrize(
    ("kinds", "code"),
    [
        ([], 0),
        ([errors.Forbidden], 1),
        ([errors.ServiceUnavailable], 1),
        ([errors.Conflict], 1),
        ([errors.InvalidArgument], 2),
        ([errors.UnknownRole], 2),
        ([errors.Unsupported], 2),
        ([errors.UnknownAccount], 2),
        ([errors.OutcomeUnknown], 3),
        ([errors.WaitTimeout], 4),
        ([Bug], 70),
        ([Interrupted], 130),
        ([errors.InvalidArgument, errors.Conflict], 1),
        ([errors.InvalidArgument, errors.WaitTimeout], 4),
        ([errors.Conflict, errors.OutcomeUnknown, errors.InvalidArgument], 3),
    ],
)
def test_exit_codes(kinds: list[type[errors.GuestlistError]], code: int) -> None:
    assert exit_code([kind("no") for kind in kinds]) == code


def test_an_error_of_a_call_that_may_have_happened_is_an_unknown_outcome() -> None:
    error = errors.ServiceUnavailable("no answer")
    error.happened = None
    assert exit_code([error]) == 3


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["invit", ADA], "there is no command 'invit'; did you mean 'invite'?", "--help"),
        (["invite"], "ADDRESS is missing", "guestlist invite --help"),
        (["-a", "cloud", "members"], "'-a' is an option of `members`", "guestlist members -a"),
        (["--role=x", "invite", ADA], "'--role' is an option of `invite`", "invite --role"),
        (["--nope", "invite", ADA], "unknown option '--nope'", "guestlist --help"),
        (["--jsn", "members"], "unknown option '--jsn'; did you mean '--json'?", ""),
        (["status", "-x"], "unknown option '-x'", "guestlist status --help"),
        (["status", "-x", ADA], "unknown option '-x'", "guestlist status --help"),
        (["sandbox", "vultr"], "unexpected argument 'vultr'", "guestlist sandbox --help"),
        (["members", "-a"], "-a/--account needs a value", "guestlist members --help"),
        (["help"], "there is no command 'help'", "guestlist --help"),
        (["--config=", "members"], "--config: the value is empty", ""),
        (["apply", "--plan", ""], "--plan: the value is empty", ""),
        (["log", "-a", " "], "-a/--account: the value is empty", ""),
        (["audit", "--fail-on", ""], "--fail-on: no kind is named; the kinds are: not-in-", ""),
        (["audit", "--fail-on", ","], "no kind is named", ""),
        (["log", "--state", ""], "there is no state ''", ""),
        (["config", "check"], "no account is configured", "guestlist config init"),
        (["--sandbox", "ftp://x", "members"], "'ftp://x' is not an address such as http://", ""),
        (["members", "--sandbox=http://"], "'http://' is not an address such as http://", ""),
        (
            ["sandbox", "--port=0", "--profile", "vultr=x"],
            "vultr has no profile 'x'; it has govultr",
            "",
        ),
        (["sandbox", "--port=0", "--switch", "vultr.duplicates=x"], "it can be allow, refuse", ""),
        (["sandbox", "--host", "no such host"], "'no such host' is not an address of this", ""),
        (
            ["invite", ADA, "--rol", "x"],
            "unknown option '--rol'; did you mean '--role'?",
            "invite --help",
        ),
        (["invite", ADA, "--if-exists", "renew"], "there is no --if-exists 'renew'", ""),
        (["invite", ADA, "--option", "x"], "'x' is not of the form name=value", ""),
        (
            ["invitations", "--state", "open"],
            "there is no state 'open'; the states are: pending",
            "",
        ),
        (["wait", ADA, "--timeout", "soon"], "'soon' is not a length of time", ""),
        (["config", "write"], "there is no action 'write'", ""),
        (["completion", "csh"], "there is no shell 'csh'; did you mean 'tcsh'", ""),
        (["sandbox", "--port", "99999"], "'99999' is not a port", ""),
        (["sandbox", "--port=0", "--profile", "acme=x"], "there is no service 'acme'", "vultr"),
        (
            ["sandbox", "--port=0", "--switch", "vultr=x"],
            "'vultr' does not name a switch",
            "SERVICE.SWITCH=VALUE",
        ),
        (["sandbox", "--port=0", "--switch", "vultr.x=y"], "vultr has no switch 'x'", ""),
        (["sandbox", "--host", ANYWHERE], "can be reached from other machines", "127.0.0.1"),
        (["status", ADA], "no account is configured", "guestlist config init"),
        (["status", ADA, "--config", "no.toml"], "there is no file no.toml", "config init"),
    ],
)
def test_what_cannot_be_typed(plain: Cli, words: list[str], message: str, hint: str) -> None:
    run = plain(*words)
    failed(run, 2, message, hint)


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["invite", "ada", "-a", "vultr"], "'ada' is not an email address", "name@example.com"),
        (["invite", "a@b@c.d", "-a", "vultr"], "is not an email address", ""),
        (["invite", ADA], "no account is named", "--account with one of: aitronos, vultr"),
        (["invite", ADA, "-a", "vultrr"], "there is no account 'vultrr'", "Did you mean 'vultr'?"),
        (["invite", ADA, "-a", "vultr", "--role", "x"], "takes no role at invitation", "assign"),
        (["invite", ADA, "-a", "aitronos"], "needs a role", "guestlist roles"),
        (["invite", ADA, "-a", "aitronos", "--role", "Membr"], "no role 'Membr'", "Member"),
        (["invite", ADA, "-a", "vultr", "--no-email"], "no way to suppress the email", ""),
        (["invite", ADA, "-a", "vultr", "--option", "x=1"], "no option 'x'", "api_enabled"),
        (["invite", ADA, "-a", "vultr", "--option", "api_enabled=x"], "has to be yes or no", ""),
        (["invite", ADA, "-a", "vultr", *["--option", "x=1"] * 2], "given twice", ""),
        (["status", "a/b", "-a", "vultr"], "'a/b' is neither an email address nor an id", ""),
        (["status", "a\x07b", "-a", "vultr"], "'a\\x07b' is neither", ""),
        (["status", "some-id"], "no account is named", "--account"),
        (
            ["assign-role", "omar@example.org", "Support", "-a", "vultr"],
            "'Support' fits",
            "kind:name",
        ),
        (["revoke", ADA, "-a", "vultr"], "offers no way to revoke", "Let it expire"),
    ],
)
def test_what_cannot_be_asked(
    cli: Cli, sandbox: Sandbox, words: list[str], message: str, hint: str
) -> None:
    failed(cli(*words), 2, message, hint)
    assert not sandbox.outbox.emails


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["invite", ADA, "-a", "vultr", "--if-exists", "error"], 1, "has an open invitation"),
        (["assign-role", ADA, "group:Support", "-a", "vultr"], 1, "is not a member: pending"),
        (["remove", ADA, "-a", "vultr"], 1, "is invited and not a member yet"),
        (["status", "00000000-aaaa", "-a", "vultr"], 1, "no invitation or member with the id"),
        (["wait", ADA, "-a", "vultr", "--timeout", "0.05"], 4, "did not become accepted"),
    ],
)
def test_what_the_service_or_a_person_does_not_do(
    cli: Cli, words: list[str], code: int, message: str
) -> None:
    cli("invite", ADA, "-a", "vultr")
    failed(cli(*words), code, message)


def test_one_failure_does_not_stop_the_others(cli: Cli, sandbox: Sandbox) -> None:
    run = cli("invite", ADA, "-a", "aitronos", "-a", "vultr", "--role", "Member", "--json")
    assert run.code == 2
    assert [row["guest"]["email"] for row in run.results] == [ADA]
    assert [(one["account"], one["error"]) for one in run.errors] == [("vultr", "Unsupported")]
    assert [mail.to for mail in sandbox.outbox.emails] == [ADA]


def test_a_hint_that_holds_for_several_is_given_once(cli: Cli) -> None:
    run = cli("invite", "x@@y", "z@@y", "-a", "vultr")
    assert [line.partition(":")[0] for line in run.err.splitlines()] == ["error", "error", "hint"]


def test_a_bad_key(plain: Cli, sandbox: Sandbox) -> None:
    base_url = sandbox.services["vultr"].base_url
    Path("guestlist.toml").write_text(
        '[accounts.cloud]\nprovider = "vultr"\napi_key = "wrong-key-123"\n'
        f'base_url = "{base_url}"\n'
    )
    failed(plain("status", ADA), 1, "cloud: ", "Check")
    run = plain("check")
    failed(run, 1, "HTTP 401")
    assert "does not work" in run.out
    assert "wrong-key-123" not in run.out + run.err


def test_a_wrong_path_in_base_url(plain: Cli, sandbox: Sandbox) -> None:
    hosted = sandbox.services["vultr"]
    base_url = f"{hosted.base_url}/nowhere"
    Path("guestlist.toml").write_text(
        f'[accounts.cloud]\nprovider = "vultr"\napi_key = "{hosted.settings["api_key"]}"\n'
        f'base_url = "{base_url}"\n'
    )
    run = plain("check")
    failed(run, 1, "HTTP 404", f"Check base_url of the account: {base_url}.")
    assert run.table[1].split()[:4] == ["cloud", "Vultr", "IAM", "unknown"]
    assert plain("check", "--json").results[0]["working"] is None


def test_a_key_that_was_not_tested_is_unknown(plain: Cli) -> None:
    """TLS fails, because the server does not speak it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        Path("guestlist.toml").write_text(
            '[accounts.cloud]\nprovider = "vultr"\napi_key = "k"\n'
            f'base_url = "https://127.0.0.1:{port}"\n'
        )
        run = plain("check", "--json", "--timeout", "1")
    assert run.code == 1
    assert run.results[0]["working"] is None


def test_no_sandbox_there(plain: Cli) -> None:
    run = plain("--sandbox", "http://127.0.0.1:9", "status", ADA)
    failed(run, 1, "no sandbox answers at http://127.0.0.1:9", "guestlist sandbox")


def test_a_service_is_not_the_mailbox(plain: Cli, sandbox: Sandbox) -> None:
    for hosted in sandbox.services.values():
        run = plain("--sandbox", hosted.base_url, "status", ADA)
        failed(run, 1, "is not a sandbox's mailbox", "as `guestlist sandbox` prints it")


def test_an_address_may_begin_with_a_dash(cli: Cli) -> None:
    assert cli("invite", "-a", "vultr", "--", "-x@example.com").code == 0


def test_json_without_a_command_is_json(plain: Cli) -> None:
    assert plain("--json").errors[0]["message"] == "COMMAND is missing"


def test_sandbox_stands_alone_before_a_command(plain: Cli, sandbox: Sandbox) -> None:
    run = plain("--sandbox", sandbox.url, "members", "-a", "vultr")
    assert run.code == 0
    run = plain("--sandbox", "members", "--json", "--sandbox", sandbox.url)
    assert run.code == 0
    assert run.document["command"] == "members"
    assert plain("--sandbox", sandbox.url.partition("//")[2], "members").code == 0


def test_a_bug_is_no_traceback_unless_asked_for(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("key hunter2")

    monkeypatch.setattr("guestlist.client.Guestlist.status", broken)
    failed(cli("status", ADA, "-a", "vultr"), 70, "guestlist itself failed (Zero", "--debug")
    with pytest.raises(ZeroDivisionError):
        cli("status", ADA, "--debug")


def test_debug_adds_the_traceback(cli: Cli) -> None:
    run = cli("revoke", ADA, "-a", "vultr", "--debug")
    assert "Traceback" in run.err
    assert "error: vultr: " in run.err


WITHOUT = """
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout

package, lines = sys.argv[1], json.loads(sys.argv[2])
sys.modules[package] = None     # as if it were not installed
from guestlist.cli import main

for words in lines:
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = main(words)
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


def without(package: str, *lines: list[str]) -> list[Run]:
    """Runs command lines, one after another, where a package is not installed."""
    command = [sys.executable, "-c", WITHOUT, package, json.dumps(lines)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [Run(*json.loads(line)) for line in done.stdout.splitlines()]


def test_without_the_extra_the_command_line_says_what_to_install(sandbox: Sandbox) -> None:
    there = f"--sandbox={sandbox.url}"
    words = ["invite", "-a", "vultr", there]
    refused, done = without("rich", [*words, ADA], [*words, "bob@example.com", "--json"])
    failed(refused, 2, "the command line needs rich", 'pip install "guestlist[cli]"')
    assert done.code == 0
    assert [mail.to for mail in sandbox.outbox.emails] == ["bob@example.com"], (
        "nothing is sent before it is clear that it can be shown"
    )


@pytest.mark.parametrize(
    ("package", "lines", "what"),
    [
        ("argcomplete", [["completion", "bash"]], "completion"),
        ("tomlkit", [["config", "init"]], "`config init`"),
        ("rich", [["providers"], ["demo"], ["sandbox"]], "the command line"),
    ],
)
def test_what_needs_the_extra_says_so(package: str, lines: list[list[str]], what: str) -> None:
    for run in without(package, *lines):
        failed(run, 2, f"{what} needs {package}", 'pip install "guestlist[cli]"')
        assert run.out == ""
        assert not Path("guestlist.toml").exists()


@pytest.mark.parametrize(
    ("package", "lines"),
    [
        (
            "rich",
            [
                ["completion", "bash"],
                ["config", "init", "vultr"],
                ["config", "path"],
                ["new-provider", "acme"],
                ["demo", "--json"],
                ["providers", "--json"],
            ],
        ),
        ("tomlkit", [["config", "path"]]),
    ],
)
def test_what_does_without_the_extra(package: str, lines: list[list[str]]) -> None:
    for words, run in zip(lines, without(package, *lines), strict=True):
        assert (run.code, run.err) == (0, ""), words
        assert run.out


def test_without_its_extra_the_sandbox_says_what_to_install() -> None:
    for run in without("uvicorn", ["sandbox"], ["demo"], ["--sandbox", "members"]):
        failed(run, 2, "the sandbox needs uvicorn", 'pip install "guestlist[sandbox]"')


@pytest.mark.parametrize("url", ["http://127.0.0.1:port", "http://u:hunter2@[::1", "ftp://x"])
def test_a_malformed_address_of_the_sandbox_is_invalid(
    plain: Cli, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("GUESTLIST_SANDBOX", url)
    run = plain("members")
    assert (run.code, run.err) == (
        2,
        "error: the address in GUESTLIST_SANDBOX is invalid\nhint: Write http://127.0.0.1:8030.\n",
    )


def test_a_hint_for_programs_names_the_option_instead(capsys: pytest.CaptureFixture[str]) -> None:
    print_errors([errors.ServiceUnavailable("no answer", hint=PREPARED_HINT)])
    shown = capsys.readouterr().err
    assert "make the same call again, with --ledger FILE." in shown
