"""The services that functions call, over a network where everything goes wrong.

A call takes effect at one moment between its request and its response. Other tasks run before, in
between and after; that is where all races happen.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from scrip.store.client import answered
from scrip.user_pool import PoolUser
from simulation.faults import TO_A_READ, TO_A_TRANSACTION, TO_A_WRITE, Died, Fault
from simulation.scheduler import current
from simulation.traffic import email_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simulation.faults import Faults
    from simulation.scheduler import Scheduler

ENDPOINT = "https://simulated"
READ_TIMEOUT_SECONDS = 1.0
ATTEMPTS = 2
"""botocore's settings in scrip.store.client."""

RETRIED = frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "TransactionInProgressException",
    },
)
"""The errors after which botocore retries by itself."""


class Wire:
    """The network between functions and services, with its faults."""

    def __init__(
        self,
        scheduler: Scheduler,
        faults: Faults,
        canceled: type[ClientError],
        race: Callable[[str, str], bool],
    ) -> None:
        """Create the network. `canceled` is the error class of a canceled transaction.

        `race` lets another caller change the first item of a transaction, by its keys, and
        returns whether the item changed.
        """
        self.scheduler = scheduler
        self.faults = faults
        self.canceled = canceled
        self.race = race
        self._refuses_until = 0.0

    def read(self, ask: Callable[[], Any]) -> Any:
        """Make a call that changes nothing."""
        return self._call(ask, TO_A_READ)

    def write(self, effect: Callable[[], Any]) -> Any:
        """Make a call that has an effect, and return its response."""
        return self._call(effect, TO_A_WRITE)

    def transact(self, effect: Callable[[], Any], actions: list[Any]) -> Any:
        """Execute a transaction. Its token lets DynamoDB recognize a repetition."""
        return self._call(_once(effect), TO_A_TRANSACTION, actions)

    def refused(self, count: int) -> int | None:
        """Return the part of a batch that a service refuses now, if any; refusals last a while."""
        random, now = current().random, self.scheduler.now
        if self.faults.happens(Fault.PARTLY_TAKEN, random):
            self._refuses_until = now + random.expovariate(1)
        is_refusing = now <= self._refuses_until and not self.faults.over
        return random.randrange(count) if is_refusing else None

    def _call(
        self, effect: Callable[[], Any], kinds: tuple[Fault, ...], actions: Sequence[Any] = ()
    ) -> Any:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._attempt(effect, kinds, actions)
            except (ConnectTimeoutError, ReadTimeoutError):
                if attempt == ATTEMPTS:
                    raise
            except ClientError as error:
                if attempt == ATTEMPTS or error.response["Error"]["Code"] not in RETRIED:
                    raise
            self.scheduler.pause(current().random.uniform(0, 1))
        raise AssertionError("every attempt returns or raises")

    def _attempt(
        self, effect: Callable[[], Any], kinds: tuple[Fault, ...], actions: Sequence[Any]
    ) -> Any:
        random = current().random
        fault = self.faults.one_of(kinds, random)
        if fault is not None and fault is not Fault.VERSION_RACE:
            self.faults.count(fault)
        if fault is Fault.DIES_BEFORE:
            raise Died
        self.scheduler.pause(_latency(random.random()))
        self._disturb(fault, effect, actions)
        answer = effect()
        if fault is Fault.DIES_AFTER:
            raise Died
        self.scheduler.pause(_latency(random.random()))
        if fault is Fault.ANSWER_LOST:
            self.scheduler.pause(READ_TIMEOUT_SECONDS)
            raise ReadTimeoutError(endpoint_url=ENDPOINT)
        return answer

    def _disturb(
        self, fault: Fault | None, effect: Callable[[], Any], actions: Sequence[Any]
    ) -> None:
        """Inject the faults that precede a call's effect."""
        random = current().random
        match fault:
            case Fault.REQUEST_LOST:
                raise ConnectTimeoutError(endpoint_url=ENDPOINT)
            case Fault.THROTTLE:
                raise _error("ProvisionedThroughputExceededException")
            case Fault.CONFLICT:
                raise self.canceled(_conflict(len(actions)), "TransactWriteItems")
            case Fault.VERSION_RACE:
                [first] = actions[0].values()
                key = first.get("Key", first.get("Item"))
                if self.race(key["pk"]["S"], key["sk"]["S"]):
                    self.faults.count(Fault.VERSION_RACE)
            case Fault.EFFECT_LATE:
                late = READ_TIMEOUT_SECONDS + random.expovariate(1)
                self.scheduler.spawn(partial(_late, effect), random, late)
                self.scheduler.pause(READ_TIMEOUT_SECONDS)
                raise ReadTimeoutError(endpoint_url=ENDPOINT)
            case Fault.IN_PROGRESS:
                self.scheduler.spawn(partial(_late, effect), random, random.expovariate(1))
                raise _error("TransactionInProgressException")


