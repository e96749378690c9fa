"""The calls to a fleet's table; items go in and come out as plain values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from workers.aws.calls import Calls
from workers.aws.codes import MalformedError, PartlyFailedError, code_of
from workers.errors import OutageError, PassingError, RunError
from workers.ledger.dynamodb.actions import Actions
from workers.ledger.dynamodb.items import LEDGER, VERSION, Item, Key, Values, attributes, plain

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

T = TypeVar("T")

# has every answer say something, also where there is nothing to say
MARKED: Any = {"ReturnConsumedCapacity": "TOTAL"}
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
MOST_KEYS = 100
MOST_STATEMENTS = 25
PASSING_REASONS = {
    "None",
    "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
    "ThrottlingError",
    "TransactionConflict",
}
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html
PASSING_STATEMENTS = {*PASSING_REASONS, "InternalServerError"}
AS_A_REQUESTS = {
    "AccessDenied": "AccessDeniedException",
    "ResourceNotFound": "ResourceNotFoundException",
    "ValidationError": "ValidationException",
}


class Table(Actions):
    """A table with the string keys `pk` and `sk`; a read is consistent where it says nothing else.

    Raises RunError when the table cannot be used and OutageError when it does not answer.
    """

    def __init__(self, name: str, client: DynamoDBClient, calls: Calls) -> None:
        super().__init__(name)
        self._client = client
        self._calls = calls
        self._region = client.meta.region_name

    def check_version(self) -> None:
        """Raises RunError when the layout is one of a newer version."""
        version = dict(self.query(LEDGER)).get("version", {}).get("value", VERSION)
        if version > VERSION:
            raise RunError(
                f"the ledger in the table {self.name!r} is of version {version}, and this cartext "
                f"knows up to {VERSION}; install the newer cartext that made it"
            )

    def get(self, key: Key) -> Values | None:
        """What an item holds, if there is one."""
        request: Any = {"TableName": self.name, "Key": attributes(key), "ConsistentRead": True}

        def read(reply: Any) -> Values | None:
            _check_whole(reply)
            return plain(reply["Item"])[1] if "Item" in reply else None

        return self._call("GetItem", lambda: self._client.get_item(**request, **MARKED), read)

    def get_all(
        self, keys: list[Key], *names: str, surely: Collection[Key] | None = None
    ) -> dict[Key, Values]:
        """What the items of these keys hold under these names, or all of it, of those there are.

        Where it is said which of them are to be seen `surely`, the others cost half as much, and
        what was written in the last second may be missing.
        """
        found: dict[Key, Values] = {}
        for sure in (True, False):
            alike = [key for key in keys if (surely is None or key in surely) is sure]
            for first in range(0, len(alike), MOST_KEYS):
                found |= self._get_all(alike[first : first + MOST_KEYS], names, sure)
        return found

    def _get_all(self, keys: list[Key], names: tuple[str, ...], sure: bool) -> dict[Key, Values]:
        found: dict[Key, Values] = {}
        left: Any = [attributes(key) for key in keys]
        wanted: Any = {}
        if names:
            aliases = {f"#{name}": name for name in ("pk", "sk", *names)}
            wanted = {
                "ProjectionExpression": ", ".join(aliases),
                "ExpressionAttributeNames": aliases,
            }

        def request() -> Any:
            asked: Any = {"Keys": left, "ConsistentRead": sure, **wanted}
            return self._client.batch_get_item(RequestItems={self.name: asked})

        def read(reply: Any) -> None:
            nonlocal left
            for item in reply["Responses"].get(self.name, []):
                pk = item["pk"]["S"]
                sk, values = plain(item)
                found[pk, sk] = values
            left = reply.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            if left:
                raise PartlyFailedError(f"{len(left)} keys were not read")

        self._call("BatchGetItem", request, read)
        return found

    def query(self, pk: str, first: str = "", last: str = "", *, page: int = 0) -> Iterator[Item]:
        """Items of one `pk` in the order of `sk`, all of them or those from `first` to `last`.

        A request reads a megabyte of them, or a `page` of so many.
        """
        request: dict[str, Any] = {
            "TableName": self.name,
            "ConsistentRead": True,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": pk}},
        }
        if last:
            request["KeyConditionExpression"] += " AND sk BETWEEN :first AND :last"
            # no key is empty, and none comes before this one
            edges = {":first": {"S": first or "\0"}, ":last": {"S": last}}
            request["ExpressionAttributeValues"] |= edges
        if page:
            request["Limit"] = page

        def read(reply: Any) -> tuple[list[Item], Any]:
            after = reply.get("LastEvaluatedKey")
            if after and after == request.get("ExclusiveStartKey"):
                raise MalformedError("the query goes on where it has been")
            return [plain(item) for item in reply["Items"]], after

        while True:
            items, after = self._call("Query", lambda: self._client.query(**request), read)
            yield from items
            if not after:
                return
            request["ExclusiveStartKey"] = after

    def insert(self, items: dict[Key, Values]) -> set[Key]:
        """Writes each item unless there is one; returns the keys of those that were there.

        Up to `MOST_STATEMENTS`; each by itself, so that some may be written when it fails.
        """
        left, there = dict(items), set[Key]()

        def request() -> Any:
            statements: Any = [self._insertion(*item) for item in left.items()]
            return self._client.batch_execute_statement(Statements=statements)

        def read(reply: Any) -> None:
            replies, codes = reply["Responses"], set[str]()
            if len(replies) != len(left):
                raise MalformedError(f"{len(replies)} answers to {len(left)} statements")
            for key, said in zip([*left], replies, strict=True):
                code = said["Error"]["Code"] if "Error" in said else ""
                if code in PASSING_STATEMENTS:
                    codes.add(code)
                    continue
                if code == "DuplicateItem":
                    there.add(key)
                elif code:
                    raise _refused(said["Error"])
                del left[key]
            if left:
                raise PartlyFailedError(", ".join(sorted(codes)))

        self._call("BatchExecuteStatement", request, read)
        return there

    def _insertion(self, key: Key, values: Values) -> Any:
        item = attributes(key, values)
        names = ", ".join(f"'{name}': ?" for name in item)
        statement = f'INSERT INTO "{self.name}" VALUE {{{names}}}'
        return {"Statement": statement, "Parameters": [*item.values()]}

    def write(self, key: Key, values: Values) -> None:
        """Writes an item, in the place of one that is there."""
        request: Any = {"TableName": self.name, "Item": attributes(key, values), **MARKED}
        self._call("PutItem", lambda: self._client.put_item(**request), _check_whole)

    def transact(self, actions: list[Any]) -> list[int]:
        """Does all of the actions or none; then it says which of them put what is there already."""

        def request() -> Any:
            try:
                # without a token of ours: what counts of a lost answer is how it is now
                return self._client.transact_write_items(TransactItems=actions, **MARKED)
            except ClientError as error:
                return _already_there(error)

        def read(reply: Any) -> list[int]:
            if isinstance(reply, list):
                return reply
            _check_whole(reply)
            return []

        return self._call("TransactWriteItems", request, read)

    def _call(self, operation: str, request: Callable[[], Any], read: Callable[[Any], T]) -> T:
        where = f"DynamoDB {operation} on the table {self.name!r} in {self._region}"
        try:
            return self._calls.call(where, request, read)
        except PassingError as error:
            raise OutageError(str(error)) from error
        except RunError as error:
            if code_of(error.__cause__ or error) != "ValidationException":
                raise
            raise RunError(f"{error}; its keys must be pk and sk, both strings") from error


def _check_whole(reply: Any) -> None:
    """An answer without an item is like an empty one, but for what it was marked with."""
    if "ConsumedCapacity" not in reply:
        raise MalformedError("the answer does not say what it has consumed")


def _refused(error: Any) -> ClientError:
    """The error of a statement, as that of a request is called."""
    code = error["Code"]
    said: Any = {"Error": {**error, "Code": AS_A_REQUESTS.get(code, code)}}
    return ClientError(said, "BatchExecuteStatement")


def _already_there(error: ClientError) -> list[int]:
    """The actions for which a transaction was cancelled because their items are there.

    Raises PartlyFailedError when it was cancelled for a passing reason, and every other error.
    """
    if code_of(error) != "TransactionCanceledException":
        raise error
    reasons: Any = error.response.get("CancellationReasons", [])
    codes = [reason.get("Code", "None") for reason in reasons]
    there = [number for number, code in enumerate(codes) if code == "ConditionalCheckFailed"]
    if not there:
        if PASSING_REASONS.issuperset(codes):
            raise PartlyFailedError(", ".join(sorted(set(codes) - {"None"}))) from error
        raise error
    return there
