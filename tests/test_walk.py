"""The walk as a property: any account, any server of the kinds that were met, exactly its rows."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stored_completions.chain import Chain
from stored_completions.cursor import Cursor, Mark, Settled, Trail
from stored_completions.errors import LimitTooLarge, NoProgress
from stored_completions.walk import Listed, Pace, Walk

NOW = 1_760_000_000
PACE = Pace(page_size=5, short=60, long=600, long_every=600)


@dataclass
class Row:
    id: str
    created: int
    visible_at: int = 0
    deleted_at: int | None = None


@dataclass
class Server:
    """An account behind the API, with a clock that moves as requests come in."""

    rows: list[Row]
    clock: int = NOW
    tick: int = 0
    positional: bool = False
    as_stored: bool = False
    vanished: str = "error"
    max_limit: int = 10_000
    clamps: bool = False
    is_vague: bool = False
    has_date: bool = True
    has_has_more: bool = True
    always_more: bool = False
    shuffle: random.Random = field(default_factory=lambda: random.Random(0))
    requests: int = 0
    largest_asked: int = 0
    _stable: dict[str, float] = field(default_factory=dict)

    def visible(self) -> list[Row]:
        return [
            row
            for row in self.rows
            if row.visible_at <= self.clock and (row.deleted_at is None or row.deleted_at > self.clock)
        ]

    def page(self, after: str | None, limit: int) -> tuple[list[Listed], bool | None, int | None] | None:
        """A page; None when the cursor is refused. Raises LimitTooLarge."""
        self.requests += 1
        self.largest_asked = max(self.largest_asked, limit)
        self.clock += self.tick
        if limit > self.max_limit:
            if self.is_vague:
                return None
            if not self.clamps:
                raise LimitTooLarge("limit")
            limit = self.max_limit
        rows = self.visible()
        if not self.as_stored:
            rows.sort(key=lambda row: (row.created, self._order(row)))
        if after is not None:
            at = next((at for at, row in enumerate(rows) if row.id == after), None)
            if at is None and self.vanished == "error":
                return None
            if at is None:
                rows = rows if self.vanished == "restart" else []
            elif self.positional:
                rows = rows[at + 1 :]
            else:
                rows = [row for row in rows if row.created > rows[at].created]
        has_more = len(rows) > limit or (self.always_more and len(rows) == limit)
        page = [Listed(row.id, row.created) for row in rows[:limit]]
        return page, has_more if self.has_has_more else None, self.clock if self.has_date else None

    def _order(self, row: Row) -> float:
        if self.positional:
            return self._stable.setdefault(row.id, self.shuffle.random())
        return self.shuffle.random()


def run(
    server: Server, cursor: Cursor, pace: Pace = PACE, max_pages: int | None = None
) -> tuple[set[str], Walk]:
    """One walk, cut after `max_pages`: the ids that came out, and the walk."""
    walk = Walk(cursor, pace, server.clock)
    found: set[str] = set()
    pages = 0
    while walk.request is not None and not (max_pages and pages >= max_pages and walk.has_moved):
        try:
            answer = server.page(walk.request.after, walk.request.limit)
        except LimitTooLarge as refusal:
            walk.limit_refused(refusal)
            continue
        pages += 1
        assert server.requests < 100_000, "the walk does not end"
        if answer is None:
            walk.cursor_gone()
            continue
        page, has_more, date = answer
        found |= {page[at].key for at in walk.take(page, has_more, date)}
    return found, walk


def saved(walk: Walk) -> Cursor:
    return Cursor.from_json(walk.cursor.as_json())


def account(*per_second: int, start: int = NOW - 100_000) -> list[Row]:
    """`per_second[i]` rows in the i-th second."""
    return [
        Row(f"c{second}-{row}", start + second)
        for second, rows in enumerate(per_second)
        for row in range(rows)
    ]


accounts = st.lists(st.integers(0, 7), max_size=40).map(lambda counts: account(*counts))
seeds = st.integers(0, 10**6).map(random.Random)


def told_by_has_more(kind: dict[str, object]) -> dict[str, object]:
    """A server that says neither that a page was cut short nor that there is more is past help."""
    return kind if kind["has_has_more"] else kind | {"max_limit": 10_000}


servers = st.fixed_dictionaries(
    {
        "positional": st.booleans(),
        "clamps": st.booleans(),
        "max_limit": st.sampled_from([10_000, 20]),
        "has_date": st.booleans(),
        "has_has_more": st.booleans(),
        "always_more": st.booleans(),
        "shuffle": seeds,
    }
).map(told_by_has_more)


@given(accounts, st.integers(1, 120), servers)
def test_any_account_comes_out_exactly(rows: list[Row], page_size: int, kind: dict[str, object]) -> None:
    found, walk = run(Server(rows, **kind), Cursor(), Pace(page_size=page_size))  # type: ignore[arg-type]
    assert found == {row.id for row in rows}
    assert walk.request is None
    assert walk.incomplete == []


@given(accounts, st.integers(1, 20), servers, st.integers(1, 4))
def test_any_cut_resumes_and_ends(rows: list[Row], page_size: int, kind: dict[str, object], cut: int) -> None:
    server = Server(rows, **kind)  # type: ignore[arg-type]
    cursor, found = Cursor(), set()
    for _ in range(2_000):
        some, walk = run(server, cursor, Pace(page_size=page_size), max_pages=cut)
        found |= some
        cursor = saved(walk)
        if walk.request is None:
            break
    assert walk.request is None
    assert found == {row.id for row in rows}


stored_as_they_ended = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3) | st.just(10**6)), min_size=1, max_size=60
)


@given(stored_as_they_ended, st.integers(10, 30), st.booleans(), st.integers(1, 3))
def test_a_server_that_lists_in_the_order_of_storing_loses_nothing(
    steps: list[tuple[int, int]], page_size: int, has_more: bool, walks: int
) -> None:
    """Rows stand there as they were stored: a little out of order, or with `created: 0` in the middle."""
    rows, second = [], NOW - 50_000
    for number, (step, delay) in enumerate(steps):
        second += step
        rows.append(Row(f"c{number}", max(0, second - 2 * delay if delay < 10 else 0)))
    first = account(*[1] * page_size, start=NOW - 60_000)
    last = [Row(f"last{number}", second + 10 + number) for number in range(page_size)]
    server = Server([*first, *rows, *last], positional=True, as_stored=True, has_has_more=has_more)
    cursor, found = Cursor(), set()
    for _ in range(walks):
        some, walk = run(server, cursor, Pace(page_size=page_size, short=60, long=600, long_every=600))
        found |= some
        cursor = saved(walk)
    assert found == {row.id for row in server.rows}


@given(
    st.lists(st.tuples(st.sampled_from([0, 0, 0, 1]), st.sampled_from([0, 0, 2, 60])), max_size=80),
    st.integers(2, 30),
    st.sampled_from([10_000, 20]),
)
def test_many_rows_out_of_order_are_read_or_refused_but_never_lost(
    steps: list[tuple[int, int]], page_size: int, max_limit: int
) -> None:
    rows, second = account(*[1] * page_size, start=NOW - 60_000), NOW - 50_000
    for number, (step, delay) in enumerate(steps):
        second += step
        rows.append(Row(f"c{number}", second - delay))
    rows += account(*[1] * page_size, start=NOW - 10_000)
    server = Server(rows, positional=True, as_stored=True, max_limit=max_limit)
    try:
        found, _ = run(server, Cursor(), Pace(page_size=page_size))
    except NoProgress:
        return
    assert found == {row.id for row in rows}


def test_a_page_with_several_rows_out_of_order_is_asked_for_in_a_larger_one() -> None:
    seconds = [1, 1, 0, 1, 0, 1, 1, 2, 3, 4]
    rows = [Row(f"c{number}", NOW - 900 + second) for number, second in enumerate(seconds)]
    server = Server(rows, positional=True, as_stored=True)
    found, _ = run(server, Cursor(), Pace(page_size=5))
    assert len(found) == 10


late_accounts = st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 590)), max_size=60)
seldom_or_often = st.lists(st.integers(1, 900), min_size=1, max_size=12) | st.lists(
    st.integers(30, 120), min_size=20, max_size=50
)


@given(
    late_accounts, st.integers(1, 12), servers, seldom_or_often, st.sampled_from([600, 100]), st.booleans()
)
def test_rows_that_appear_late_within_the_window_are_found(
    late: list[tuple[int, int]],
    page_size: int,
    kind: dict[str, object],
    gaps: list[int],
    long_every: int,
    is_cut: bool,
) -> None:
    rows = [Row(f"c{n}", NOW + at, NOW + at + delay) for n, (at, delay) in enumerate(late)]
    server = Server(rows, **(kind | {"has_date": True}))  # type: ignore[arg-type]
    pace = Pace(page_size=page_size, short=60, long=600, long_every=long_every)
    cursor, found = Cursor(), set()
    for number, gap in enumerate([*gaps, 5_000, 700]):
        server.clock += gap
        some, walk = run(server, cursor, pace, max_pages=2 if is_cut and number % 3 and gap < 700 else None)
        assert all(
            walk.late_by(Listed(row.id, row.created)) <= row.visible_at - row.created
            for row in rows
            if row.id in some - found
        )
        found |= some
        cursor = saved(walk)
    assert found == {row.id for row in rows}


@given(
    accounts,
    st.integers(1, 12),
    servers,
    st.sampled_from(["error", "restart", "empty"]),
    seeds,
)
def test_deletions_hide_no_other_row(
    rows: list[Row], page_size: int, kind: dict[str, object], vanished: str, chance: random.Random
) -> None:
    """Rows vanish between and within walks, the cursor's own among them."""
    server = Server(rows, vanished=vanished, tick=1, **kind)  # type: ignore[arg-type]
    for row in rows:
        if chance.random() < 0.3:
            row.deleted_at = NOW + chance.randrange(200)
    later = [Row(f"n{n}", NOW + n) for n in range(10)]
    server.rows = rows + [Row(row.id, row.created, row.created) for row in later]
    cursor, found = Cursor(), set()
    for _ in range(3):
        some, walk = run(server, cursor, Pace(page_size=page_size, short=60, long=600, long_every=600))
        found |= some
        cursor = saved(walk)
        server.clock += 1_000
    assert {row.id for row in server.visible()} <= found