def _error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "simulated"}}, "simulated")


def _conflict(actions: int) -> Any:
    """Return DynamoDB's response when another transaction has locked the first item."""
    return {
        "Error": {"Code": "TransactionCanceledException", "Message": "simulated"},
        "CancellationReasons": [
            {"Code": "None" if n else "TransactionConflict"} for n in range(actions)
        ],
    }


def _latency(drawn: float) -> float:
    """Return the seconds of one way: usually a few milliseconds, rarely much more."""
    return 0.001 + 0.004 * drawn if drawn < 0.95 else 0.3 * drawn


def _once(effect: Callable[[], Any]) -> Callable[[], Any]:
    """Return an effect that happens at most once, with the same response to later attempts."""
    answers: list[Any] = []

    def take_effect() -> Any:
        if not answers:
            answers.append(effect())
        return answers[0]

    return take_effect


def _late(effect: Callable[[], Any]) -> None:
    """Let a call take effect after its caller has given up."""
    try:
        effect()
    except ClientError:
        return


class Table:
    """A process's DynamoDB client."""

    def __init__(self, database: Any, wire: Wire, written: Callable[[], None]) -> None:
        """Connect to a database over a wire; `written` is called after each write."""
        self._database = database
        self._wire = wire
        self._written = written
        self.exceptions = database.exceptions

    def get_item(self, **asked: Any) -> Any:
        return self._wire.read(lambda: self._database.get_item(**asked))

    def batch_get_item(self, **asked: Any) -> Any:
        return self._wire.read(lambda: self._database.batch_get_item(**asked))

    def query(self, **asked: Any) -> Any:
        return self._wire.read(lambda: self._database.query(**asked))

    def transact_get_items(self, **asked: Any) -> Any:
        return self._wire.read(lambda: self._database.transact_get_items(**asked))

    def put_item(self, **asked: Any) -> Any:
        return self._wire.write(lambda: self._write(self._database.put_item, asked))

    def update_item(self, **asked: Any) -> Any:
        return self._wire.write(lambda: self._write(self._database.update_item, asked))

    def delete_item(self, **asked: Any) -> Any:
        return self._wire.write(lambda: self._write(self._database.delete_item, asked))

    def transact_write_items(self, **asked: Any) -> Any:
        return self._wire.transact(
            lambda: self._write(self._database.transact_write_items, asked),
            asked["TransactItems"],
        )

    def _write(self, write: Callable[..., Any], asked: dict[str, Any]) -> Any:
        answer = write(**asked)
        self._written()
        return answer


class Queue:
    """A process's SQS client. `arrived` is called with each message that it accepts."""

    def __init__(self, wire: Wire, arrived: Callable[[str], None]) -> None:
        self._wire = wire
        self._arrived = arrived

    def send_message_batch(self, **asked: Any) -> Any:
        def send() -> Any:
            refused = self._wire.refused(len(asked["Entries"]))
            for n, entry in enumerate(asked["Entries"]):
                if n != refused:
                    self._arrived(entry["MessageBody"])
            ids = [{"Id": entry["Id"]} for entry in asked["Entries"]]
            failed = [] if refused is None else [ids.pop(refused)]
            return {"Successful": ids, "Failed": failed}

        return self._wire.write(send)


class Bucket:
    """A process's S3 client, with the objects of the bucket."""

    def __init__(self, wire: Wire, objects: dict[str, bytes]) -> None:
        self._wire = wire
        self._objects = objects

    def put_object(self, **asked: Any) -> Any:
        return self._wire.write(lambda: self._objects.__setitem__(asked["Key"], asked["Body"]))


class Pool:
    """The user pool. It has every user, with a verified email address."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def user(self, username: str) -> PoolUser:
        with answered():
            return cast("PoolUser", self._wire.read(lambda: _user(username)))


def _user(username: str) -> PoolUser:
    return PoolUser(account_id=username, email=email_of(username), is_confirmed=True)


class Sent(NamedTuple):
    """An event sent to the bus: its name, its detail in JSON, and whether it was accepted."""

    name: str
    detail: str
    is_accepted: bool


class Bus:
    """A process's EventBridge client, with all events sent to the bus."""

    def __init__(self, wire: Wire, sent: list[Sent]) -> None:
        self._wire = wire
        self._sent = sent

    def put_events(self, **asked: Any) -> Any:
        def take() -> Any:
            refused = self._wire.refused(len(asked["Entries"]))
            answers: list[dict[str, str]] = []
            for n, one in enumerate(asked["Entries"]):
                is_accepted = n != refused
                self._sent.append(Sent(one["DetailType"], one["Detail"], is_accepted))
                answers.append({"EventId": f"{n}"} if is_accepted else {"ErrorCode": "Throttling"})
            return {"FailedEntryCount": int(refused is not None), "Entries": answers}

        return self._wire.write(take)
