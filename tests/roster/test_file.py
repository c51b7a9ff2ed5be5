"""Who is wanted where, from a guestlist.toml."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from tests.roster.conftest import ACCOUNTS, Read

from guestlist import config
from guestlist.config import open_config, read_config
from guestlist.errors import ConfigError
from guestlist.plugins import installed
from guestlist.roster.document import RosterDocument
from guestlist.roster.file import read_roster
from guestlist.roster.limits import Limits
from guestlist.roster.wanted import Wanted

WHOLE = """
[groups.engineering]
accounts.cloud = ["group:Engineering"]
accounts.chat = { roles = ["member"], options = { a = 1, b = 1 } }

[groups.guests]
accounts.chat = true

[[people]]
email = " Ada@Example.com "     # line 14
groups = ["guests", "engineering"]
accounts.cloud = ["policy:Read only", "group:Engineering"]
accounts.chat.options = { b = 2 }
from = 2026-01-01
until = "2026-12-31"

[[people]]
email = ["bob@example.com",
         "eve@example.com"]     # line 23
groups = ["guests"]

[[people]]
email = "dan@example.com"       # line 27
accounts.cloud = []
"""


def test_everybody_with_what_groups_and_they_themselves_say(read: Read) -> None:
    here = "guestlist.toml"
    days = date(2026, 1, 1), date(2026, 12, 31)
    ada, key = "Ada@Example.com", "ada@example.com"
    bob, eve, dan = "bob@example.com", "eve@example.com", "dan@example.com"
    both = ("group:Engineering", "policy:Read only")
    assert list(read(WHOLE).wanted()) == [
        Wanted("chat", key, ada, ("member",), {"a": 1, "b": 2}, *days, f"{here}:14"),
        Wanted("cloud", key, ada, both, {}, *days, f"{here}:14"),
        Wanted("chat", bob, bob, None, {}, None, None, f"{here}:22"),
        Wanted("chat", eve, eve, None, {}, None, None, f"{here}:23"),
        Wanted("cloud", dan, dan, (), {}, None, None, f"{here}:27"),
    ]


def test_the_accounts_it_speaks_of(read: Read) -> None:
    assert read(WHOLE).accounts == ("cloud", "chat")
    assert read("").accounts == ()
    assert read("[groups.nobody]\naccounts.chat = true").accounts == ("chat",)
    assert read('[[people]]\nemail = "a@b.co"\naccounts.chat = []').accounts == ("chat",)
    cloud = '[[people_from]]\nfile = "people.csv"\naccounts.cloud = true'
    assert read(cloud, people_csv="email\na@b.co\n").accounts == ("cloud",)
    rows = "email,account\na@b.co,chat\n"
    assert read(cloud, people_csv=rows).accounts == ("cloud", "chat")
    groups = '[groups.g]\naccounts.chat = true\n[[people_from]]\nfile = "people.csv"'
    assert read(groups, people_csv="email,group\na@b.co,g\n").accounts == ("chat",)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("people.csv", "email,group\n"),
        ("people.csv", "email\n,\n\n"),
        ("people.csv", ""),
        ("people.csv", "\n \n"),
        ("people.csv", "sep=;\n"),
        ("people.toml", ""),
    ],
)
def test_a_file_without_people_is_an_error_unless_allowed(
    name: str, content: str, read: Read
) -> None:
    files = f'[[people_from]]\nfile = "{name}"\naccounts.chat = true\n'
    with pytest.raises(ConfigError, match=f"{name} has no people.*allow_empty"):
        read(files, **{name.replace(".", "_"): content})
    roster = read_roster(Path("guestlist.toml"), allow_empty=True)
    assert list(roster.wanted()) == []


def test_people_in_a_toml_file_of_their_own(read: Read) -> None:
    roster = read(
        '[groups.g]\naccounts.cloud = ["x"]\n'
        '[[people_from]]\nfile = "more.toml"\ngroups = ["g"]\naccounts.chat = true',
        more_toml='# more\n[[people]]\nemail = "a@b.co"\n[[people]]\nemail = "c@b.co"\n'
        'accounts.cloud = ["y"]',
    )
    assert [(one.account, one.email, one.roles, one.place) for one in roster.wanted()] == [
        ("cloud", "a@b.co", ("x",), "more.toml:3"),
        ("chat", "a@b.co", None, "more.toml:3"),
        ("cloud", "c@b.co", ("x", "y"), "more.toml:5"),
        ("chat", "c@b.co", None, "more.toml:5"),
    ]


def test_files_are_named_as_seen_from_the_roster(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub/people.csv").write_text("email\na@b.co\n")
    path = Path("sub/guestlist.toml")
    path.write_text(ACCOUNTS + '[[people_from]]\nfile = "people.csv"\naccounts.chat = true')
    assert [one.place for one in read_roster(path).wanted()] == ["sub/people.csv:2"]
    assert read_roster(path).ledger.url == f"sqlite:///{folder}/sub/guestlist.db"


def test_the_digest_depends_on_the_file_and_its_people(read: Read) -> None:
    table = '[[people_from]]\nfile = "{}"\naccounts.chat = true\n'
    text = table.format("people.csv") + table.format("more.toml")
    files = {"people_csv": "email\na@b.co\n", "more_toml": '[[people]]\nemail = "a@b.co"\n'}
    digest = read(text, **files).digest
    assert read(text, **files).digest == digest
    changed = [
        read(text + "\n", **files),
        read(text, **files | {"people_csv": "email\na@b.cc\n"}),
        read(text, **files | {"more_toml": '[[people]]\nemail = "a@b.cc"\n'}),
    ]
    assert len({digest, *(roster.digest for roster in changed)}) == 4


def test_limits_and_ledger(read: Read, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = read("")
    assert plain.limits == Limits(
        emails_per_person=2 + 2, period=timedelta(days=7), invitations=500, removals=10
    )
    assert (plain.ledger.url, plain.ledger.keep) == (
        f"sqlite:///{folder}/guestlist.db",
        timedelta(days=400),
    )
    told = read(
        '[limits]\nemails_per_person = 1\nperiod = "12 hours"\ninvitations = 0\nremovals = 0\n'
        'protected = ["Ada@Example.com"]\n'
        '[ledger]\nurl = "postgresql://u:s3cr3t@db/x"\nkeep = "2 weeks"'
    )
    assert (told.limits.period, told.limits.removals) == (timedelta(hours=12), 0)
    assert told.limits.protected == {"ada@example.com"}
    assert (told.ledger.url, told.ledger.keep) == (
        "postgresql://u:s3cr3t@db/x",
        timedelta(days=14),
    )
    assert "s3cr3t" not in repr(told)
    assert read('[ledger]\nurl = "sqlite:///x/y.db"').ledger.url == f"sqlite:///{folder}/x/y.db"
    assert read('[ledger]\nurl = "sqlite:////y.db"').ledger.url == "sqlite:////y.db"
    monkeypatch.setenv("LEDGER", "sqlite://")
    assert read('[ledger]\nurl = { env = "LEDGER" }').ledger.url == "sqlite://"


def test_the_accounts_are_read_from_the_same_file(read: Read) -> None:
    read(
        "[limits]\n[ledger]\n" + WHOLE + '[[people_from]]\nfile = "p.csv"', p_csv="email\na@b.co\n"
    )
    text = Path("guestlist.toml").read_text().replace('"vultr"', '"vultr"\napi_key = "k"')
    Path("guestlist.toml").write_text(text.replace('"aitronos"', '"vultr"\napi_key = "k"'))
    config_file = open_config(Path("guestlist.toml"))
    assert list(read_config(config_file, installed()).accounts) == ["cloud", "chat"]
    assert set(config.KEYS) == set(RosterDocument.model_fields)


# ---------------------------------------------------------------------------- what is wrong

PERSON = '[[people]]\nemail = "a@b.co"\n'
GROUP = "[groups.engineering]\naccounts.chat = true\n"
WRONG = {
    "[peple]": ":5: peple: there is no key 'peple'. Did you mean 'people'?",
    "[limit]\nx = 1": ":5: limit: there is no key 'limit'. Did you mean 'limits'?",
    "[people]": ":5: people: it has to be a list. Write [[people]].",
    "[[people]]": ":5: people.1.email: it is missing",
    '[[people]]\n\nemail = ""': ":7: people.1.email: '' is not an email address: it needs",
    "[[people]]\nemail = []": ":6: people.1.email: it is empty",
    "[[people]]\nemail = 7": ":6: people.1.email: must be an email address",
    '[[people]]\nemail = "ada"': ":6: people.1.email: 'ada' is not an email address: it needs",
    '[[people]]\nemail = [\n"a@b.co",\n"ada"]': ":8: people.1.email.2: 'ada' is not an email",
    PERSON: ":5: people.1: this person has no account. Add an account, or a group that has one.",
    PERSON + PERSON + "from = 1": ":9: people.2.from: 1 is not a day: write a day as 2026-01-31",
    PERSON + 'until = "2026-02-30"': ":7: people.1.until: '2026-02-30' is not a day",
    PERSON + "until = 2026-02-20T00:00:00": ":7: people.1.until: 2026-02-20 00:00:00 is not a day",
    PERSON + "accounts.chat = true\nfrom = 2026-02-02\nuntil = 2026-02-01": (
        ":5: people.1: until 2026-02-01 is before from 2026-02-02"
    ),
    PERSON
    + "unitl = 2026-01-01": ":7: people.1.unitl: there is no key 'unitl'. Did you mean 'until'",
    PERSON + "accounts.chatt = []": (
        ":7: people.1.accounts.chatt: there is no account 'chatt'. Did you mean 'chat'?"
    ),
    PERSON
    + "accounts.x = []": ":7: people.1.accounts.x: there is no account 'x'. There are: cloud",
    PERSON
    + "accounts.chat = false": ":7: people.1.accounts.chat: must be a list of roles, or true",
    PERSON + "accounts.chat = [\n'a',\n7]": ":9: people.1.accounts.chat.2: it has to be text",
    PERSON + "accounts.chat = { role = [] }": (
        ":7: people.1.accounts.chat.role: there is no key 'role'. Did you mean 'roles'?"
    ),
    PERSON + 'groups = "x"': ":7: people.1.groups: it has to be a list. Such as",
    PERSON + 'groups = ["x"]': ":7: people.1.groups.1: there is no group 'x'. There is no group at",
    GROUP + PERSON + 'groups = [\n"enginering"]': (
        ":10: people.1.groups.1: there is no group 'enginering'. Did you mean 'engineering'?"
    ),
    "[groups.accounts]\naccounts.chat.x = 1": (
        ":6: groups.accounts.accounts.chat.x: there is no key 'x'. There are: roles, options."
    ),
    "[groups.x]\naccounts.y = true": ":6: groups.x.accounts.y: there is no account 'y'",
    "[limits]\nremovals = -1": ":6: limits.removals: it has to be at least 0",
    '[limits]\nprotected = ["ada@x"]': ":6: limits.protected.1: ",
    "[limits]\nremovals = true": ":6: limits.removals: it has to be a whole number",
    '[limits]\nperiod = "1 month"': ":6: limits.period: '1 month' is not a period: write it as",
    '[limits]\nperiod = "0 days"': ":6: limits.period: '0 days' is not a period",
    "[limits]\nperiod = 7": ":6: limits.period: 7 is not a period",
    "[ledger]\nurl = 1": ":6: ledger.url: must be text, or",
    '[ledger]\nurl = { env = "NOT_SET" }': ":6: ledger.url: the environment variable NOT_SET is",
    '[[people_from]]\nfile = "no.csv"': ":6: people_from.1.file: there is no file no.csv",
    "[[people_from]]\nfile = '.'": ":6: people_from.1.file: . is a folder, not a file",
    '[[people_from]]\nfile = "x.csv"\ngroups = ["y"]': ":7: people_from.1.groups.1: there is no g",
    '[[people_from]]\nfile = "x.csv"\ncolumns.mail = "y"': (
        ":7: people_from.1.columns.mail: there is no key 'mail'. Did you mean 'email'?"
    ),
    '[[people_from]]\nfile = "guestlist.toml"\ncolumns.email = "y"': (
        ":7: people_from.1.columns: only a CSV file has columns. Remove this key."
    ),
    "x = [": "guestlist.toml:5: this is not valid TOML: Invalid value (at end of document)",
}


@pytest.mark.parametrize(("text", "message"), WRONG.items(), ids=[repr(text) for text in WRONG])
def test_a_problem_is_reported_with_its_line(text: str, message: str, read: Read) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    line = str(caught.value)
    assert line.startswith("guestlist.toml")
    assert message in line
    assert line.count("guestlist.toml:") <= 1
    assert "\n" not in line


def test_all_problems_are_reported_together(read: Read) -> None:
    with pytest.raises(ConfigError) as caught:
        read('[[people]]\nemail = "ada"\nuntil = 1\n[limits]\nremoval = 1')
    assert [part.split(": ")[0] for part in caught.value.message.split("; ")] == [
        "guestlist.toml:6",
        "guestlist.toml:7",
        "guestlist.toml:9",
    ]
    table = '[[people_from]]\nfile = "more.toml"\n'
    with pytest.raises(ConfigError) as caught:
        read(PERSON + table, more_toml="[[people]]\nemail = 1")
    assert [part.split(": ")[0] for part in caught.value.message.split("; ")] == [
        "guestlist.toml:5",
        "more.toml:2",
    ]
    with pytest.raises(ConfigError) as caught:
        read(PERSON + table, more_toml='peple = ""\n[groups.x]')
    assert "more.toml:1: peple: there is no key 'peple'; more.toml:2:" in (caught.value.message)


def test_one_file_that_cannot_be_read_hides_nothing_of_the_others(read: Read) -> None:
    names = ["a.csv", "b.toml", "c.csv", "d.toml"]
    tables = "".join(f'[[people_from]]\nfile = "{name}"\n' for name in names)
    with pytest.raises(ConfigError) as caught:
        read(tables + PERSON, a_csv="mail\n", b_toml="x", d_toml="[[people]]\n")
    assert [part.split(": ")[0] for part in caught.value.message.split("; ")] == [
        "guestlist.toml:13",
        "a.csv:1",
        "b.toml:1",
        "guestlist.toml:10",
        "d.toml:1",
    ]


def test_not_more_than_can_be_read(read: Read) -> None:
    with pytest.raises(ConfigError, match=r"guestlist.toml:24: .*; there may be more\.$") as caught:
        read("[[people]]\n" * 1000)
    assert caught.value.message.count("it is missing") == 20


def test_files_that_cannot_be_read(read: Read, folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file none.toml. `guestlist config init`"):
        read_roster(Path("none.toml"))
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_roster(folder)
    Path("guestlist.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"guestlist.toml cannot be read: it is not UTF-8"):
        read_roster(Path("guestlist.toml"))
    with pytest.raises(ConfigError, match=r"^more.toml:1: this is not valid TOML"):
        read('[[people_from]]\nfile = "more.toml"', more_toml="x")


def test_the_mark_of_an_editor_does_not_matter() -> None:
    Path("guestlist.toml").write_bytes(b"\xef\xbb\xbf" + (ACCOUNTS + WHOLE).encode())
    assert len(list(read_roster(Path("guestlist.toml")).wanted())) == 5


def test_the_place_of_a_role(read: Read) -> None:
    """Where TOML names it: groups first, then people, files of people and included files."""
    roster = read(
        '[groups.g]\naccounts.cloud = ["a",\n"b"]\n'
        '[[people]]\nemail = "a@b.co"\naccounts.chat = { roles = ["c"] }\n'
        '[[people_from]]\nfile = "more.toml"\naccounts.cloud = ["d"]\n',
        more_toml='[[people]]\nemail = "e@b.co"\naccounts.cloud = ["e"]\n',
    )
    found = {role: roster.place_of("cloud", role) for role in "abcde"}
    assert found == {
        "a": "guestlist.toml:6",
        "b": "guestlist.toml:7",
        "c": "",
        "d": "guestlist.toml:13",
        "e": "more.toml:3",
    }
    assert roster.place_of("chat", "c") == "guestlist.toml:10"
