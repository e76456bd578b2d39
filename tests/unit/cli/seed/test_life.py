"""The lives that `scrip seed` makes up, decided by the domain without a stack."""

from collections import Counter
from datetime import UTC, date, datetime, time

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip_cli.seed.life import life
from scrip_cli.seed.people import Person, Role
from scrip_cli.seed.timed import TimedCommand

TODAY = date(2026, 11, 21)
PEOPLE = [Person(seed=1, number=number) for number in range(1, 25)]


def lived(person: Person) -> list[TimedCommand]:
    return life(person, DEFAULT_CATALOG, person.signs_up(TODAY), TODAY)


def test_a_life_is_the_same_every_time_and_goes_on_the_next_day() -> None:
    for person in PEOPLE:
        signed_up, tomorrow = person.signs_up(TODAY), date(2026, 11, 22)
        later = life(person, DEFAULT_CATALOG, signed_up, tomorrow)
        assert later[: len(lived(person))] == lived(person)
    assert lived(Person(seed=1, number=1)) != lived(Person(seed=2, number=1))


def test_commands_follow_the_sign_up_in_order_and_use_each_key_once() -> None:
    for person in PEOPLE:
        commands = lived(person)
        times = [person.signs_up(TODAY), *(one.at for one in commands)]
        assert times == sorted(times)
        assert times[-1] < datetime.combine(TODAY, time(), UTC)
        keys = [key for one in commands for key in one.command.entry_ids]
        assert len(keys) == len(set(keys))


def test_of_999_people_no_two_have_the_same_address() -> None:
    everybody = [Person(seed=1, number=number) for number in range(1, 1_000)]
    assert len({person.email for person in everybody}) == 999
    assert Counter(person.role for person in everybody[:16]) == Counter(Role)
