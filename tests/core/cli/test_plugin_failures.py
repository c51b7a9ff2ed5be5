"""A plugin that fails is named with its package and hook, and does not stop the other plugins."""

from __future__ import annotations

import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from guestlist.sandbox import Sandbox

from .conftest import SCRIPT, Run

Install = Callable[[str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution `guestlist-policy` with one plugin, for programs that are started."""
    site = tmp_path / "site"
    monkeypatch.setenv("PYTHONPATH", str(site))

    def install(code: str) -> None:
        metadata = site / "guestlist_policy-0.1.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: guestlist-policy\nVersion: 0.1\n"
        )
        (metadata / "entry_points.txt").write_text("[guestlist]\npolicy = guestlist_policy\n")
        (site / "guestlist_policy.py").write_text(textwrap.dedent(code))

    return install


def guestlist(sandbox: Sandbox, *words: str) -> Run:
    done = subprocess.run(
        [SCRIPT, f"--sandbox={sandbox.url}", *words], capture_output=True, text=True, timeout=60
    )
    return Run(done.returncode, done.stdout, done.stderr)


def test_a_policy_that_fails_is_named(install: Install, sandbox: Sandbox) -> None:
    install("""
        from guestlist.provider import hookimpl

        @hookimpl
        def guestlist_check_invitation(new):
            raise KeyError("hunter2")
    """)
    run = guestlist(sandbox, "invite", "ada@example.com", "-a", "vultr")
    assert run.code == 70
    assert run.err.splitlines()[0] == (
        "error: vultr: the plugin policy of guestlist-policy 0.1 failed in"
        " guestlist_check_invitation (KeyError) (ada@example.com)"
    )
    assert "hunter2" not in run.err
    assert not sandbox.outbox.emails


def test_a_plugin_that_exits_at_import_is_named_and_the_others_work(
    install: Install, sandbox: Sandbox
) -> None:
    install('raise SystemExit("licence missing")')
    run = guestlist(sandbox, "status", "ada@example.com", "-a", "vultr")
    assert run.code == 0
    assert "ada@example.com" in run.out
    assert run.err == (
        "warning: the plugin policy of guestlist-policy 0.1 cannot be loaded:"
        " SystemExit: licence missing\n"
    )


def test_a_provider_that_fails_is_named_with_its_function(
    install: Install, sandbox: Sandbox
) -> None:
    install("""
        from guestlist.provider import Provider, hookimpl, operation, setting

        class Policy(Provider):
            name = "policy"
            title = "Policy"
            base_url: str = setting("Where", default="https://policy.example")

            @operation
            def organization(self):
                raise KeyError("hunter2")

        @hookimpl
        def guestlist_register(register):
            register(Policy)
    """)
    Path("guestlist.toml").write_text('[accounts.odd]\nprovider = "policy"\n')
    done = subprocess.run([SCRIPT, "check"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 70
    assert done.stderr.splitlines()[0] == (
        "error: the plugin policy of guestlist-policy 0.1, in guestlist_policy.Policy.organization,"
        " failed (KeyError)"
    )
