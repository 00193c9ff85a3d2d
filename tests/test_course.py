"""The course as a property: newest first, from several places at once, any account still gives exactly its rows."""

import json
import random
from dataclasses import dataclass
from dataclasses import field as made
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stored_completions.course import Course, Line
from stored_completions.cursor import Cursor
from stored_completions.errors import LimitTooLarge, OrderRefused
from stored_completions.listing import Listed, Request
from stored_completions.walk import Pace
from test_walk import NOW, Row, account, accounts, seeds, servers
from test_walk import Server as Ascending
from test_walk import run as walked

PACE = Pace(page_size=5, short=60, long=600, long_every=600)


@dataclass
class Server(Ascending):
    """An account that also lists newest first, and one model's rows; unless it refuses, or ignores the order."""

    orders: str = "both"
    filters: bool = True
    asked: list[Request] = made(default_factory=list)

    def answer(self, request: Request) -> tuple[list[Listed], bool | None, int | None] | None:
        self.asked.append(request)
        if request.order == "desc" and self.orders == "refuses":
            raise OrderRefused("order")
        if request.model is not None and self.filters:
            return self._probed(request)
        is_rising = request.order == "asc" if self.orders not in ("asc", "desc") else self.orders == "asc"
        answer = self.page(request.after, request.limit) if is_rising else self._mirrored(request)
        return answer and ([with_model(row) for row in answer[0]], *answer[1:])

    def _mirrored(self, request: Request) -> tuple[list[Listed], bool | None, int | None] | None:
        mirror = [Row(row.id, -row.created, row.visible_at, row.deleted_at) for row in self.rows]
        own, self.rows = self.rows, mirror
        try:
            answer = self.page(request.after, request.limit)
        finally:
            self.rows = own
        if answer is None:
            return None
        page, has_more, date = answer
        return [Listed(row.key, -(row.created or 0)) for row in page], has_more, date

    def _probed(self, request: Request) -> tuple[list[Listed], bool | None, int | None]:
        rows = sorted(self.visible(), key=lambda row: row.created, reverse=request.order == "desc")
        of_model = [row for row in rows if model(row.id) == request.model]
        page = [with_model(Listed(row.id, row.created)) for row in of_model[: request.limit]]
        return page, len(of_model) > request.limit, self.clock if self.has_date else None


def model(id_: str) -> str:
    """Three models, one after the other in the life of an account."""
    second = int(id_[1:].partition("-")[0]) if id_[1:2].isdigit() else 0
    return f"m{second // 14}"


def with_model(row: Listed) -> Listed:
    return row._replace(model=model(row.key))


def run(
    server: Server,
    cursor: Cursor,
    pace: Pace = PACE,
    *,
    max_pages: int | None = None,
    chance: random.Random | None = None,
    **options: Any,
) -> tuple[set[str], Course]:
    """One run, cut after `max_pages`, its pages coming in any order: the ids that came out, and the course."""
    course = Course(cursor, pace, server.clock, **options)
    found: set[str] = set()
    flying: dict[Line, Request] = {}
    left = max_pages
    while True:
        if not (left is not None and left <= 0 and course.has_moved):
            for line in course.lines:
                if line not in flying and line.request and (left is None or len(flying) < max(left, 1)):
                    flying[line] = line.request
        if not flying:
            return found, course
        line = list(flying)[chance.randrange(len(flying)) if chance else 0]
        taken, rows = ask(server, course, line, flying.pop(line))
        left = None if left is None else left - taken
        found |= rows
        assert server.requests < 100_000, "the course does not end"


def ask(server: Server, course: Course, line: Line, request: Request) -> tuple[int, set[str]]:
    try:
        answer = server.answer(request)
    except LimitTooLarge as refusal:
        course.limit_refused(line, refusal)
        return 0, set()
    except OrderRefused as refusal:
        course.order_refused(line, refusal)
        return 0, set()
    if answer is None:
        course.cursor_gone(line)
        return 1, set()
    page, has_more, date = answer
    return 1, {page[at].key for at in course.take(line, page, has_more, date)}


def saved(course: Course) -> Cursor:
    return Cursor.from_json(json.loads(json.dumps(course.cursor.as_json())))


options = st.fixed_dictionaries({"chains": st.integers(1, 6), "chance": seeds})


@given(accounts, st.integers(1, 60), servers, options)
def test_any_account_comes_out_exactly(
    rows: list[Row], page_size: int, kind: dict[str, Any], own: dict[str, Any]
) -> None:
    found, course = run(Server(rows, **kind), Cursor(), Pace(page_size=page_size), **own)
    assert found == {row.id for row in rows}
    assert course.request is None
    assert course.incomplete == []
    assert course.cursor.covered_from is None


