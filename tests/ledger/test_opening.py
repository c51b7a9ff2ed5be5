"""Where the ledger is."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from guestlist.errors import ConfigError
from guestlist.ledger import Ledger, open_ledger
from guestlist.location import ledger_url

SERVER = "postgresql://ada@db.example/guests"


@pytest.mark.parametrize(
    ("config", "given", "configured", "url"),
    [
        (None, None, None, "sqlite:///{here}/guestlist.db"),
        ("team/guestlist.toml", None, None, "sqlite:///{here}/team/guestlist.db"),
        ("team/guestlist.toml", "my.db", None, "sqlite:///{here}/my.db"),
        ("team/guestlist.toml", "/var/my.db", None, "sqlite:////var/my.db"),
        ("team/guestlist.toml", "sqlite:///my.db", None, "sqlite:///{here}/my.db"),
        ("team/guestlist.toml", SERVER, "other.db", SERVER),
        ("team/guestlist.toml", None, "sqlite:///other.db", "sqlite:///{here}/team/other.db"),
        ("team/guestlist.toml", None, "sqlite:////var/other.db", "sqlite:////var/other.db"),
        ("team/guestlist.toml", None, SERVER, SERVER),
        (None, "~/my.db", None, "sqlite:///{home}/my.db"),
    ],
)
def test_the_url(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: str | None,
    given: str | None,
    configured: str | None,
    url: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    found = ledger_url(Path(config) if config else None, given, configured)
    assert found == url.format(here=tmp_path, home=Path.home())


def test_a_path_that_would_be_cut_off(tmp_path: Path) -> None:
    for opened in (partial(ledger_url, None), Ledger):
        with pytest.raises(ConfigError, match="question mark"):
            opened(str(tmp_path / "what?.db"))
    assert list(tmp_path.iterdir()) == []


def test_opening_makes_one_only_when_that_is_meant(tmp_path: Path) -> None:
    file = tmp_path / "guestlist.db"
    url = ledger_url(None, str(file))
    with pytest.raises(ConfigError, match=r"there is no ledger .*guestlist\.db"):
        open_ledger(url, create=False)
    assert not file.exists()
    open_ledger(url).close()
    open_ledger(url, create=False).close()


def test_without_the_extra_an_error_names_it(tmp_path: Path) -> None:
    code = "import sys; sys.modules['sqlalchemy'] = sys.modules['filelock'] = None\n"
    code += "from guestlist.cli import main; sys.exit(main(['forget', 'a@example.com', '--yes']))"
    (tmp_path / "guestlist.db").touch()
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 2
    assert run.stderr.splitlines() == [
        "error: a ledger needs sqlalchemy",
        'hint: Run: pip install "guestlist[ledger]"',
    ]


@pytest.mark.parametrize(
    "rest", ["127.0.0.1:port/x", "[::1/x", "127.0.0.1:99999/x", "127.0.0.1:0/x", "127.0.0.1:-1/x"]
)
def test_a_malformed_host_or_port_is_invalid_and_the_password_is_not_shown(rest: str) -> None:
    with pytest.raises(ConfigError, match="the host or the port in the ledger's URL") as caught:
        Ledger(f"postgresql://ada:hunter2@{rest}")
    assert "hunter2" not in str(caught.value)
