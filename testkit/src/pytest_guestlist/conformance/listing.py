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
from pytest_guestlist.conformance import tricks
from pytest_guestlist.conformance.base import Rules, samples_of, sent_by
from pytest_guestlist.conformance.remark import place, remark
from pytest_guestlist.conformance.scene import Scene
from pytest_guestlist.conformance.setting import Lacking
from pytest_guestlist.conformance.tour import LISTS, Sample, Tour
from pytest_guestlist.conformance.wires import (
    Answer,
    Endless,
    Reciting,
    Trick,
    filters,
    page_size,
    with_page_size,
)

ALIKE = ("zoe.finn", "y.finn", "finn")
"""People who are found when the last of them is searched for by a part of the address."""

SIZES = (1, 2, 3, 4, 7)
"""Of pages that the service is made to answer with."""

PEOPLE = ("ada", "bob", "cleo", "dan", "eve")


class Listing(Rules):
    """`invitations`, `members`, `roles`, and the flows that read pages themselves.

    Attributes:
        short_page_ends: whether this service marks the end of a list by nothing but a page that is
            shorter than asked for. Then smaller pages cannot be tried out.
    """

    short_page_ends = False

    @pytest.mark.parametrize("listing", LISTS)
    def test_pages_of_any_size(self, scene: Scene, listing: str) -> None:
        """Whatever the size of the service's pages, a list holds everything once: with one page,
        exactly a page, and many.

        Likely cause: The next page is not read, its cursor is computed from the size that was asked
        for instead of the records that came, or a boundary record is read twice.
        """
        scene.needs(listing)
        self._people(scene)
        scene.forget()
        whole = _listed(scene, listing)
        in_pages = any(page_size(outgoing) for outgoing, _ in scene.wire.noted)
        for size in SIZES if in_pages and not self.short_page_ends else ():
            scene.wire.before = partial(with_page_size, size=size)
            scene.forget()
            paged = _listed(scene, listing)
            if sorted(paged) != sorted(whole):
                came = f"{len(paged)} with pages of {size}, {len(set(paged))} different ones"
                _incomplete(scene.provider, listing, f"{len(whole)} {listing}", came)
        if len(set(whole)) != len(whole):
            _incomplete(scene.provider, listing, "everything once", whole)

    @pytest.mark.parametrize("size", [1, 3])
    def test_finding_reads_every_page(self, scene: Scene, size: int) -> None:
        """Somebody on the last page is found like somebody on the first.

        Likely cause: `find_member` or `find_invitation` looks at the first page only. Use `every`,
        or leave it undefined.
        """
        if self.short_page_ends:
            pytest.skip("a page shorter than asked for is the end of a list here")
        for name in ALIKE:
            scene.member(name)
        self._people(scene)
        everybody = (*ALIKE, *PEOPLE)
        states = [scene.status(name).state for name in everybody]
        scene.wire.before = lambda outgoing: with_page_size(outgoing, size)
        paged = [scene.status(name).state for name in everybody]
        if states != paged:
            remark(
                expected=states,
                came=paged,
                look_at=place(scene.provider, "find_member find_invitation"),
            )

    @pytest.mark.parametrize("size", [1, 2])
    def test_operations_read_every_page(self, scene: Scene, size: int) -> None:
        """Operations that read a list themselves, such as `access`, read all of its pages, and end
        also where the service answers every cursor with the same page: `every` does both.

        Likely cause: The operation reads one page of a list. Use `every`.
        """
        scene.needs("access", "assign_role")
        if self.short_page_ends:
            pytest.skip("a page shorter than asked for is the end of a list here")
        member = scene.member("ada")
        for role in scene.assignable_roles():
            if "owner" not in role.label.lower():
                scene.run(scene.provider.assign_role(member, role))
        whole = {grant.role.id for grant in scene.guests.access(member).grants}
        scene.wire.before = lambda outgoing: with_page_size(outgoing, size)
        scene.forget()
        paged = {grant.role.id for grant in scene.guests.access(member).grants}
        if whole != paged:
            remark(
                expected=whole,
                came=paged,
                look_at=place(scene.provider, "access"),
            )
        scene.wire.after = _always_the_first_page()
        scene.forget()
        try:
            with suppress(MalformedResponse):  # that it cannot be read to its end is an end, too
                scene.run(scene.provider.access(member))
        except Endless as endless:
            _incomplete(scene.provider, "access", "an end", endless)

    @pytest.mark.parametrize("listing", LISTS)
    def test_total_is_true(self, scene: Scene, listing: str) -> None:
        """If a page has a total, all pages of its section together hold as many records, and the
        page with the last of them is the section's last. Records that are left out count.

        Likely cause: The total counts something else than the list (another filter, or all kinds of
        records), or `Page.section` is missing for a list of several parts.
        """
        scene.needs(listing)
        self._people(scene)
        count, totals, cursor = Counter[str](), dict[str, int](), None
        while True:
            page = scene.run(getattr(scene.provider, listing)(cursor))
            if count[page.section] and count[page.section] >= totals.get(page.section, math.inf):
                came = f"{count[page.section]}, and then another page"
                expected = f"{totals[page.section]}, and then the end"
                _incomplete(scene.provider, listing, expected, came)
            count[page.section] += page.records
            if page.total is not None:
                totals[page.section] = page.total
            cursor = page.next
            if cursor is None:
                break
        for section, total in totals.items():
            if count[section] != total:
                _incomplete(scene.provider, listing, f"{total} records", count[section])

    @pytest.mark.parametrize("listing", LISTS)
    def test_total_is_the_service_s(self, tour: Tour, listing: str) -> None:
        """A total is what the service reports, not how many records came: a list that ends with
        fewer is incomplete, and nobody counts as absent from it.

        Likely cause: `total` is the number of records that came, such as `len(items)`. Pass on the
        service's number, or None.
        """
        for sample in samples_of(tour, listing):
            total = getattr(sample.value, "total", None) or 0
            trick = tricks.with_another_total(total, total + 1)
            tell = [
                nth
                for nth, (_, answer) in enumerate(sample.played if total else ())
                if trick(answer) != answer
            ]
            again = [sample.again(nth, trick) for nth in tell]
            if again and all(one.error is None and one.value.total == total for one in again):
                _incomplete(sample.provider, listing, f"a total of {total + 1}", again[-1].came)

    @pytest.mark.parametrize("listing", LISTS)
    def test_unreadable_cursor_is_no_end(self, scene: Scene, listing: str) -> None:
        """What tells where the next page is, in a shape that is not known, does not make a list
        that has more pages look complete.

        Likely cause: A cursor of an unexpected type counts as none: `if cursor:`, or a default of
        `.get`. Raise `TypeError` for it.
        """
        scene.needs(listing)
        if self.short_page_ends:
            pytest.skip("a page shorter than asked for is the end of a list here")
        self._people(scene)
        scene.wire.before = partial(with_page_size, size=2)
        scene.forget()
        whole = _listed(scene, listing)
        pages = [
            tricks.told(answer)
            for outgoing, answer in scene.wire.noted
            if page_size(outgoing) and isinstance(answer, Response)
        ]
        records = list(getattr(scene.guests, listing)())
        for path in _beside_records(pages, records):
            scene.wire.after = _always(tricks.document(partial(tricks.disguised, path=path)))
            scene.forget()
            with suppress(GuestlistError):
                found = _listed(scene, listing)
                if set(found) < set(whole):
                    where = ".".join(map(str, path))
                    came = f"{len(found)} where the service answers {where!r} in another shape"
                    expected = f"{len(whole)} {listing}, or an error"
                    _incomplete(scene.provider, listing, expected, came)

    @pytest.mark.parametrize("listing", LISTS)
    def test_empty_list(self, tour: Tour, listing: str) -> None:
        """An empty list is an empty page, and the end. A page may have roles that the provider
        knows without asking. If an answer has several lists, one of them is the operation's.

        Likely cause: The code takes the first record of the list, or an empty list for an error.
        """
        for sample in self._samples(tour, listing):
            nth = self._list_of(sample)
            told = tricks.told(sample.played[nth][1])
            came = []
            for path in tricks.filled_lists(told):
                empty = partial(tricks.resized, path=path, records=[])
                replay = sample.again(nth, tricks.document(empty))
                listed = len(tricks.at(told, path)) if listing == "roles" else math.inf
                known = max(0, len(sample.value.items) - listed)
                if isinstance(replay.value, Page) and len(replay.value.items) <= known:
                    break
                name = ".".join(map(str, path)) or "the whole answer"
                came.append(f"with {name} emptied: {replay.came}")
            else:
                if came:
                    _incomplete(sample.provider, sample.name, "an empty page", "; ".join(came))

    @pytest.mark.parametrize("listing", LISTS)
    def test_page_that_comes_for_ever(self, scene: Scene, listing: str) -> None:
        """A service that answers every cursor with the same page cannot keep guestlist reading.

        Likely cause: The flow reads pages in a loop of its own. Return one page, and let guestlist
        or `every` read on.
        """
        scene.needs(listing)
        self._people(scene)
        scene.wire.before = lambda outgoing: with_page_size(outgoing, 2)
        scene.wire.after = _always_the_first_page()
        scene.forget()
        try:
            found = _listed(scene, listing)
        except MalformedResponse:
            return  # guestlist says that the list cannot be read to its end
        except Endless as endless:
            _incomplete(scene.provider, listing, "an end", endless)
        if len(found) != len(set(found)):
            _incomplete(scene.provider, listing, "everybody once", found)

    def test_finding_ends(self, scene: Scene) -> None:
        """A service that answers every cursor with the same page cannot keep a search going.

        Likely cause: The flow reads pages in a loop of its own. Use `every`.
        """
        self._people(scene)
        scene.wire.before = lambda outgoing: with_page_size(outgoing, 1)
        scene.wire.after = _always_the_first_page()
        scene.forget()
        try:
            with suppress(MalformedResponse):  # the list cannot be read to its end
                scene.status("nobody")
        except Endless as endless:
            finding = "find_member members find_invitation invitations"
            _incomplete(scene.provider, finding, "an end", endless)

    def test_finding_takes_nobody_else(self, tour: Tour, finding: str) -> None:
        """Where a record is found by searching a list, it is the right one that counts, not the
        first: the service may ignore what it is asked for.

        Likely cause: The first record of the answer is taken without comparing its address or id.
        """
        for sample in samples_of(tour, finding):
            for nth, (_, answer) in enumerate(sample.played):
                if sample.value is None:
                    continue
                path = tricks.records_of(tricks.told(answer), [sample.value])
                if path is None:
                    continue
                records = tricks.at(tricks.told(answer), path)
                more = [tricks.renamed(records[0], 7), *records]
                grown = tricks.resized(tricks.told(answer), path, more)
                replay = sample.again(nth, tricks.body(json.dumps(grown).encode()))
                if replay.error is None and replay.value != sample.value:
                    _incomplete(sample.provider, sample.name, sample.value, replay.came)

    def test_search_that_finds_others_for_ever(self, tour: Tour, finding: str) -> None:
        """A search ends, also where the service ignores the cursor, tells no total, and answers
        with full pages of other people.

        Likely cause: The search reads pages in a loop of its own, or takes a record without
        comparing it.
        """
        for sample in sent_by(tour, finding):
            outgoing, answer = sample.played[-1]
            size = page_size(outgoing)
            if sample.value is None or size is None:
                continue
            path = tricks.records_of(tricks.told(answer), [sample.value])
            if path is None:
                continue
            one = tricks.at(tricks.told(answer), path)[0]
            others = [tricks.renamed(one, n) for n in range(size)]
            told = tricks.resized(tricks.told(answer), path, others)
            content = json.dumps(tricks.without_totals(told)).encode()
            replay = sample.again(wire=Reciting(replace(answer, content=content)))
            if isinstance(replay.error, Endless) or replay.value is not None:
                _incomplete(sample.provider, sample.name, "nobody, in the end", replay.came)

    @pytest.mark.parametrize("listing", LISTS)
    def test_more_than_asked_for(self, tour: Tour, listing: str) -> None:
        """A service that ignores the size asked for, and sends everything at once, loses
        nothing.

        Likely cause: The records are cut off at the size that was asked for.
        """
        for sample in self._samples(tour, listing):
            if len(sample.played) != 1:
                pytest.skip(f"{listing} needs several requests for a page here")
            path = tricks.records_of(tricks.told(sample.played[0][1]), sample.value.items)
            size = page_size(sample.played[0][0])
            if path is None or size is None:
                continue
            count = size + 7

            def grow(told: Any, path: Any = path, count: int = count) -> Any:
                records = tricks.at(told, path)
                return tricks.resized(
                    told, path, [tricks.renamed(records[n % len(records)], n) for n in range(count)]
                )

            replay = sample.again(0, tricks.document(grow))
            came = len(replay.value.items) if isinstance(replay.value, Page) else replay.came
            shown = len(sample.value.items) / len(tricks.at(tricks.told(sample.played[0][1]), path))
            if came != count and shown == 1:
                _incomplete(sample.provider, sample.name, f"{count} {listing}", came)

    def test_list_of_invitations_tells_who_is_pending(self, scene: Scene) -> None:
        """A pending person is in the list of invitations, in that state.

        Likely cause: The list is filtered, or its records have another shape than a single
        invitation.
        """
        scene.needs("invitations")
        scene.invitation("ada")
        scene.invitation("bob")
        listed = {email_key(one.email): one.state for one in scene.guests.invitations()}
        wanted = {email_key(scene.address(name)): State.PENDING for name in ("ada", "bob")}
        if {**listed, **wanted} != listed:
            _incomplete(scene.provider, "invitations", wanted, listed)
        chosen = [email_key(one.email) for one in scene.guests.invitations(state="pending")]
        pending = {one for one, state in listed.items() if state is State.PENDING}
        if set(chosen) != pending:
            _incomplete(scene.provider, "invitations", pending, chosen)

    def test_who_has_accepted_is_not_listed_as_pending(self, scene: Scene) -> None:
        """A person who has accepted is not pending in the list of invitations.

        Likely cause: The service's word for accepted invitations is missing in the table of states,
        or its list shows no state.
        """
        scene.needs("invitations")
        member = scene.member("ada")
        pending = [
            one
            for one in scene.guests.invitations(state="pending")
            if scene.key(one) == scene.key(member)
        ]
        if pending:
            _incomplete(scene.provider, "invitations", "nobody who has accepted", pending)

    def test_words_of_the_service_are_known(self, scene: Scene) -> None:
        """The provider knows every word of the service for a state. An accepted invitation is
        listed as accepted and a declined one as declined, if they are listed at all.

        Likely cause: The word is missing in the table of states, or stands for another state there.
        """
        scene.needs("invitations")
        scene.member("ada")
        wanted = {scene.address("ada"): State.ACCEPTED}
        with suppress(Lacking):
            scene.setting.decline(scene.invitation("bob"))
            wanted[scene.address("bob")] = State.DECLINED
        if scene.provider.supports("revoke"):
            scene.run(scene.provider.revoke(scene.invitation("cleo")))
            wanted[scene.address("cleo")] = State.REVOKED
        page = scene.run(scene.provider.invitations())
        for address, state in wanted.items():
            told = [one for one in page.items if scene.key(one) == email_key(address)]
            if any(one.state is not state for one in told):
                _incomplete(scene.provider, "invitations", f"{address} is {state}", told)

    def test_roles_can_be_told_apart(self, scene: Scene) -> None:
        """Every role has an id of its own within its kind, and a name that people know. Its kind
        is one of `role_kinds`.

        Likely cause: Two kinds share ids and the kind is not set, a role has no name, or
        `role_kinds` lacks a kind.
        """
        scene.needs("roles")
        roles = scene.roles()
        ids = [(role.kind, role.id) for role in roles]
        if len(ids) != len(set(ids)) or not all(role.id and role.label for role in roles):
            _incomplete(scene.provider, "roles", "different ids, and names", roles)
        scene.check(
            {role.kind for role in roles} <= set(scene.provider.role_kinds),
            expected=f"only the kinds {', '.join(scene.provider.role_kinds)}",
            came=sorted({role.kind for role in roles}),
            look_at="role_kinds roles",
        )

    # ------------------------------------------------------------------ parts of tests

    def _people(self, scene: Scene) -> None:
        """Five invitations, two of them accepted."""
        for name in PEOPLE:
            scene.invitation(name)
        for name in PEOPLE[1:4:2]:
            scene.accept(scene.status(name).invitation)

    def _samples(self, tour: Tour, listing: str) -> list[Sample]:
        if not self.provider_class().supports(listing):
            pytest.skip(f"there is no list of {listing}")
        return sent_by(tour, listing)

    def _list_of(self, sample: Sample) -> int:
        """Which of the answers of a list tells who is in it: the one that names the most of them;
        of an empty list, the first that a size was asked for."""
        named = [_naming(sample, tricks.told(answer)) for _, answer in sample.played]
        if any(named):
            return named.index(max(named))
        sizes = [page_size(outgoing) for outgoing, _ in sample.played]
        return next((nth for nth, size in enumerate(sizes) if size), 0)