@given(accounts, st.integers(1, 12), servers)
def test_a_future_time_hides_nothing_that_comes_later(
    rows: list[Row], page_size: int, kind: dict[str, object]
) -> None:
    server = Server([*rows, Row("future", NOW + 10**7)], **(kind | {"has_date": True}))  # type: ignore[arg-type]
    _, walk = run(server, Cursor(), Pace(page_size=page_size))
    server.clock += 50_000
    server.rows.append(Row("after", NOW + 40_000))
    found, walk = run(server, saved(walk), Pace(page_size=page_size))
    assert "after" in found
    assert walk.cursor.newest == NOW + 40_000


@pytest.mark.parametrize("page_size", [1, 7, 20, 100])
def test_three_rows_a_second(page_size: int) -> None:
    rows = account(*[3] * 100)
    found, _ = run(Server(rows), Cursor(), Pace(page_size=page_size))
    assert len(found) == 300


@pytest.mark.parametrize("clamps", [True, False])
def test_a_second_larger_than_any_page_is_named_and_passed(clamps: bool) -> None:
    rows = account(2, 50, 2)
    server = Server(rows, max_limit=20, clamps=clamps)
    found, walk = run(server, Cursor(), Pace(page_size=20))
    assert {row.id for row in rows if row.created != rows[2].created} <= found
    assert walk.incomplete == [rows[2].created]