@given(accounts, st.integers(1, 20), servers, options, st.integers(1, 5))
def test_any_cut_resumes_and_ends(
    rows: list[Row], page_size: int, kind: dict[str, Any], own: dict[str, Any], cut: int
) -> None:
    server = Server(rows, **kind)
    cursor, found = Cursor(), set()
    for _ in range(2_000):
        some, course = run(server, cursor, Pace(page_size=page_size), max_pages=cut, **own)
        found |= some
        cursor = saved(course)
        if course.request is None:
            break
    assert course.request is None
    assert found == {row.id for row in rows}
    assert cursor.covered_from is None


def paced(page_size: int) -> Pace:
    return Pace(page_size=page_size, short=60, long=600, long_every=600)


late_accounts = st.lists(st.tuples(st.integers(-5_000, 2_000), st.integers(0, 590)), max_size=60)


@given(
    late_accounts,
    st.integers(1, 12),
    servers,
    options,
    st.lists(st.integers(1, 900), min_size=1, max_size=8),
    st.none() | st.integers(1, 6),
)
def test_rows_that_appear_late_at_the_joint_are_found(
    late: list[tuple[int, int]],
    page_size: int,
    kind: dict[str, Any],
    own: dict[str, Any],
    gaps: list[int],
    cut: int | None,
) -> None:
    """Before, while and after the account is read for the first time, whole or in pieces."""
    rows = [Row(f"c{n}", NOW + at, NOW + at + delay) for n, (at, delay) in enumerate(late)]
    server = Server(rows, tick=3, **(kind | {"has_date": True}))
    pace = Pace(page_size=page_size, short=60, long=600, long_every=600)
    cursor, found = Cursor(), set()
    for gap in gaps:
        some, course = run(server, cursor, pace, max_pages=cut, **own)
        found |= some
        cursor = saved(course)
        server.clock += gap
    server.clock = max(server.clock, NOW + 10_000)
    for _ in range(400):
        some, course = run(server, cursor, pace, **own)
        found |= some
        cursor = saved(course)
        server.clock += 700
        if course.request is None and server.clock > NOW + 12_000:
            break
    assert found == {row.id for row in rows}


@given(accounts, st.integers(1, 12), servers, options, st.sampled_from(["error", "restart", "empty"]), seeds)
def test_deletions_hide_no_other_row(
    rows: list[Row],
    page_size: int,
    kind: dict[str, Any],
    own: dict[str, Any],
    vanished: str,
    luck: random.Random,
) -> None:
    """Rows vanish between and within runs, and most of those that chains stand at, or would step back to."""
    server = Server(rows, vanished=vanished, tick=1, **kind)
    found = read_while_rows_vanish(server, paced(page_size), (3, 2, 5, 4, None), luck, **own)
    assert {row.id for row in server.visible()} <= found


@pytest.mark.parametrize("seed", range(8))
def test_deletions_hide_no_other_row_where_chains_begin_in_the_middle(seed: int) -> None:
    """An account that is long enough for them: a chain whose row vanishes leaves its gap to the one above."""
    chance = random.Random(seed)
    rows = account(*[chance.randrange(5) for _ in range(100)])
    server = Server(rows, vanished=("error", "restart", "empty")[seed % 3], tick=1)
    found = read_while_rows_vanish(server, paced(3), (8, 9, 5, 14, 7, None), chance, chains=5)
    assert {row.id for row in server.visible()} <= found


def read_while_rows_vanish(
    server: Server, pace: Pace, cuts: tuple[int | None, ...], luck: random.Random, **own: Any
) -> set[str]:
    for row in server.rows:
        if luck.random() < 0.1:
            row.deleted_at = NOW + luck.randrange(200)
    cursor, found = Cursor(), set[str]()
    for cut in cuts:
        some, course = run(server, cursor, pace, max_pages=cut, **own)
        found |= some
        cursor = saved(course)
        server.clock += luck.randrange(30)
        for row in server.rows:
            if row.id in places(cursor) and luck.random() < 0.6:
                row.deleted_at = server.clock
    return found


def places(cursor: Cursor) -> set[str]:
    """Where it goes on, and the last rows before each of these places."""
    ends = [end for gap in (cursor.backfill.gaps if cursor.backfill else ()) for end in (gap.down, gap.up)]
    marks = [mark for end in ends if end for mark in (end.anchor, *end.trail[-2:])]
    return {mark.id for mark in (*marks, cursor.position, *cursor.trail[-2:]) if mark}


@given(accounts, st.integers(1, 12), servers, options)
def test_a_future_time_hides_nothing_that_comes_later(
    rows: list[Row], page_size: int, kind: dict[str, Any], own: dict[str, Any]
) -> None:
    future = [Row(f"future{number}", NOW + 10**7 + number) for number in range(3)]
    server = Server([*rows, *future], **(kind | {"has_date": True}))
    found, course = run(server, Cursor(), Pace(page_size=page_size), **own)
    assert found == {row.id for row in server.rows}
    server.clock += 50_000
    server.rows.append(Row("after", NOW + 40_000))
    found, course = run(server, saved(course), Pace(page_size=page_size), **own)
    assert "after" in found
    assert course.cursor.newest == NOW + 40_000