def _naming(sample: Sample, told: Any) -> int:
    """How many of the values of a page the list of an answer names, by id or address."""
    path = tricks.records_of(told, sample.value.items)
    return 0 if path is None else tricks.described(told, path, sample.value.items)


def _beside_records(pages: list[Any], records: list[Any]) -> list[tricks.Path]:
    """Returns the places outside the list of records, in the first page that has any of them."""
    for page in pages:
        path = tricks.records_of(page, records)
        if path is not None:
            return tricks.beside(page, path)
    return []


def _listed(scene: Scene, listing: str) -> list[str]:
    """Everything in a list, told apart: roles of two kinds may have one id."""
    found = getattr(scene.guests, listing)()
    return [f"{getattr(one, 'kind', '')} {one.id or one.email}" for one in found]


def _incomplete(provider: Provider, name: str, expected: object, came: object) -> NoReturn:
    remark(expected=expected, came=came, look_at=place(provider, name))


def _always(trick: Trick) -> Callable[[Outgoing, Answer], Answer]:
    """Plays a trick with every page of a list."""

    def changed(outgoing: Outgoing, answer: Answer) -> Answer:
        if isinstance(answer, Response) and page_size(outgoing) is not None:
            return trick(answer)
        return answer

    return changed


def _always_the_first_page() -> Callable[[Outgoing, Answer], Answer]:
    """A service that ignores the cursor: a list is told by its path and what it is filtered by."""
    first: dict[object, Answer] = {}

    def answer_again(outgoing: Outgoing, answer: Answer) -> Answer:
        if page_size(outgoing) is None:
            return answer
        return first.setdefault((urlsplit(outgoing.url).path, filters(outgoing)), answer)

    return answer_again