def test_a_second_larger_than_any_page_is_read_whole_where_the_cursor_is_a_row() -> None:
    rows = account(2, 50, 2)
    found, walk = run(Server(rows, max_limit=20, positional=True), Cursor(), Pace(page_size=20))
    assert (len(found), walk.incomplete) == (54, [])


def test_a_cut_waits_until_an_incomplete_second_is_told() -> None:
    rows = account(2, 50, 2)
    server, cursor, incomplete = Server(rows, max_limit=20), Cursor(), []
    for _ in range(10):
        _, walk = run(server, cursor, Pace(page_size=20), max_pages=1)
        cursor = saved(walk)
        incomplete += walk.incomplete
        if walk.request is None:
            break
    assert incomplete == [rows[2].created]


def test_a_refused_page_size_falls_back_to_what_is_always_taken() -> None:
    rows = account(*[1] * 50)
    found, _ = run(Server(rows, max_limit=20), Cursor(), Pace(page_size=100))
    assert len(found) == 50


def test_a_page_size_that_is_always_taken_and_yet_refused_is_an_error() -> None:
    walk = Walk(Cursor(), Pace(page_size=20), NOW)
    with pytest.raises(LimitTooLarge):
        walk.limit_refused(LimitTooLarge("limit"))


def test_a_page_without_an_id_to_go_on_from_is_an_error() -> None:
    walk = Walk(Cursor(), PACE, NOW)
    with pytest.raises(NoProgress, match="without an id"):
        walk.take([Listed("x", NOW - 9, has_id=False), Listed("y", NOW - 9, has_id=False)], True, NOW)


