"""The part of DynamoDB's expressions that Scrip uses, parsed once into functions.

Paths are attribute names; nested paths are not supported. An unknown expression raises an
AssertionError, so that it is never mistaken for an error of DynamoDB.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any, NoReturn

type Attribute = dict[str, Any]
"""A value as DynamoDB's API has it: {"N": "5"}. Numbers and sets are in their normal form."""
type Item = dict[str, Attribute]
type Names = tuple[tuple[str, str], ...]
"""The attribute names of a request's `#names`."""

type Operand = Callable[[Item, Item], Attribute | None]
"""Returns an attribute of an item or one of the request's values; None if it is missing."""
type Test = Callable[[Item, Item], bool]
"""Returns whether a condition holds for an item and the request's values."""
type Check = Callable[[Item], None]
"""Refuses a request whose values are not allowed in their places."""

TOKEN = re.compile(r"\s*(#?\w+|:\w+|<>|<=|>=|[-=<>(),+])")
ORDERINGS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
ORDERED = frozenset({"S", "N", "B"})
"""The types whose values have an order."""

SETS = frozenset({"SS", "BS"})
"""The types of sets that an update can change here. Scrip has no others, and adds no numbers."""

TYPES = frozenset({"S", "SS", "N", "NS", "B", "BS", "BOOL", "NULL", "L", "M"})
DIGITS_MAX = 38
MAGNITUDE_MAX = 125
MAGNITUDE_MIN = -130
CACHED = 4096
"""How many expressions are cached; the product has far fewer."""


class InvalidRequestError(Exception):
    """DynamoDB would refuse the request with a ValidationException."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expression:
    """An expression, with the `#names` and `:values` that it uses, and the checks of these."""

    names: frozenset[str]
    values: frozenset[str]
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Condition(Expression):
    """A condition or a filter. `attributes` are those that it reads."""

    attributes: frozenset[str]
    holds: Test


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeyCondition(Expression):
    """A partition, and a condition on the sort key.

    `low` and `high` are its bounds, `prefix` is its beginning; None if there is no such condition.
    """

    partition: tuple[str, str]
    sort: str | None = None
    low: tuple[str, bool] | None = None
    high: tuple[str, bool] | None = None
    prefix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Projection(Expression):
    """The attributes that a request returns."""

    attributes: tuple[str, ...]

    def of(self, item: Item) -> Item:
        """Return these attributes of an item."""
        return {name: item[name] for name in self.attributes if name in item}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Update(Expression):
    """The attributes to set, with their operands, those to remove, and sets to change.

    A change of a set is whether members are added, the attribute, and the value that has them.
    """

    sets: tuple[tuple[str, Operand], ...]
    removes: tuple[str, ...]
    members: tuple[tuple[bool, str, str], ...]

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that it changes."""
        changed = (name for _, name, _ in self.members)
        return (*(name for name, _ in self.sets), *self.removes, *changed)

    def of(self, item: Item, values: Item) -> Item:
        """Return an item after the update; every operand reads the item before it.

        Raises:
            InvalidRequestError: an operand does not exist, or is no set of the same type.
        """
        after = dict(item)
        for name, operand in self.sets:
            value = operand(item, values)
            if value is None:
                raise InvalidRequestError(
                    "The provided expression refers to an attribute that does not exist in the item"
                )
            after[name] = value
        for name in self.removes:
            after.pop(name, None)
        for is_added, name, value_name in self.members:
            _change_set(after, name, values[value_name], is_added=is_added)
        return after


def number(text: str) -> str:
    """Return a number in its normal form.

    Raises:
        InvalidRequestError: it has too many digits, is too large or too small, or not a number.
    """
    if text.isdecimal() and text.isascii() and text[0] != "0" and len(text) <= DIGITS_MAX:
        return text
    try:
        value = Decimal(text)
    except ArithmeticError as exc:
        raise InvalidRequestError(f"The parameter cannot be converted to a number: {text}") from exc
    if not value.is_finite():
        raise InvalidRequestError(f"The parameter cannot be converted to a number: {text}")
    if not value:
        return "0"
    digits = "".join(map(str, value.as_tuple().digits)).strip("0")
    if len(digits) > DIGITS_MAX:
        raise InvalidRequestError("Attempting to store more than 38 significant digits in a Number")
    if not MAGNITUDE_MIN <= value.adjusted() <= MAGNITUDE_MAX:
        raise InvalidRequestError("Number overflow or underflow")
    with localcontext(prec=DIGITS_MAX):
        return f"{value.normalize():f}"


