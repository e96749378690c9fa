"""What an error of AWS means: the one table of which retries, exits and docs/errors.md are made.

Each error has one meaning. What no row names is passing: an error that nobody has foreseen never
costs an image. One module: a table is read from its first row to its last.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Meaning(Enum):
    """What an error is about; the value is how docs/errors.md says it."""

    IMAGE = "this image"
    ACCESS = "this image, or everybody's when no image can be had"
    PASSING = "passing"
    OUTAGE = "passing, and not about an image"
    EVERYBODY = "everybody's"
    BUG = "a bug"


@dataclass(frozen=True)
class Row:
    """Errors of one meaning, by the service's codes or by the SDK's classes.

    `says` is what a person reads in the log, with `{what}` (the call), `{code}`, `{text}` (the
    service's own), `{seconds}` of trying and the settings; `do` is what is to be done.
    """

    codes: tuple[str, ...]
    meaning: Meaning
    says: str
    do: str


NO_ANSWER = "{what}: no answer for {seconds:g} s ({code}: {text})"
FAILED = "{what} failed for {seconds:g} s ({code}: {text})"
WRONG = "{what}: {code}: {text}"
NO_LOGIN = "{what}: no valid AWS credentials ({text}); log in and start again"
DENIED = "{what}: permission denied; allow it and start again ({text})"
# of an image
NO_ACCESS = "no access: {code}: {text}"

THROTTLED = Row(
    (
        "KMS.ThrottlingException",
        "KmsThrottled",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    ),
    Meaning.OUTAGE,
    NO_ANSWER,
    "nothing; if it lasts, somebody else uses the quota: lower CARTEXT_QUOTA",
)
LATE_LOGIN = Row(
    ("NoCredentialsError where AWS_EC2_METADATA_SERVICE_ENDPOINT is set",),
    Meaning.OUTAGE,
    "{what}: the instance's metadata service has no credentials yet ({text})",
    "nothing, if it passes; else give the instance its role",
)
LAB_ENDED = Row(
    ("AccessDenied that names voc-cancel-cred",),
    Meaning.EVERYBODY,
    "{what}: the lab's session has ended; start the lab again, and get its new credentials",
    "Start Lab, then copy the credentials again",
)
NO_SHAPE = Row(
    ("300-499 without the service's own code",),
    Meaning.OUTAGE,
    NO_ANSWER,
    "look for a proxy, a portal or a firewall that answers in the service's place",
)
FAILING = Row(
    (
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "RequestTimeout",
        "ServiceUnavailable",
        "TransactionConflictException",
        "TransactionInProgressException",
        "PartlyFailedError",
        "500-599",
    ),
    Meaning.PASSING,
    FAILED,
    "nothing; the image is tried again later",
)
NO_QUEUE = Row(
    ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"),
    Meaning.EVERYBODY,
    "there is no queue {queue_url}; check CARTEXT_QUEUE_URL and CARTEXT_PARTS_QUEUE_URL",
    "correct the setting",
)
UNKNOWN = Row(
    ("any other",),
    Meaning.PASSING,
    FAILED,
    "read what the service says, and report the code: it deserves a row here",
)

TABLE = (
    THROTTLED,
    FAILING,
    Row(
        ("MalformedError", "FlexibleChecksumError"),
        Meaning.PASSING,
        FAILED,
        "nothing, if it passes; else look for what answers in the service's place",
    ),
    NO_SHAPE,
    Row(
        (
            "ConnectionError",
            "HTTPClientError",
            "IncompleteReadError",
            "CredentialRetrievalError",
            "MetadataRetrievalError",
        ),
        Meaning.OUTAGE,
        NO_ANSWER,
        "check the network, the endpoint, the instance's role",
    ),
    Row(
        ("NoSuchKey", "NoSuchVersion"),
        Meaning.IMAGE,
        "gone: the object is no longer in the bucket",
        "upload it again",
    ),
    Row(
        ("InvalidURI", "KeyTooLongError"),
        Meaning.IMAGE,
        "no key of an object: {text} ({code})",
        "correct the list of keys (CARTEXT_KEYS)",
    ),
    Row(
        ("PreconditionFailed",),
        Meaning.IMAGE,
        "replaced: the object is no longer the one whose label was found",
        "begin another run, which looks at the new one",
    ),
    Row(
        ("InvalidObjectState",),
        Meaning.IMAGE,
        "archived: the object must be restored before it can be read",
        "restore it from its storage class",
    ),
    Row(
        (
            "KMS.DisabledException",
            "KMS.InvalidStateException",
            "KMS.KMSInvalidStateException",
            "KMS.NotFoundException",
            "InvalidRequest",
        ),
        Meaning.ACCESS,
        NO_ACCESS,
        "enable the key that the object is encrypted with; with one of the customer's own (SSE-C, "
        "InvalidRequest) it cannot be read",
    ),
    Row(
        (
            "ImageTooLargeException",
            "InvalidImageFormatException",
            "InvalidParameterException",
            "ValidationException",
        ),
        Meaning.IMAGE,
        "{code}: {text}",
        "convert the image: JPEG or PNG, 80 to 10,000 pixels a side, 15 MB at most",
    ),
    Row(
        ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"),
        Meaning.EVERYBODY,
        "{what}: the AWS credentials have expired; get new ones and start again",
        "log in again",
    ),
    Row(
        (
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidToken",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "UnrecognizedClientException",
            "PartialCredentialsError",
            "ProfileNotFound",
            "TokenRetrievalError",
            "UnauthorizedSSOTokenError",
            "SSOTokenLoadError",
        ),
        Meaning.EVERYBODY,
        NO_LOGIN,
        "log in, or give the instance its role; a region that the account has not enabled says the "
        "same",
    ),
    Row(
        ("NoCredentialsError",),
        Meaning.EVERYBODY,
        NO_LOGIN,
        "log in, or give the instance its role",
    ),
    LATE_LOGIN,
    Row(
        ("RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"),
        Meaning.EVERYBODY,
        "{what}: this machine's clock is wrong ({text}); set it and start again",
        "switch on time synchronisation (chrony, systemd-timesyncd)",
    ),
    Row(
        ("InvalidSignatureException", "SignatureDoesNotMatch"),
        Meaning.EVERYBODY,
        "{what}: no valid AWS credentials, or this machine's clock is wrong ({text}); log in and "
        "start again",
        "log in; check the clock",
    ),
    LAB_ENDED,
    Row(
        ("AccessDenied", "Forbidden", "KMS.AccessDeniedException", "KmsAccessDenied"),
        Meaning.ACCESS,
        DENIED,
        "allow the call that is named (terraform/iam.tf), or the object's key (kms_key_arn)",
    ),
    Row(
        ("AccessDeniedException", "AuthorizationError"),
        Meaning.EVERYBODY,
        DENIED,
        "allow the call that is named, see terraform/iam.tf",
    ),
    Row(
        (
            "AccountProblem",
            "AllAccessDisabled",
            "NotSignedUp",
            "OptInRequired",
            "SubscriptionRequiredException",
        ),
        Meaning.EVERYBODY,
        "{what}: the account may not use this service ({code}: {text})",
        "ask AWS Support, or whoever governs the account",
    ),
    Row(
        (
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
            "PermanentRedirect",
            "TemporaryRedirect",
        ),
        Meaning.EVERYBODY,
        "bucket {bucket!r} is in another region than the one that is set; set AWS_REGION to the "
        "bucket's region ({text})",
        "set AWS_REGION to the bucket's region",
    ),
    Row(
        ("NoRegionError",),
        Meaning.EVERYBODY,
        "no AWS region is set; set AWS_REGION to the bucket's region",
        "set AWS_REGION",
    ),
    Row(
        ("InvalidRegionError", "UnknownRegionError"),
        Meaning.EVERYBODY,
        "AWS has no such region ({text}); set AWS_REGION to the bucket's region",
        "set AWS_REGION",
    ),
    Row(
        ("NoSuchBucket",),
        Meaning.EVERYBODY,
        "there is no bucket {bucket!r}; check CARTEXT_BUCKET",
        "correct the setting",
    ),
    NO_QUEUE,
    Row(
        ("NotFound",),
        Meaning.EVERYBODY,
        "{what}: there is no such topic ({text}); check CARTEXT_TOPIC_ARN",
        "correct the setting; a worker goes on, and tells nobody meanwhile",
    ),
    Row(
        ("ResourceNotFoundException",),
        Meaning.EVERYBODY,
        "{what}: there is no such table ({text}); check CARTEXT_LEDGER",
        "correct the setting",
    ),
    Row(
        ("BotoCoreError",),
        Meaning.EVERYBODY,
        "{what}: {text}",
        "what the SDK says; most often a setting of its own",
    ),
    Row(
        (
            "InvalidAction",
            "MalformedXML",
            "MissingParameter",
            "SerializationException",
            "TransactionCanceledException",
            "UnknownOperationException",
        ),
        Meaning.BUG,
        WRONG + "; this is a fault of cartext's: please report it",
        "report it",
    ),
    UNKNOWN,
)