def test_where_rows_stand_out_of_order_the_last_page_before_a_bound_is_taken_whole() -> None:
    chain = Chain("asc", 3, trail=Trail())
    page = [Listed(f"c{place}", NOW + place) for place in (10, 9, 11)]
    assert chain.take(page, True, bound=NOW + 5) == [0, 1, 2]
    assert (chain.reached_bound, chain.repeats, chain.request) == (True, True, None)


def test_a_cut_behind_a_time_to_come_goes_on_before_it() -> None:
    rows = [*account(1, 1, 1), Row("future", NOW + 500), Row("later", NOW + 600)]
    _, walk = run(Server(rows), Cursor(), Pace(page_size=5), max_pages=1)
    assert walk.request is None
    walk = Walk(Cursor(), Pace(page_size=5), NOW)
    walk.take([Listed(row.id, row.created) for row in rows], True, NOW)
    assert walk.from_id == "future"
    assert walk.cursor.position == Mark(rows[2].created, rows[2].id)


def test_how_late_a_row_is_at_least() -> None:
    """By which of the walks before it must have been read, had it been there."""
    before = Cursor(settled=Settled(NOW - 61, NOW - 601), long_at=NOW - 300, long_to=NOW - 200, newest=NOW)
    walk = Walk(before, PACE, NOW)
    ages = (0, 30, 100, 250, 900)
    assert [walk.late_by(Listed("x", NOW - age)) for age in ages] == [0, 30, 61, 61, 601]
    assert walk.late_by(Listed("x", None)) == 0


def test_a_server_that_ignores_the_cursor_is_an_error() -> None:
    page = [Listed("a", NOW), Listed("b", NOW + 1)]
    walk = Walk(Cursor(), PACE, NOW)
    with pytest.raises(NoProgress, match="would never end"):
        for _ in range(100):
            walk.take(page, True, NOW + 5)


def test_one_row_repeated_for_ever_is_an_error() -> None:
    walk = Walk(Cursor(), PACE, NOW)
    with pytest.raises(NoProgress, match="same page"):
        for _ in range(100):
            walk.take([Listed("a", NOW)], True, NOW)


def test_newest_first_in_spite_of_order_is_an_error() -> None:
    walk = Walk(Cursor(), PACE, NOW)
    with pytest.raises(NoProgress, match="oldest first"):
        walk.take([Listed("c", NOW + 2), Listed("b", NOW + 1), Listed("a", NOW)], True, NOW)


def test_newest_first_is_no_matter_on_a_single_page() -> None:
    walk = Walk(Cursor(), PACE, NOW)
    assert walk.take([Listed("b", NOW + 1), Listed("a", NOW)], False, NOW) == [0, 1]


def test_settled_follows_the_servers_clock_and_only_at_the_end() -> None:
    server = Server(account(*[1] * 30, start=NOW - 29))
    _, walk = run(server, Cursor(), PACE, max_pages=2)
    assert walk.cursor.settled == Settled()
    assert walk.cursor.started_at == NOW
    server.clock += 40
    _, walk = run(server, saved(walk), PACE)
    assert walk.cursor.settled == Settled(NOW - 61, NOW - 601)
    assert walk.cursor.started_at is None
    assert walk.cursor.position == Mark(NOW, "c29-0")