@lru_cache(CACHED)
def condition(text: str, names: Names) -> Condition:
    """Parse a ConditionExpression or a FilterExpression."""
    parser = _Parser(text, names)
    holds = parser.either()
    return Condition(holds=holds, attributes=frozenset(parser.attributes), **parser.end())


@lru_cache(CACHED)
def key_condition(text: str, names: Names) -> KeyCondition:
    """Parse a KeyConditionExpression, in which the partition's condition comes first."""
    parser = _Parser(text, names)
    partition = (parser.path(), parser.after("=", parser.value))
    sort = parser.sort_key() if parser.took("and") else {}
    return KeyCondition(partition=partition, **sort, **parser.end())


@lru_cache(CACHED)
def projection(text: str, names: Names) -> Projection:
    """Parse a ProjectionExpression."""
    parser = _Parser(text, names)
    attributes = parser.separated(parser.path)
    _refuse_overlap(attributes)
    return Projection(attributes=tuple(attributes), **parser.end())


@lru_cache(CACHED)
def update(text: str, names: Names) -> Update:
    """Parse an UpdateExpression of SET and REMOVE, and of sets' ADD and DELETE."""
    parser = _Parser(text, names)
    sets: list[tuple[str, Operand]] = []
    removes: list[str] = []
    members: list[tuple[bool, str, str]] = []
    while parser.has_more:
        if not sets and parser.took("set"):
            sets = parser.separated(parser.assignment)
        elif not removes and parser.took("remove"):
            removes = parser.separated(parser.path)
        elif not members and (word := parser.took("add", "delete")):
            members = [(word == "add", *one) for one in parser.separated(parser.members)]
        else:
            parser.give_up()
    parsed = Update(
        sets=tuple(sets), removes=tuple(removes), members=tuple(members), **parser.end()
    )
    if not parsed.attributes:
        raise InvalidRequestError("Invalid UpdateExpression: The expression can not be empty;")
    _refuse_overlap(parsed.attributes)
    return parsed


@lru_cache(CACHED)
def together(*used: Expression | None) -> Expression:
    """Combine the names, values and checks of a request's expressions; None is a missing one."""
    parsed = [one for one in used if one is not None]
    return Expression(
        names=frozenset().union(*(one.names for one in parsed)),
        values=frozenset().union(*(one.values for one in parsed)),
        checks=tuple(check for one in parsed for check in one.checks),
    )


