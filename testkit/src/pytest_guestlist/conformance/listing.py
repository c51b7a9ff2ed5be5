"""Rules about lists: every page is read, once, and the end is found."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest

from guestlist.address import email_key
from guestlist.errors import GuestlistError, MalformedResponse
from guestlist.exchange.step import Outgoing
from guestlist.models import State
from guestlist.provider import Page, Provider, Response
from pytest_guestlist.conformance import mutations
from pytest_guestlist.conformance.backend import Skipped
from pytest_guestlist.conformance.base import ProviderRules, samples_of, samples_with_requests
from pytest_guestlist.conformance.finding import location_of, report_finding
from pytest_guestlist.conformance.harness import Harness
from pytest_guestlist.conformance.walkthrough import LISTS, Sample, Walkthrough
from pytest_guestlist.conformance.wires import (
    Answer,
    EndlessCall,
    Mutation,
    ScriptedWire,
    filters,
    page_size,
    with_page_size,
)

ALIKE = ("zoe.finn", "y.finn", "finn")
"""Names of which each contains the last one: a search for a part of an address finds all."""

SIZES = (1, 2, 3, 4, 7)
"""Page sizes of the service's answers."""

PEOPLE = ("ada", "bob", "cleo", "dan", "eve")


class ListingRules(ProviderRules):
    """Rules about `invitations`, `members`, `roles`, and operations that read pages themselves.

    Attributes:
        short_page_ends: whether this service marks the end of a list by nothing but a page that is
            shorter than asked for. Then smaller pages cannot be tried out.
    """

    short_page_ends = False

    @pytest.mark.parametrize("listing", LISTS)
    def test_pages_of_any_size(self, harness: Harness, listing: str) -> None:
        """A list contains every record once, for pages of any size.

        Likely cause: The next page is not read, its cursor is computed from the size that was asked
        for instead of the records that came, or a boundary record is read twice.
        """
        harness.require(listing)
        self._people(harness)
        harness.forget()
        whole = _listed(harness, listing)
        in_pages = any(page_size(outgoing) for outgoing, _ in harness.wire.exchanges)
        for size in SIZES if in_pages and not self.short_page_ends else ():
            harness.wire.before = partial(with_page_size, size=size)
            harness.forget()
            paged = _listed(harness, listing)
            if sorted(paged) != sorted(whole):
                got = f"{len(paged)} with pages of {size}, {len(set(paged))} different ones"
                _incomplete(harness.provider, listing, f"{len(whole)} {listing}", got)
        if len(set(whole)) != len(whole):
            _incomplete(harness.provider, listing, "everything once", whole)

    @pytest.mark.parametrize("size", [1, 3])
    def test_finding_reads_every_page(self, harness: Harness, size: int) -> None:
        """A person on the last page is found like one on the first.

        Likely cause: `find_member` or `find_invitation` looks at the first page only. Use `every`,
        or leave it undefined.
        """
        if self.short_page_ends:
            pytest.skip("a page shorter than asked for is the end of a list here")
        for name in ALIKE:
            harness.member(name)
        self._people(harness)
        everybody = (*ALIKE, *PEOPLE)
        states = [harness.status(name).state for name in everybody]
        harness.wire.before = lambda outgoing: with_page_size(outgoing, size)
        paged = [harness.status(name).state for name in everybody]
        if states != paged:
            harness.report_finding(
                expected=states,
                got=paged,
                look_at="find_member find_invitation",
            )

    @pytest.mark.parametrize("size", [1, 2])
    def test_operations_read_every_page(self, harness: Harness, size: int) -> None:
        """Operations that read a list themselves, such as `access`, read all of its pages, and end
        also where the service answers every cursor with the same page: `every` does both.

        Likely cause: The operation reads one page of a list. Use `every`.
        """
        harness.require("access", "assign_role")
        if self.short_page_ends:
            pytest.skip("a page shorter than asked for is the end of a list here")
        member = harness.member("ada")
        for role in harness.assignable_roles():
            if "owner" not in role.label.lower():
                harness.run(harness.provider.assign_role(member, role))
        whole = {grant.role.id for grant in harness.guests.access(member).grants}
        harness.wire.before = lambda outgoing: with_page_size(outgoing, size)
        harness.forget()
        paged = {grant.role.id for grant in harness.guests.access(member).grants}
        if whole != paged:
            harness.report_finding(
                expected=whole,
                got=paged,
                look_at="access",
            )
        harness.wire.after = _always_the_first_page()
        harness.forget()
        try:
            with suppress(MalformedResponse):  # This error is an end, too.
                harness.run(harness.provider.access(member))
        except EndlessCall as endless:
            _incomplete(harness.provider, "access", "an end", endless)

    @pytest.mark.parametrize("listing", LISTS)
    def test_total_is_true(self, harness: Harness, listing: str) -> None:
        """If a page has a total, all pages of its section together hold as many records, and the
        page with the last of them is the section's last. Records that are left out count.

        Likely cause: The total counts something else than the list (another filter, or all kinds of
        records), or `Page.section` is missing for a list of several parts.
        """
        harness.require(listing)
        self._people(harness)
        count, totals, cursor = Counter[str](), dict[str, int](), None
        while True:
            page = harness.run(getattr(harness.provider, listing)(cursor))
            if count[page.section] and count[page.section] >= totals.get(page.section, math.inf):
                got = f"{count[page.section]}, and then another page"
                expected = f"{totals[page.section]}, and then the end"
                _incomplete(harness.provider, listing, expected, got)
            count[page.section] += page.records
            if page.total is not None:
                totals[page.section] = page.total
            cursor = page.next
            if cursor is None:
                break
        for section, total in totals.items():
            if count[section] != total:
                _incomplete(harness.provider, listing, f"{total} records", count[section])

    @pytest.mark.parametrize("listing", LISTS)
    def test_total_is_the_service_s(self, walkthrough: Walkthrough, listing: str) -> None:
        """A total is what the service reports, not how many records came: a list that ends with
        fewer is incomplete, and nobody counts as absent from it.

        Likely cause: `total` is the number of records that came, such as `len(items)`. Pass on the
        service's number, or None.
        """
        for sample in samples_of(walkthrough, listing):
            total = getattr(sample.value, "total", None) or 0
            mutation = mutations.with_another_total(total, total + 1)
            tell = [
                nth
                for nth, (_, answer) in enumerate(sample.played if total else ())
                if mutation(answer) != answer
            ]
            again = [sample.replay(nth, mutation) for nth in tell]
            if again and all(one.error is None and one.value.total == total for one in again):
                _incomplete(sample.provider, listing, f"a total of {total + 1}", again[-1].summary)

    @pytest.mark.parametrize("listing", LISTS)
    def test_unreadable_cursor_is_no_end(self, harness: Harness, listing: str) -> None:
        """A cursor of an unknown shape does not make an incomplete list look complete.

        Likely cause: A cursor of an unexpected type counts as none: `if cursor:`, or a default of
        `.get`. Raise `TypeError` for it.
        """
        harness.require(listing)
        if self.short_page_ends:
            pytest.skip("a page shorter than asked for is the end of a list here")
        self._people(harness)
        harness.wire.before = partial(with_page_size, size=2)
        harness.forget()
        whole = _listed(harness, listing)
        pages = [
            mutations.json_of(answer)
            for outgoing, answer in harness.wire.exchanges
            if page_size(outgoing) and isinstance(answer, Response)
        ]
        records = list(getattr(harness.guests, listing)())
        for path in _beside_records(pages, records):
            harness.wire.after = _always(
                mutations.change_json(partial(mutations.with_wrong_type, path=path))
            )
            harness.forget()
            with suppress(GuestlistError):
                found = _listed(harness, listing)
                if set(found) < set(whole):
                    where = ".".join(map(str, path))
                    got = f"{len(found)} where the service answers {where!r} in another shape"
                    expected = f"{len(whole)} {listing}, or an error"
                    _incomplete(harness.provider, listing, expected, got)

    @pytest.mark.parametrize("listing", LISTS)
    def test_empty_list(self, walkthrough: Walkthrough, listing: str) -> None:
        """An empty list is an empty page, and the end. A page may have roles that the provider
        knows without asking. If an answer has several lists, one of them is the operation's.

        Likely cause: The code takes the first record of the list, or an empty list for an error.
        """
        for sample in self._samples(walkthrough, listing):
            nth = self._list_of(sample)
            body = mutations.json_of(sample.played[nth][1])
            got = []
            for path in mutations.nonempty_lists(body):
                empty = partial(mutations.with_records, path=path, records=[])
                replay = sample.replay(nth, mutations.change_json(empty))
                listed = len(mutations.value_at(body, path)) if listing == "roles" else math.inf
                known = max(0, len(sample.value.items) - listed)
                if isinstance(replay.value, Page) and len(replay.value.items) <= known:
                    break
                name = ".".join(map(str, path)) or "the whole answer"
                got.append(f"with {name} emptied: {replay.summary}")
            else:
                if got:
                    _incomplete(sample.provider, sample.name, "an empty page", "; ".join(got))

    @pytest.mark.parametrize("listing", LISTS)
    def test_page_that_comes_for_ever(self, harness: Harness, listing: str) -> None:
        """A service that answers every cursor with the same page cannot keep guestlist reading.

        Likely cause: The flow reads pages in a loop of its own. Return one page, and let guestlist
        or `every` read on.
        """
        harness.require(listing)
        self._people(harness)
        harness.wire.before = lambda outgoing: with_page_size(outgoing, 2)
        harness.wire.after = _always_the_first_page()
        harness.forget()
        try:
            found = _listed(harness, listing)
        except MalformedResponse:
            return  # guestlist reports that the list cannot be read completely
        except EndlessCall as endless:
            _incomplete(harness.provider, listing, "an end", endless)
        if len(found) != len(set(found)):
            _incomplete(harness.provider, listing, "everybody once", found)

    def test_finding_ends(self, harness: Harness) -> None:
        """A service that answers every cursor with the same page cannot keep a search going.

        Likely cause: The flow reads pages in a loop of its own. Use `every`.
        """
        self._people(harness)
        harness.wire.before = lambda outgoing: with_page_size(outgoing, 1)
        harness.wire.after = _always_the_first_page()
        harness.forget()
        try:
            with suppress(MalformedResponse):  # the list cannot be read to its end
                harness.status("nobody")
        except EndlessCall as endless:
            finding = "find_member members find_invitation invitations"
            _incomplete(harness.provider, finding, "an end", endless)

    def test_finding_takes_nobody_else(self, walkthrough: Walkthrough, finding: str) -> None:
        """A search in a list returns the matching record, not the first one: the service may ignore
        the search parameters.

        Likely cause: The first record of the answer is taken without comparing its address or id.
        """
        for sample in samples_of(walkthrough, finding):
            for nth, (_, answer) in enumerate(sample.played):
                if sample.value is None:
                    continue
                path = mutations.list_describing(mutations.json_of(answer), [sample.value])
                if path is None:
                    continue
                records = mutations.value_at(mutations.json_of(answer), path)
                more = [mutations.as_another_person(records[0], 7), *records]
                grown = mutations.with_records(mutations.json_of(answer), path, more)
                replay = sample.replay(nth, mutations.replace_body(json.dumps(grown).encode()))
                if replay.error is None and replay.value != sample.value:
                    _incomplete(sample.provider, sample.name, sample.value, replay.summary)

    def test_search_that_finds_others_for_ever(
        self, walkthrough: Walkthrough, finding: str
    ) -> None:
        """A search ends even if the service ignores the cursor, gives no total, and answers with
        full pages of other people.

        Likely cause: The search reads pages in a loop of its own, or takes a record without
        comparing it.
        """
        for sample in samples_with_requests(walkthrough, finding):
            outgoing, answer = sample.played[-1]
            size = page_size(outgoing)
            if sample.value is None or size is None:
                continue
            path = mutations.list_describing(mutations.json_of(answer), [sample.value])
            if path is None:
                continue
            one = mutations.value_at(mutations.json_of(answer), path)[0]
            others = [mutations.as_another_person(one, n) for n in range(size)]
            body = mutations.with_records(mutations.json_of(answer), path, others)
            content = json.dumps(mutations.without_totals(body)).encode()
            replay = sample.replay(wire=ScriptedWire(replace(answer, content=content)))
            if isinstance(replay.error, EndlessCall) or replay.value is not None:
                _incomplete(sample.provider, sample.name, "nobody, in the end", replay.summary)

    @pytest.mark.parametrize("listing", LISTS)
    def test_more_than_asked_for(self, walkthrough: Walkthrough, listing: str) -> None:
        """No record is lost if the service ignores the page size and sends everything at once.

        Likely cause: The records are cut off at the size that was asked for.
        """
        for sample in self._samples(walkthrough, listing):
            if len(sample.played) != 1:
                pytest.skip(f"{listing} needs several requests for a page here")
            path = mutations.list_describing(
                mutations.json_of(sample.played[0][1]), sample.value.items
            )
            size = page_size(sample.played[0][0])
            if path is None or size is None:
                continue
            count = size + 7

            def grow(body: Any, path: Any = path, count: int = count) -> Any:
                records = mutations.value_at(body, path)
                return mutations.with_records(
                    body,
                    path,
                    [
                        mutations.as_another_person(records[n % len(records)], n)
                        for n in range(count)
                    ],
                )

            replay = sample.replay(0, mutations.change_json(grow))
            got = len(replay.value.items) if isinstance(replay.value, Page) else replay.summary
            shown = len(sample.value.items) / len(
                mutations.value_at(mutations.json_of(sample.played[0][1]), path)
            )
            if got != count and shown == 1:
                _incomplete(sample.provider, sample.name, f"{count} {listing}", got)

    def test_list_of_invitations_tells_who_is_pending(self, harness: Harness) -> None:
        """A pending person is in the list of invitations, in that state.

        Likely cause: The list is filtered, or its records have another shape than a single
        invitation.
        """
        harness.require("invitations")
        harness.invitation("ada")
        harness.invitation("bob")
        listed = {email_key(one.email): one.state for one in harness.guests.invitations()}
        wanted = {email_key(harness.address(name)): State.PENDING for name in ("ada", "bob")}
        if {**listed, **wanted} != listed:
            _incomplete(harness.provider, "invitations", wanted, listed)
        chosen = [email_key(one.email) for one in harness.guests.invitations(state="pending")]
        pending = {one for one, state in listed.items() if state is State.PENDING}
        if set(chosen) != pending:
            _incomplete(harness.provider, "invitations", pending, chosen)

    def test_who_has_accepted_is_not_listed_as_pending(self, harness: Harness) -> None:
        """A person who has accepted is not pending in the list of invitations.

        Likely cause: The service's word for accepted invitations is missing in the table of states,
        or its list shows no state.
        """
        harness.require("invitations")
        member = harness.member("ada")
        pending = [
            one
            for one in harness.guests.invitations(state="pending")
            if harness.key(one) == harness.key(member)
        ]
        if pending:
            _incomplete(harness.provider, "invitations", "nobody who has accepted", pending)

    def test_words_of_the_service_are_known(self, harness: Harness) -> None:
        """The provider knows every word of the service for a state. An accepted invitation is
        listed as accepted and a declined one as declined, if they are listed at all.

        Likely cause: The word is missing in the table of states, or stands for another state there.
        """
        harness.require("invitations")
        harness.member("ada")
        wanted = {harness.address("ada"): State.ACCEPTED}
        with suppress(Skipped):
            harness.backend.decline(harness.invitation("bob"))
            wanted[harness.address("bob")] = State.DECLINED
        if harness.provider.supports("revoke"):
            harness.run(harness.provider.revoke(harness.invitation("cleo")))
            wanted[harness.address("cleo")] = State.REVOKED
        page = harness.run(harness.provider.invitations())
        for address, state in wanted.items():
            listed = [one for one in page.items if harness.key(one) == email_key(address)]
            if any(one.state is not state for one in listed):
                _incomplete(harness.provider, "invitations", f"{address} is {state}", listed)

    def test_roles_can_be_told_apart(self, harness: Harness) -> None:
        """Every role has an id of its own within its kind, and a name that people know. Its kind
        is one of `role_kinds`.

        Likely cause: Two kinds share ids and the kind is not set, a role has no name, or
        `role_kinds` lacks a kind.
        """
        harness.require("roles")
        roles = harness.roles()
        ids = [(role.kind, role.id) for role in roles]
        if len(ids) != len(set(ids)) or not all(role.id and role.label for role in roles):
            _incomplete(harness.provider, "roles", "different ids, and names", roles)
        harness.check(
            {role.kind for role in roles} <= set(harness.provider.role_kinds),
            expected=f"only the kinds {', '.join(harness.provider.role_kinds)}",
            got=sorted({role.kind for role in roles}),
            look_at="role_kinds roles",
        )

    # ------------------------------------------------------------------ parts of tests

    def _people(self, harness: Harness) -> None:
        """Five invitations, two of them accepted."""
        for name in PEOPLE:
            harness.invitation(name)
        for name in PEOPLE[1:4:2]:
            harness.accept(harness.status(name).invitation)

    def _samples(self, walkthrough: Walkthrough, listing: str) -> list[Sample]:
        if not self.provider_class().supports(listing):
            pytest.skip(f"there is no list of {listing}")
        return samples_with_requests(walkthrough, listing)

    def _list_of(self, sample: Sample) -> int:
        """Returns the index of the answer with the records: the one that names most of them. For an
        empty list, the first answer to a request with a page size."""
        named = [_naming(sample, mutations.json_of(answer)) for _, answer in sample.played]
        if any(named):
            return named.index(max(named))
        sizes = [page_size(outgoing) for outgoing, _ in sample.played]
        return next((nth for nth, size in enumerate(sizes) if size), 0)