def test_nothing_new_costs_the_pages_of_the_look_back() -> None:
    server = Server(account(*[1] * 1_000, start=NOW - 10_000))
    _, walk = run(server, Cursor(), Pace())
    server.requests = 0
    run(server, saved(walk), Pace())
    assert server.requests == 1


def test_a_clock_that_ran_backwards_reads_again_from_where_it_is() -> None:
    server = Server(account(*[1] * 100, start=NOW - 99), clock=NOW + 100_000)
    _, walk = run(server, Cursor(), PACE)
    server.clock = NOW
    server.rows.append(Row("late", NOW - 50))
    found, _ = run(server, saved(walk), PACE)
    assert "late" in found


def test_rows_without_a_usable_time_or_id_come_out_too() -> None:
    walk = Walk(Cursor(), PACE, NOW)
    page = [Listed("a", None), Listed("b", NOW - 9), Listed("x", None, has_id=False), Listed("c", NOW - 8)]
    assert walk.take(page, False, NOW) == [0, 1, 2, 3]
    assert walk.cursor.trail == (Mark(NOW - 9, "b"), Mark(NOW - 8, "c"))


def test_a_row_out_of_order_is_no_place_to_come_back_to() -> None:
    """A `created` sent as text is no time for the server: the row stands elsewhere."""
    walk = Walk(Cursor(), PACE, NOW)
    walk.take([Listed("a", NOW - 900), Listed("odd", NOW - 50_000), Listed("b", NOW - 10)], False, NOW)
    assert [mark.id for mark in walk.cursor.trail] == ["a", "b"]
    assert Walk(saved(walk), PACE, NOW).from_id == "a"


def test_heavy_pages_shrink_the_page_size_and_light_ones_restore_it() -> None:
    walk = Walk(Cursor(), Pace(page_size=100), NOW)
    walk.take([Listed(f"a{n}", NOW - 1000 + n) for n in range(100)], True, NOW, size=320_000_000)
    assert walk.request is not None
    assert walk.request.limit == 5
    walk.take([Listed(f"b{n}", NOW - 900 + n) for n in range(10)], True, NOW, size=1_000)
    assert walk.request is not None
    assert walk.request.limit == 10


def test_a_page_that_was_too_heavy_is_asked_for_in_parts_and_a_second_that_needs_more_is_read_whole() -> None:
    walk = Walk(Cursor(), Pace(page_size=100), NOW)
    asked = []
    for _ in range(3):
        assert walk.request is not None
        asked.append((walk.request.limit, walk.request.most_bytes is None))
        walk.page_too_heavy()
    assert walk.request is not None
    assert asked == [(100, False), (12, False), (2, True)]
    walk.take([Listed("a", NOW - 900), Listed("b", NOW - 900)], True, NOW, size=6_000_000)
    assert (walk.request.limit, walk.request.most_bytes) == (4, None)


def test_the_trail_stays_short_and_keeps_both_ends() -> None:
    trail = Trail(())
    for second in range(0, 3_000_000, 100):
        trail.add([Mark(second, f"c{second}")], second)
    marks = trail.marks()
    assert len(marks) < 150
    assert marks[0].created == 0
    assert marks[-1].created == 2_999_900
    newest = trail.before(2_999_900 - 600)
    assert newest is not None
    assert newest.created > 2_999_900 - 900


def test_a_larger_page_that_is_refused_without_a_reason_is_no_lost_cursor() -> None:
    server = Server(account(*[12] * 60), max_limit=30, is_vague=True)
    found, walk = run(server, Cursor(), Pace(page_size=30))
    assert (len(found), walk.incomplete, server.largest_asked) == (720, [], 60)


def test_seconds_that_fill_much_of_a_page_make_the_pages_larger() -> None:
    server = Server(account(*[25] * 100))
    found, _ = run(server, Cursor(), Pace(page_size=100))
    assert len(found) == 2_500
    assert server.requests < 20, "34 pages of 100 of which one second in four is read again"
