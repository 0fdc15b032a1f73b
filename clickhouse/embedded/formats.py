"""What the server must know of ClickHouse's formats: their MIME types, and which may be sent in pieces."""

from collections.abc import Mapping

DEFAULT = "TabSeparated"

# The engine formats every block of a streamed result as a result of its own. Put together, such pieces are the same
# bytes only in formats that have no beginning and no end.
_STREAMABLE = frozenset(
    {"native", "rowbinary", "tabseparated", "tsv", "tabseparatedraw", "tsvraw", "raw", "csv"}
    | {"jsoneachrow", "jsonlines", "ndjson", "jsonstringseachrow", "jsoncompacteachrow", "jsoncompactstringseachrow"}
)
# With these a format gains an ending.
_ENDINGS = frozenset({"extremes", "output_format_json_array_of_rows"})

_MIME = {
    "application/json; charset=UTF-8": "json jsoncompact jsonstrings jsoncolumns jsoncompactstrings",
    "application/x-ndjson; charset=UTF-8": "jsoneachrow jsonlines ndjson jsoncompacteachrow",
    "text/tab-separated-values; charset=UTF-8": "tabseparated tsv tabseparatedraw tsvraw raw tabseparatedwithnames "
    "tsvwithnames tabseparatedwithnamesandtypes tsvwithnamesandtypes",
    "text/csv; charset=UTF-8; header=absent": "csv",
    "text/csv; charset=UTF-8; header=present": "csvwithnames csvwithnamesandtypes",
    "application/octet-stream": "native rowbinary rowbinarywithnames rowbinarywithnamesandtypes parquet orc avro "
    "msgpack npy bsoneachrow protobuf capnproto",
    "application/vnd.apache.arrow.file": "arrow",
    "application/vnd.apache.arrow.stream": "arrowstream",
    "application/xml; charset=UTF-8": "xml",
}
_MIME_OF = {name: mime for mime, names in _MIME.items() for name in names.split()}


def content_type(name: str) -> str:
    return _MIME_OF.get(name.lower(), "text/plain; charset=UTF-8")


def is_streamable(name: str, settings: Mapping[str, str]) -> bool:
    return name.lower() in _STREAMABLE and _ENDINGS.isdisjoint(settings)
