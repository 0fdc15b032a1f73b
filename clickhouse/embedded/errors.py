"""ClickHouse's errors: code, message and the HTTP status that a server answers for the code."""

import re
from enum import IntEnum


class Code(IntEnum):
    """The error codes that this server raises itself, by ClickHouse's names."""

    BAD_ARGUMENTS = 36
    NOT_IMPLEMENTED = 48
    SYNTAX_ERROR = 62
    UNKNOWN_SETTING = 115
    INCORRECT_DATA = 117
    READONLY = 164
    REQUIRED_PASSWORD = 194
    TOO_MANY_SIMULTANEOUS_QUERIES = 202
    QUERY_IS_TOO_LARGE = 229
    NOT_ENOUGH_SPACE = 243
    INTO_OUTFILE_NOT_ALLOWED = 358
    SESSION_NOT_FOUND = 372
    SESSION_IS_LOCKED = 373
    ACCESS_DENIED = 497
    AUTHENTICATION_FAILED = 516
    UNKNOWN_EXCEPTION = 1002


# As in ClickHouse's exceptionCodeToHTTPStatus; a code that is not here is answered 500.
_STATUS = {
    400: (6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441, 675, 676),
    401: (194,),
    403: (192, 193, 497, 512, 516),
    404: (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511),
    408: (159,),
    411: (381,),
    413: (229,),
    501: (48,),
    503: (76, 209, 439),
}
STATUS_OF_CODE = {code: status for status, codes in _STATUS.items() for code in codes}

_PREFIX = re.compile(r"Code: (\d+)\. DB::Exception: ")
# The engine's own `(version ..)`, which the answer gets once, and the name that wrapping repeats behind it.
_VERSION = re.compile(r"(\s*\(version [^)]*\)\.?\s*(\([A-Z][A-Z0-9_]*\)\s*)?)+$")


class ServerError(Exception):
    """One of ClickHouse's errors; ``str()`` is the message as a server words it, without its version."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = int(code)

    @property
    def status(self) -> int:
        return STATUS_OF_CODE.get(self.code, 500)


def refuse(code: Code, reason: str) -> ServerError:
    """An error of this server, worded as ClickHouse words its own."""
    return ServerError(code, f"Code: {code.value}. DB::Exception: {reason} ({code.name})")


def engine_error(error: BaseException) -> ServerError:
    """Turn what chDB raised into ClickHouse's code and message."""
    text = str(error)
    found = _PREFIX.search(text)
    if found is None:
        return refuse(Code.UNKNOWN_EXCEPTION, text or type(error).__name__)
    text = text[found.start() :].strip()
    # The engine wraps an error in itself: `Code: 115. DB::Exception: Code: 115. DB::Exception: .. (NAME) .. (NAME)`.
    prefix = found.group(0)
    while text.startswith(prefix * 2):
        text = text.removeprefix(prefix)
    return ServerError(int(found.group(1)), _VERSION.sub("", text))