def _naming(sample: Sample, body: Any) -> int:
    """Returns the number of values of a page that an answer names, by id or address."""
    path = mutations.list_describing(body, sample.value.items)
    return 0 if path is None else mutations.count_described(body, path, sample.value.items)


def _beside_records(pages: list[Any], records: list[Any]) -> list[mutations.Path]:
    """Returns the places outside the list of records, in the first page that has any of them."""
    for page in pages:
        path = mutations.list_describing(page, records)
        if path is not None:
            return mutations.paths_outside(page, path)
    return []


def _listed(harness: Harness, listing: str) -> list[str]:
    """Returns the items of a list as texts. Roles of two kinds may have one id."""
    found = getattr(harness.guests, listing)()
    return [f"{getattr(one, 'kind', '')} {one.id or one.email}" for one in found]


def _incomplete(provider: Provider, name: str, expected: object, got: object) -> NoReturn:
    report_finding(expected=expected, got=got, look_at=location_of(provider, name))


def _always(mutation: Mutation) -> Callable[[Outgoing, Answer], Answer]:
    """Returns a function that applies a mutation to every page of a list."""

    def changed(outgoing: Outgoing, answer: Answer) -> Answer:
        if isinstance(answer, Response) and page_size(outgoing) is not None:
            return mutation(answer)
        return answer

    return changed


def _always_the_first_page() -> Callable[[Outgoing, Answer], Answer]:
    """Returns a function that answers each list with its first page, as if cursors were ignored."""
    first: dict[object, Answer] = {}

    def answer_again(outgoing: Outgoing, answer: Answer) -> Answer:
        if page_size(outgoing) is None:
            return answer
        return first.setdefault((urlsplit(outgoing.url).path, filters(outgoing)), answer)

    return answer_again
