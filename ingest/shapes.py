"""JSON Schemas of what ingest takes and answers. Limits, types and choices come from the code that checks them."""

from typing import Any, Final

from ingest import fields
from ingest.postbacks import TOKEN, USER_AGENT_MAX
from schemas.errors import Reason
from schemas.mailing import CURRENCY, WINDOW_DAYS, WINDOW_MAX_DAYS, AttributionModel, ConversionType
from schemas.outcomes import EdgeOutcome

Json = dict[str, Any]

_ID: Final = {"type": "string", "format": "uuid"}
_MONEY: Final = {
    "type": ["number", "string", "null"],
    "description": "Exact decimal, as a number or as text; rounded half-even to four digits",
}


_FREE: Final = {
    "type": ["object", "array", "null"],
    "maxItems": 0,
    "description": "An object, kept as it is; [] is empty",
}
_USER_DATA: Final = _FREE | {"description": "Who the visitor is, for forwarding; hashed at once"}


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Json, required: tuple[str, ...] = (), description: str = "") -> Json:
    made: Json = {"type": "object", "properties": properties}
    return made | ({"required": list(required)} if required else {}) | _described(description)


def _described(description: str) -> Json:
    return {"description": description} if description else {}


def _event(required: str) -> Json:
    own = {"revenue": _MONEY, "properties": _FREE, "context": _FREE, "user_data": _USER_DATA}
    return _object(
        fields.shapes() | own,
        (required,),
        "null counts as missing. A field that is not listed moves into properties, and the answer warns",
    )


def batch(name: str) -> Json:
    items = {"type": "array", "items": ref(name), "minItems": 1}
    return {"oneOf": [ref(name), items, _object({"events": items}, ("events",))]}


_OF_POSTBACKS: Final = ("currency", "order_id", "click_id", "event_id", "timestamp", "consent")


def _postback(properties: Json, required: tuple[str, ...]) -> Json:
    shapes = fields.shapes()
    return _object(
        {
            "value": _MONEY | {"description": "Default: the goal's value and currency"},
            **{name: shapes[name] for name in _OF_POSTBACKS},
            "user_data": _USER_DATA,
            "ip": {"type": ["string", "null"], "description": "The visitor's, if a server speaks; hashed at once"},
            "user_agent": {"type": ["string", "null"], "maxLength": USER_AGENT_MAX},
            **properties,
        },
        required,
    )


def _contact_conversion() -> Json:
    client_id = {"type": ["string", "integer", "null"], "maxLength": fields.ID_MAX}
    shapes = fields.shapes()
    return _object(
        {
            "email": {"type": ["string", "null"], "maxLength": fields.EMAIL_MAX},
            "contact_id": client_id | {"description": "Required if email is not given"},
            "type": _choice(ConversionType, ConversionType.CUSTOM),
            "revenue": _MONEY,
            "currency": shapes["currency"] | {"default": CURRENCY},
            "order_id": shapes["order_id"],
            "campaign_id": client_id,
            "flow_id": client_id,
            "attribution_model": _choice(AttributionModel, AttributionModel.LAST_TOUCH),
            "attribution_window": {
                "type": ["integer", "null"],
                "minimum": 1,
                "maximum": WINDOW_MAX_DAYS,
                "default": WINDOW_DAYS,
                "description": "Days",
            },
            "metadata": _FREE,
            "user_data": _USER_DATA,
            "consent": shapes["consent"],
        },
        (),
        "email or contact_id is required; null counts as missing, and unknown fields are ignored",
    )


def _refund() -> Json:
    shapes = fields.shapes()
    return _object(
        {
            "amount": _MONEY | {"description": "Above 0; default: all that is left"},
            "refund_id": shapes["order_id"] | {"maxLength": fields.ID_MAX},
            "kind": shapes["event_name"] | {"description": "Of the conversion, where an order has several"},
            "currency": shapes["currency"],
            "timestamp": shapes["timestamp"],
        },
        (),
        "refund_id or an Idempotency-Key is required",
    )


def _choice(choices: type[ConversionType] | type[AttributionModel], default: str) -> Json:
    return {"enum": [*(choice.value for choice in choices), None], "default": default}


_WARNINGS: Final = {
    "type": "array",
    "items": _object({"code": {"type": "string"}, "message": {"type": "string"}, "field": {"type": "string"}}),
}
_PROBLEM: Final = _object(
    {
        "code": {"enum": [reason.value for reason in Reason]},
        "message": {"type": "string"},
        "field": {"type": "string"},
    },
    ("code", "message"),
)
_ACCEPTED: Final = {"status": {"const": "accepted"}, "event_id": _ID, "warnings": _WARNINGS}
_CONVERTED: Final = _ACCEPTED | {"conversion_id": _ID}
_COUNT: Final = {"type": "integer", "minimum": 0}


def _results() -> Json:
    result = _object(
        {
            "index": _COUNT,
            "status": {"enum": [outcome.value for outcome in EdgeOutcome]},
            "event_id": _ID,
            "conversion_id": _ID,
            "warnings": _WARNINGS,
            "error": ref("IngestProblem"),
        },
        ("index", "status"),
    )
    return _object(
        {
            **{outcome.value: _COUNT for outcome in EdgeOutcome},
            "error": ref("IngestProblem"),
            "results": {"type": "array", "items": result},
        },
        ("accepted", "rejected", "results"),
        "One result an item, in order",
    )


def schemas() -> Json:
    text = {"type": "string"}
    maybe = {"type": ["string", "null"]}
    return {
        "IngestEvent": _event("event_type"),
        "IngestConversion": _event("event_name"),
        "IngestPostback": _postback({}, ()),
        "IngestPostbackWithToken": _postback({TOKEN: text}, (TOKEN,)),
        "IngestContactConversion": _contact_conversion(),
        "IngestRefund": _refund(),
        "IngestRefunded": _object(
            _CONVERTED | {"refund_id": text}, ("status", "event_id", "refund_id"), "Kafka has the refund"
        ),
        "IngestAccepted": _object(_ACCEPTED, ("status", "event_id"), "Kafka has the event"),
        "IngestConverted": _object(_CONVERTED, ("status", "event_id", "conversion_id"), "Kafka has the conversion"),
        "IngestResults": _results(),
        "IngestContactConverted": _object(
            {
                "status": {"const": "accepted"},
                "receipt": text,
                "data": _object(
                    {
                        "id": _ID,
                        "type": {"enum": [kind.value for kind in ConversionType]},
                        "revenue": {"type": ["number", "null"]},
                        "currency": text,
                        "order_id": maybe,
                        "contact_id": _ID,
                        "campaign_id": maybe,
                        "flow_id": maybe,
                        "attribution_model": {"enum": [model.value for model in AttributionModel]},
                        "attribution_window": {"type": "integer"},
                        "metadata": {"type": "object"},
                        "converted_at": text,
                        "created_at": text,
                    }
                ),
            },
            ("status", "receipt", "data"),
        ),
        "IngestProblem": _PROBLEM,
        "IngestRefusal": _object({"error": ref("IngestProblem")}, ("error",), "Every error"),
    }