@given(
    accounts,
    st.integers(1, 20),
    servers,
    options,
    st.none() | st.integers(1, 5),
    st.lists(st.none() | st.integers(0, 45), min_size=1, max_size=4),
)
def test_since_reads_down_to_it_and_an_earlier_one_further(
    rows: list[Row],
    page_size: int,
    kind: dict[str, Any],
    own: dict[str, Any],
    cut: int | None,
    wishes: list[int | None],
) -> None:
    server = Server(rows, **kind)
    cursor, found = Cursor(), set()
    wanted = (NOW - 100_000 + wishes[0]) if wishes[0] is not None else None
    for wish in wishes:
        since = None if wish is None else NOW - 100_000 + wish
        if wanted is not None and since is not None:
            wanted = min(wanted, since)
        for _ in range(500):
            some, course = run(server, cursor, paced(page_size), max_pages=cut, since=since, **own)
            found |= some
            cursor = saved(course)
            if course.request is None:
                break
        assert course.request is None
        assert found == {row.id for row in rows if wanted is None or row.created >= wanted}
        if all(row.created >= (wanted or 0) for row in rows):
            assert cursor.covered_from in (None, wanted)
        else:
            assert cursor.covered_from == wanted


@given(
    accounts, st.integers(1, 20), servers, options, st.sampled_from(["asc", "desc", "refuses"]), st.booleans()
)
def test_a_server_that_knows_one_order_only_is_read_in_that(
    rows: list[Row], page_size: int, kind: dict[str, Any], own: dict[str, Any], orders: str, filters: bool
) -> None:
    server = Server(rows, orders=orders, filters=filters, **kind)
    found, course = run(server, Cursor(), Pace(page_size=page_size), **own)
    assert found == {row.id for row in rows}
    assert course.request is None


def test_where_no_row_is_known_it_reads_oldest_first() -> None:
    course = Course(Cursor(), PACE, NOW)
    (down,) = course.lines
    assert course.late(down, [Listed("x", NOW)]) == {}
    course.page_too_heavy(down)
    assert down.request is not None
    assert down.request.limit == 2
    course.cursor_gone(down)
    assert course.is_forward_only
    (walk,) = course.lines
    with pytest.raises(OrderRefused):
        course.order_refused(walk, OrderRefused("order"))


def test_a_way_up_that_the_server_does_not_know_is_left_to_the_one_that_comes_down() -> None:
    server = Server(account(*[1] * 60))
    course = Course(Cursor(), PACE, NOW, chains=3)
    for _ in range(2):
        ask(server, course, course.lines[0], course.lines[0].request or Request(None, 5))
    up = next(line for line in course.lines if line.request and line.request.order == "asc")
    assert up.request is not None
    assert up.request.after is None
    course.cursor_gone(up)
    assert up not in course.lines
    assert not course.is_forward_only


def test_an_earlier_since_counts_while_the_first_one_is_still_read() -> None:
    server = Server(account(*[1] * 60))
    found, course = run(server, Cursor(), paced(5), since=NOW - 99_970, max_pages=2)
    assert course.request is not None
    more, course = run(server, saved(course), paced(5), since=NOW - 99_990)
    assert found | more == {row.id for row in server.rows if row.created >= NOW - 99_990}
    assert course.cursor.covered_from == NOW - 99_990


def test_a_first_walk_of_an_older_version_goes_on_upwards() -> None:
    server = Server(account(*[1] * 50))
    older, walk = walked(server, Cursor(), paced(10), max_pages=2)
    state = walk.cursor.as_json()
    assert "backfill" not in state
    found, course = run(server, Cursor.from_json(state), paced(10), chains=4, since=NOW - 99_990)
    assert older | found == {row.id for row in server.rows}
    assert {request.order for request in server.asked} == {"asc"}
    assert course.cursor.covered_from is None


def test_nothing_new_costs_the_pages_of_the_look_back() -> None:
    server = Server(account(*[1] * 1_000, start=NOW - 10_000))
    _, course = run(server, Cursor(), Pace(), chains=4)
    server.requests = 0
    _, course = run(server, saved(course), Pace(), chains=4)
    assert server.requests == 1


def steps(server: Server, **options: Any) -> int:
    """How often one waits for the server when everything wanted is asked for at once."""
    course, waits = Course(Cursor(), Pace(page_size=10), server.clock, **options), 0
    while course.request is not None:
        waits += 1
        for line, request in [(line, line.request) for line in course.lines]:
            assert request is not None
            ask(server, course, line, request)
    return waits


def test_more_chains_wait_less_often() -> None:
    rows = [Row(f"c{number // 30}-{number}", NOW - 10_000 + number) for number in range(1_200)]
    waits = [steps(Server(rows), chains=chains) for chains in (1, 2, 4)]
    assert waits[0] / waits[1] > 1.8
    assert waits[0] / waits[2] > 2.5