class _Parser:
    """Reads an expression from left to right, and collects the names and values that it uses."""

    def __init__(self, text: str, names: Names) -> None:
        self.text = text
        self.tokens: list[str] = []
        place = 0
        while match := TOKEN.match(text, place):
            self.tokens.append(match[1])
            place = match.end()
        if text[place:].strip():
            self.give_up()
        self.tokens.reverse()
        self.known = dict(names)
        self.names: set[str] = set()
        self.values: set[str] = set()
        self.attributes: set[str] = set()
        self.checks: list[Check] = []
        self.placeholders: dict[Operand, str] = {}

    @property
    def has_more(self) -> bool:
        return bool(self.tokens)

    def give_up(self) -> NoReturn:
        raise AssertionError(f"The simulation does not support this expression: {self.text}")

    def end(self) -> dict[str, Any]:
        """Return the fields of every expression, after all of it has been read."""
        if self.tokens:
            self.give_up()
        return {
            "names": frozenset(self.names),
            "values": frozenset(self.values),
            "checks": tuple(self.checks),
        }

    def took(self, *words: str) -> str:
        """Consume the next token if it is one of these; return it in lower case, or ''."""
        if self.tokens and self.tokens[-1].lower() in words:
            return self.tokens.pop().lower()
        return ""

    def after[Part](self, word: str, part: Callable[[], Part]) -> Part:
        if not self.took(word):
            self.give_up()
        return part()

    def separated[Part](self, part: Callable[[], Part]) -> list[Part]:
        parts = [part()]
        while self.took(","):
            parts.append(part())
        return parts

    def path(self) -> str:
        token = self.tokens.pop() if self.tokens else ""
        if token.startswith("#"):
            if token not in self.known:
                raise InvalidRequestError(f"An attribute name is not defined: {token}")
            self.names.add(token)
            token = self.known[token]
        elif not re.fullmatch(r"[A-Za-z]\w*", token):
            self.give_up()
        self.attributes.add(token)
        return token

    def value(self) -> str:
        token = self.tokens.pop() if self.tokens else ""
        if not token.startswith(":"):
            self.give_up()
        self.values.add(token)
        return token

    def operand(self) -> Operand:
        if self.tokens and self.tokens[-1].startswith(":"):
            name = self.value()

            def of_values(_: Item, values: Item) -> Attribute | None:
                return values[name]

            self.placeholders[of_values] = name
            return of_values
        attribute = self.path()
        return lambda item, _: item.get(attribute)

    # Conditions

    def either(self) -> Test:
        left = self.both()
        while self.took("or"):
            left = _any(left, self.both())
        return left

    def both(self) -> Test:
        left = self.negation()
        while self.took("and"):
            left = _all(left, self.negation())
        return left

    def negation(self) -> Test:
        if self.took("not"):
            inner = self.negation()
            return lambda item, values: not inner(item, values)
        return self.single()

    def single(self) -> Test:
        if self.took("("):
            inner = self.either()
            self.close()
            return inner
        if len(self.tokens) > 1 and self.tokens[-2] == "(":
            return self.function()
        left = self.operand()
        if self.took("between"):
            low, high = self.operand(), self.after("and", self.operand)
            self.must_rise(low, high)
            return _all(
                self.ordering(operator.ge, left, low),
                self.ordering(operator.le, left, high),
            )
        if self.took("in"):
            choices = self.after("(", lambda: self.separated(self.operand))
            self.close()
            tests = [_same(left, one) for one in choices]
            return lambda item, values: any(test(item, values) for test in tests)
        return self.comparison(left)

    def comparison(self, left: Operand) -> Test:
        sign = self.took("=", "<>", *ORDERINGS)
        right = self.operand()
        if sign in ORDERINGS:
            return self.ordering(ORDERINGS[sign], left, right)
        same = _same(left, right)
        match sign:
            case "=":
                return same
            case "<>":
                return lambda item, values: not same(item, values)
        return self.give_up()

    def function(self) -> Test:
        function = self.took("attribute_exists", "attribute_not_exists", "attribute_type")
        if not function:
            function = self.took("begins_with")
        attribute = self.after("(", self.path)
        match function:
            case "attribute_exists":
                self.close()
                return lambda item, _: attribute in item
            case "attribute_not_exists":
                self.close()
                return lambda item, _: attribute not in item
            case "attribute_type":
                kind = self.after(",", self.value)
                self.close()
                self.checks.append(lambda values: _refuse_unknown_type(values[kind]))
                return lambda item, values: values[kind]["S"] in item.get(attribute, ())
            case "begins_with":
                prefix = self.after(",", self.operand)
                self.close()
                self.must_be(prefix, frozenset({"S", "B"}))
                return _begins_with(attribute, prefix)
        return self.give_up()

    def ordering(self, holds: Callable[[Any, Any], bool], left: Operand, right: Operand) -> Test:
        self.must_be(left, ORDERED)
        self.must_be(right, ORDERED)
        return _ordering(holds, left, right)

    def must_be(self, operand: Operand, kinds: frozenset[str]) -> None:
        """Refuse requests that have a value of another type here."""
        if name := self.placeholders.get(operand):
            self.checks.append(lambda values: _refuse_type(values[name], kinds))

    def must_rise(self, low: Operand, high: Operand) -> None:
        """Refuse requests whose upper bound is below the lower."""
        if low in self.placeholders and high in self.placeholders:
            rises = _ordering(operator.le, low, high)
            self.checks.append(lambda values: _refuse_bounds(rises({}, values)))

    def close(self) -> None:
        if not self.took(")"):
            self.give_up()

    # Conditions on keys

    def sort_key(self) -> dict[str, Any]:
        if self.took("begins_with"):
            attribute = self.after("(", self.path)
            prefix = self.after(",", self.value)
            self.close()
            return {"sort": attribute, "prefix": prefix}
        attribute = self.path()
        if self.took("between"):
            low, high = self.operand(), self.after("and", self.operand)
            self.must_rise(low, high)
            bounds = [self.placeholders.get(bound) for bound in (low, high)]
            if None in bounds:
                self.give_up()
            return {"sort": attribute, "low": (bounds[0], True), "high": (bounds[1], True)}
        sign = self.took("=", *ORDERINGS)
        bound = self.value()
        inclusive = (bound, "=" in sign)
        match sign[:1]:
            case "=":
                return {"sort": attribute, "low": inclusive, "high": inclusive}
            case "<":
                return {"sort": attribute, "high": inclusive}
            case ">":
                return {"sort": attribute, "low": inclusive}
        return self.give_up()

    # Updates

    def assignment(self) -> tuple[str, Operand]:
        attribute = self.path()
        left = self.after("=", self.operand)
        sign = self.took("+", "-")
        if not sign:
            return attribute, left
        right = self.operand()
        for operand in (left, right):
            self.must_be(operand, frozenset({"N"}))
        return attribute, _sum(left, right, 1 if sign == "+" else -1)

    def members(self) -> tuple[str, str]:
        attribute, name = self.path(), self.value()
        self.checks.append(lambda values: _refuse_type(values[name], SETS))
        return attribute, name


