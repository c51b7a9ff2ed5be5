"""A roster that is written from what the services hold, and read back."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guestlist.address import check_email, email_key
from guestlist.errors import ConfigError, InvalidArgument, Unauthorized
from guestlist.models import State
from guestlist.roster import pull as module
from guestlist.roster.current_people import CurrentPerson
from guestlist.roster.file import Roster, read_roster
from guestlist.roster.pull import MAX_PEOPLE_IN_FILE, Pulled

FILE = Path("guestlist.toml")
HEAD = """\
# ours
allowed_domains = ["example.com"]   # nobody else

[accounts.cloud]                    # the first
provider = "vultr"

[accounts."second \\" one"]
provider = "aitronos"               # the last
"""
SECOND = 'second " one'
IN, OPEN = State.ACCEPTED, State.PENDING
Present = tuple[Any, ...]
"""The values of a `CurrentPerson`."""


def pull(path: Path, present: Iterable[Present], **options: Any) -> Pulled:
    return module.pull(path, (CurrentPerson(*one) for one in present), **options)


@pytest.fixture(autouse=True)
def roster() -> None:
    FILE.write_text(HEAD)


def wanted(source: Roster) -> dict[tuple[str, str], frozenset[str] | None]:
    """Roles by account and person, those of several places together."""
    found: dict[tuple[str, str], frozenset[str] | None] = {}
    for one in source.wanted():
        before = found.get((one.account, one.key))
        roles = None if one.roles is None else frozenset(one.roles)
        both = (
            None
            if before is None and roles is None
            else (before or frozenset()) | (roles or frozenset())
        )
        found[one.account, one.key] = both
    return found


def test_people_who_are_alike_are_written_together() -> None:
    ada, bob, eve, dan = (f"{name}@example.com" for name in ("Ada", "bob", "eve", "dan"))
    pulled = pull(
        FILE,
        [
            ("cloud", eve, ("group:B", "policy:A"), IN),
            ("cloud", ada, ("policy:A", "group:B"), OPEN),
            ("cloud", dan, (), State.AWAITING_APPROVAL),
            (SECOND, bob, None, IN),
            (SECOND, ada.lower(), None, IN),
            (SECOND, eve, None, IN),
        ],
    )
    assert (pulled.files, pulled.memberships, pulled.left_out) == ((FILE,), 6, ())
    assert (
        FILE.read_text()
        == HEAD
        + """
[[people]]
email = ["Ada@example.com", "eve@example.com"]
accounts.cloud = ["group:B", "policy:A"]
accounts."second \\" one" = true

[[people]]
email = "bob@example.com"
accounts."second \\" one" = true

[[people]]
email = "dan@example.com"
accounts.cloud = []
"""
    )


def test_a_long_list_has_a_line_for_each() -> None:
    pull(FILE, [("cloud", f"person.{number}@example.com", None, IN) for number in range(10)])
    assert '\n    "person.3@example.com",\n' in FILE.read_text()
    assert [one.place for one in read_roster(FILE).wanted()][3] == "guestlist.toml:15"


def test_people_who_have_left_are_skipped() -> None:
    gone = [State.DECLINED, State.EXPIRED, State.REVOKED, State.GONE]
    assert pull(FILE, [("cloud", "a@b.co", None, state) for state in gone]).memberships == 0
    assert FILE.read_text() == HEAD


def test_people_whom_a_roster_cannot_name_are_reported() -> None:
    pulled = pull(
        FILE,
        [
            ("cloud", "not an address", None, IN),
            ("cloud", "a@b.co", None, State.UNKNOWN),
            ("cloud", "b@b.co", ("\ud800",), IN),
            ("cloud", "c@b.co", ("",), IN),
            ("cloud", "d@b.co", None, IN),
            *[("cloud", "x", None, IN)] * 100,
        ],
    )
    assert (pulled.memberships, pulled.left_out_count, len(pulled.left_out)) == (1, 104, 20)
    told = [
        "has a space",
        "does not know",
        "whose name is not valid Unicode",
        "a role without a name",
    ]
    for word, line in zip(told, pulled.left_out, strict=False):
        assert line.startswith("cloud: ")
        assert word in line


def test_people_give_way_only_if_asked() -> None:
    old = HEAD + (
        "\n# people\n[[people]]\nemail = 'x@b.co'\naccounts.cloud = true\n"
        "[groups.g]   # kept\naccounts.cloud = true\n[[people]]\nemail = 'y@b.co'\ngroups = ['g']\n"
        "[[people_from]]\nfile = 'no.csv'\n[limits]\nremovals = 1   # few\n"
    )
    FILE.write_text(old)
    with pytest.raises(
        ConfigError, match=r"guestlist.toml has people in it. To replace them, pass"
    ):
        pull(FILE, [("cloud", "a@b.co", None, IN)])
    assert FILE.read_text() == old
    pull(FILE, [("cloud", "a@b.co", None, IN)], replace=True)
    text = FILE.read_text()
    assert [one.email for one in read_roster(FILE).wanted()] == ["a@b.co"]
    assert [word for word in ("# ours", "# kept", "# few", "x@b.co", "no.csv") if word in text] == [
        "# ours",
        "# kept",
        "# few",
    ]
    pull(FILE, [("cloud", "a@b.co", None, IN)], replace=True)
    assert FILE.read_text() == text


def test_line_ends_and_rights_stay() -> None:
    FILE.write_bytes(HEAD.replace("\n", "\r\n").encode())
    FILE.chmod(0o640)
    pull(FILE, [("cloud", "a@b.co", None, IN)])
    assert FILE.read_bytes().count(b"\n") == FILE.read_bytes().count(b"\r\n") == 12
    assert FILE.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("many", [False, True])
def test_nothing_is_changed_when_it_breaks_off(many: bool, folder: Path) -> None:
    def people() -> Iterable[Present]:
        yield from many_people(2 * MAX_PEOPLE_IN_FILE if many else 2)
        raise Unauthorized("the key is dead")

    with pytest.raises(Unauthorized):
        pull(FILE, people())
    assert FILE.read_text() == HEAD
    assert list(folder.iterdir()) == [folder / FILE]


def test_an_account_that_the_roster_lacks(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no account 'clod'. Did you mean 'cloud'\?"):
        pull(FILE, [("clod", "a@b.co", None, IN)])
    with pytest.raises(ConfigError, match=r"there is no file none.toml. `guestlist config init`"):
        pull(Path("none.toml"), [])
    FILE.write_text("x = [")
    with pytest.raises(ConfigError, match=r"guestlist.toml:\d+: this is not valid TOML"):
        pull(FILE, [])


# ---------------------------------------------------------------------------- many


def many_people(count: int) -> Iterable[Present]:
    for number in range(count):
        roles = (f"r; {number % 3}", "ü") if number % 2 else () if number % 3 else None
        yield "cloud" if number % 5 else SECOND, f"person.{number}@example.com", roles, IN


def test_many_are_written_into_a_table_beside_it() -> None:
    pulled = pull(FILE, many_people(MAX_PEOPLE_IN_FILE + 1))
    assert pulled.files == (FILE, Path("people.csv"))
    assert pulled.memberships == MAX_PEOPLE_IN_FILE + 1
    assert FILE.read_text() == HEAD + '\n[[people_from]]\nfile = "people.csv"\n'
    assert wanted(read_roster(FILE)) == {
        (account, email): None if roles is None else frozenset(roles)
        for account, email, roles, *_ in many_people(MAX_PEOPLE_IN_FILE + 1)
    }
    FILE.write_text(HEAD)
    with pytest.raises(ConfigError, match=r"people.csv is there already. To replace them, pass"):
        pull(FILE, many_people(MAX_PEOPLE_IN_FILE + 1))
    assert FILE.read_text() == HEAD
    pull(FILE, many_people(MAX_PEOPLE_IN_FILE + 2), replace=True)
    assert len(wanted(read_roster(FILE))) == MAX_PEOPLE_IN_FILE + 2


def test_a_thousand_are_not_many() -> None:
    assert pull(FILE, many_people(MAX_PEOPLE_IN_FILE)).files == (FILE,)


def test_many_need_no_more_memory_than_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guestlist.roster.pull.MAX_PEOPLE_IN_FILE", some := 200)

    def peak(count: int) -> int:
        tracemalloc.start()
        pull(FILE, many_people(count), replace=True)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(2 * some)  # what is made at the first time and kept
    assert peak(10 * some) < 1.2 * peak(2 * some)


# ---------------------------------------------------------------------------- there and back


def possible(email: str) -> bool:
    try:
        check_email(email)
    except InvalidArgument:
        return False
    return True


ODD = ";\"'-,\\ \n\r\t\x00\x7fa#\u2028é"
ROLES = st.text(st.sampled_from(ODD), min_size=1, max_size=4) | st.text(min_size=1)
EMAILS = st.sampled_from(["Ada@example.com", "ada@Example.com", "josé@bücher.example", "o'n@b.co"])
PRESENT = st.lists(
    st.tuples(
        st.sampled_from(["cloud", SECOND]),
        EMAILS | st.emails().filter(possible),
        st.none() | st.lists(ROLES, max_size=3).map(tuple),
        st.sampled_from([IN, OPEN]),
    ),
    max_size=12,
)


@given(PRESENT, st.sampled_from([0, 2, MAX_PEOPLE_IN_FILE]))
@settings(max_examples=30)
def test_what_was_written_is_what_is_read(present: list[Any], many: int) -> None:
    expected: dict[tuple[str, str], frozenset[str] | None] = {}
    for account, email, roles, _ in present:
        place = account, email_key(email)
        before = expected.get(place)
        expected[place] = before if roles is None else frozenset(roles) | (before or frozenset())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "MAX_PEOPLE_IN_FILE", many)
        patched.setattr("os.fsync", lambda _: None)  # a disk takes its time, each time
        FILE.write_text(HEAD)
        pull(FILE, present, replace=True)
        once = read_roster(FILE)
        assert wanted(once) == expected
        again = [(one.account, one.email, one.roles, IN) for one in once.wanted()]
        pull(FILE, again, replace=True)
        assert wanted(read_roster(FILE)) == expected


# ---------------------------------------------------------------------------- what is kept

DATED = (
    HEAD
    + """
[groups.g]   # ticket 12
accounts.cloud = true

# --- ask Olga before you change these ---
[[people]]
email = "con@b.co"   # until the audit is over
groups = ["g"]
until = 2099-12-31   # contract 4711

[[people]]
email = ["a@b.co", "b@b.co"]
from = "2026-01-31"
until = 2026-12-31T18:00:00+01:00
accounts.cloud = { roles = ["x"], options = { api_enabled = true } }

[[people]]
email = "gone@b.co"
accounts.cloud = true
until = 2030-01-01

[[people_from]]
file = "more.csv"   # from HR
"""
)


def test_people_who_are_still_there_keep_their_days() -> None:
    FILE.write_text(DATED)
    there = [("cloud", f"{name}@b.co", ("x",), IN) for name in ("Con", "a", "b", "new")]
    pulled = pull(FILE, there, replace=True)
    found = {one.email: (str(one.starts), str(one.ends)) for one in read_roster(FILE).wanted()}
    both = ("2026-01-31", "2026-12-31 18:00:00+01:00")
    assert found == {
        "Con@b.co": ("None", "2099-12-31"),
        "a@b.co": both,
        "b@b.co": both,
        "new@b.co": ("None", "None"),
    }
    text = FILE.read_text()
    assert "# ticket 12" in text
    assert "# --- ask Olga" in text
    lines = [line.partition("#")[2] for line in DATED.splitlines()]
    at = {text.strip(): number for number, text in enumerate(lines, 1) if text}
    assert pulled.lost == (
        f"the comment in line {at['until the audit is over']}: # until the audit is over",
        f"the comment in line {at['contract 4711']}: # contract 4711",
        f"the comment in line {at['from HR']}: # from HR",
        *[line for line in pulled.lost if not line.startswith("the comment")],
    )
    others = [line.partition(" (")[0] for line in pulled.lost[3:]]
    assert others == [
        "the groups of con@b.co",
        "the options of 2 people",
        "the days of gone@b.co",
        "the file more.csv, which the roster no longer names",
    ]
    assert pulled.backup == Path("guestlist.toml.bak")
    assert pulled.backup.read_text() == DATED


NAMED = (
    HEAD
    + """
[[people]]
email = "ada@b.co"
also = ["ada@home.example"]
logins.cloud = "ada-l"
logins."second \\" one" = "Ada"
accounts.cloud = true
"""
)


@pytest.mark.parametrize("table", [False, True])
def test_people_keep_their_other_addresses_and_logins(table: bool) -> None:
    FILE.write_text(NAMED)
    there: list[Present] = [
        ("cloud", "", ("x",), IN, "Ada-L"),
        (SECOND, "ADA@home.example", ("y",), IN),
        ("cloud", "bob@b.co", ("x",), IN),
        (SECOND, "", ("y",), IN, "other"),
    ]
    pulled = pull(FILE, there, replace=True, table=table)
    assert (pulled.memberships, pulled.lost, pulled.backup) == (4, (), None)
    people = {(one.account, one.key): one for one in read_roster(FILE).wanted()}
    assert people.keys() == {
        ("cloud", "ada@b.co"),
        (SECOND, "ada@b.co"),
        ("cloud", "bob@b.co"),
        (SECOND, "@other"),
    }
    ada, second = people["cloud", "ada@b.co"], people[SECOND, "ada@b.co"]
    assert (ada.also, ada.login, ada.roles) == (("ada@home.example",), "ada-l", ("x",))
    assert (second.also, second.login, second.roles) == (("ada@home.example",), "Ada", ("y",))


@pytest.mark.parametrize(
    ("there", "table", "lost"),
    [
        ([], False, ["the other addresses of ada@b.co", "the logins of ada@b.co"]),
        ([("cloud", "ada@b.co", None, IN)], True, ["the logins of ada@b.co"]),
        ([("cloud", "ada@b.co", None, IN)], False, []),
    ],
)
def test_names_that_are_lost_are_reported(
    there: list[Present], table: bool, lost: list[str]
) -> None:
    """A row of a CSV file has only the login in the account of the row."""
    FILE.write_text(NAMED)
    pulled = pull(FILE, there, replace=True, table=table)
    assert [line.partition(" (")[0] for line in pulled.lost] == lost


@pytest.mark.parametrize("table", [False, True])
def test_a_person_without_an_address_keeps_the_days(table: bool) -> None:
    person = '[[people]]\nlogins.cloud = "Bob"\naccounts.cloud = true\nuntil = 2030-01-01\n'
    FILE.write_text(HEAD + person)
    pulled = pull(FILE, [("cloud", "", None, IN, "bob")], replace=True, table=table)
    assert pulled.lost == ()
    assert [str(one.ends) for one in read_roster(FILE).wanted()] == ["2030-01-01"]
    FILE.write_text(HEAD + person)
    lost = pull(FILE, [], replace=True, table=table).lost
    assert [line.partition(" (")[0] for line in lost][:2] == [
        "the logins of Bob",
        "the days of Bob",
    ]


def test_a_table_with_logins_of_people_with_addresses_is_kept() -> None:
    people: list[Present] = [("cloud", "ada@b.co", None, IN), ("cloud", "", None, IN, "bob")]
    pull(FILE, people, table=True)
    assert pull(FILE, people, replace=True, table=True).lost == ()
    csv = Path("people.csv")
    csv.write_text(csv.read_text().replace("ada@b.co,cloud,,", "ada@b.co,cloud,,ada-l"))
    assert "people.csv.bak" in pull(FILE, people, replace=True, table=True).lost[0]


def test_a_second_backup_has_another_name() -> None:
    for name in ("guestlist.toml.bak", "guestlist.toml.bak2"):
        FILE.write_text(DATED)
        assert pull(FILE, [], replace=True).backup == Path(name)


def test_days_that_differ_between_entries_are_lost() -> None:
    text = HEAD + "".join(
        f'[[people]]\nemail = "a@b.co"\naccounts.cloud = ["{role}"]\nuntil = {day}\n'
        for role, day in (("x", "2030-01-01"), ("y", "2031-01-01"))
    )
    FILE.write_text(text)
    pulled = pull(FILE, [("cloud", "a@b.co", ("x", "y"), IN)], replace=True)
    assert [line.partition(" (")[0] for line in pulled.lost] == ["the days of a@b.co"] * 2
    assert [one.ends for one in read_roster(FILE).wanted()] == [None]


def test_nothing_is_reported_where_nothing_is_lost() -> None:
    people = [("cloud", "a@b.co", ("x",), IN)]
    pull(FILE, people)
    again = pull(FILE, people, replace=True)
    assert (again.lost, again.backup) == ((), None)
    assert list(Path().glob("*.bak*")) == []


def test_rows_keep_days_too_and_an_older_table_is_kept() -> None:
    FILE.write_text(
        HEAD + '[[people]]\nemail = "a@b.co"\naccounts.cloud = true\nuntil = 2030-01-01\n'
    )
    people = [("cloud", "a@b.co", None, IN), ("cloud", "b@b.co", None, IN)]
    pulled = pull(FILE, people, replace=True, table=True)
    assert pulled.lost == ()
    assert [str(one.ends) for one in read_roster(FILE).wanted()] == ["2030-01-01", "None"]
    pulled = pull(FILE, people, replace=True, table=True)
    assert pulled.lost == ("what people.csv said besides accounts and roles: people.csv.bak",)
    assert "2030-01-01" in Path("people.csv.bak").read_text()
    assert pull(FILE, people, replace=True, table=True).lost == ()