def _change_set(item: Item, name: str, members: Attribute, *, is_added: bool) -> None:
    """Add members to a set or delete them from it, which removes an empty set."""
    [(kind, wanted)] = members.items()
    before = item.get(name, {kind: []})
    if before.keys() != members.keys():
        raise InvalidRequestError("An operand in the update expression has an incorrect data type")
    after = {*before[kind]} | {*wanted} if is_added else {*before[kind]} - {*wanted}
    if after:
        item[name] = {kind: sorted(after)}
    else:
        item.pop(name, None)


def _any(left: Test, right: Test) -> Test:
    return lambda item, values: left(item, values) or right(item, values)


def _all(left: Test, right: Test) -> Test:
    return lambda item, values: left(item, values) and right(item, values)


def _same(left: Operand, right: Operand) -> Test:
    def same(item: Item, values: Item) -> bool:
        one = left(item, values)
        return one is not None and one == right(item, values)

    return same


def _ordering(holds: Callable[[Any, Any], bool], left: Operand, right: Operand) -> Test:
    def ordering(item: Item, values: Item) -> bool:
        one, other = left(item, values), right(item, values)
        if one is None or other is None:
            return False
        [(kind, content)], [(other_kind, other_content)] = one.items(), other.items()
        if kind != other_kind or kind not in ORDERED:
            return False
        if kind == "N":
            return holds(Decimal(content), Decimal(other_content))
        return holds(content, other_content)

    return ordering


def _begins_with(attribute: str, prefix: Operand) -> Test:
    def begins_with(item: Item, values: Item) -> bool:
        one, other = item.get(attribute), prefix(item, values)
        if (
            one is None
            or other is None
            or one.keys() != other.keys()
            or not one.keys() & {"S", "B"}
        ):
            return False
        [content], [other_content] = one.values(), other.values()
        return bool(content.startswith(other_content))

    return begins_with


def _sum(left: Operand, right: Operand, sign: int) -> Operand:
    def total(item: Item, values: Item) -> Attribute | None:
        one, other = left(item, values), right(item, values)
        if one is None or other is None:
            return None
        if "N" not in one or "N" not in other:
            raise InvalidRequestError(
                "An operand in the update expression has an incorrect data type"
            )
        with localcontext(prec=4 * DIGITS_MAX):
            return {"N": number(str(Decimal(one["N"]) + sign * Decimal(other["N"])))}

    return total


def _refuse_overlap(attributes: Collection[str]) -> None:
    if len(set(attributes)) < len(attributes):
        raise InvalidRequestError("Two document paths overlap with each other")


def _refuse_type(value: Attribute, kinds: frozenset[str]) -> None:
    if not value.keys() <= kinds:
        raise InvalidRequestError("Incorrect operand type for operator or function")


def _refuse_unknown_type(value: Attribute) -> None:
    if value.get("S") not in TYPES:
        raise InvalidRequestError("Invalid attribute type name found")


def _refuse_bounds(rise: bool) -> None:  # noqa: FBT001
    if not rise:
        raise InvalidRequestError(
            "The BETWEEN operator requires upper bound to be greater than or equal to lower bound"
        )
