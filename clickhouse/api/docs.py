"""``/openapi.json``, and ``/docs``: the same on one page, made by the server: no script, and nothing from elsewhere.

Where another application answers on the same port its paths are part of the document: ``more``, handed in at the start.
"""

from decimal import Decimal
from html import escape
from typing import Any, Final

from litestar import Request, get
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import OpenAPIType, Schema
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

from schemas.errors import Invariant

STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 3rem; border-bottom: 1px solid #8886 }
details { margin: .5rem 0; padding: .5rem .8rem; border: 1px solid #8886; border-radius: .4rem }
summary { cursor: pointer } summary code { font-weight: 600 } table { border-collapse: collapse }
td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top } code { font-size: .92em }
"""


Document = dict[str, Any]


class DocsPage(OpenAPIRenderPlugin):
    """The page."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: Document) -> bytes:
        return page(merged(openapi_schema, request.app.state.more_openapi)).encode()


class ExactNumbers(OpenAPISchemaPlugin):
    """Describes decimals as they are answered: as numbers."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        return field_definition.annotation is Decimal

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        return Schema(type=OpenAPIType.NUMBER)


@get("/openapi.json", include_in_schema=False, sync_to_thread=False)
def openapi_json(request: Request[Any, Any, Any]) -> Document:
    """The OpenAPI document itself."""
    return merged(request.app.openapi_schema.to_schema(), request.app.state.more_openapi)


def merged(document: Document, more: Document) -> Document:
    """Both documents as one: paths by method, components by name. What both describe would be a mistake of ours."""
    whole = dict(document)
    for part in ("paths", "components"):
        sections: Document = {name: dict(section) for name, section in document.get(part, {}).items()}
        for name, section in more.get(part, {}).items():
            known = sections.setdefault(name, {})
            if doubled := known.keys() & section.keys():
                raise Invariant(f"{name} describes {', '.join(sorted(doubled))} twice")
            known |= section
        whole[part] = sections
    return whole


def page(document: dict[str, Any]) -> str:
    """The page of an OpenAPI document."""
    info = document["info"]
    by_tag: dict[str, list[str]] = {}
    for path, item in sorted(document["paths"].items()):
        for method, operation in item.items():
            if isinstance(operation, dict) and "responses" in operation:
                tag = (operation.get("tags") or ["Other"])[0]
                by_tag.setdefault(tag, []).append(_operation(path, method, operation))
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(parts)}" for tag, parts in sorted(by_tag.items()))
    shapes = "".join(
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code> {escape(schema.get("description", ""))}'
        f"</summary>{_properties(schema)}</details>"
        for name, schema in sorted(document.get("components", {}).get("schemas", {}).items())
    )
    title = f"{escape(info['title'])} {escape(info['version'])}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{STYLE}</style></head>"
        f"<body><h1>{title}</h1><p>{escape(info.get('description', ''))}</p>"
        '<p>Machine-readable: <a href="/openapi.json">/openapi.json</a>. '
        "A key goes into the header <code>Authorization: Bearer sk_live_..</code></p>"
        f"{sections}<h2>Shapes</h2>{shapes}</body></html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        _row(f"<code>{escape(one['name'])}</code>", escape(one["in"]), _type(one.get("schema", {})), _described(one))
        for one in operation.get("parameters") or []
    )
    body = _content(operation.get("requestBody") or {})
    answers = "".join(
        _row(escape(status), _content(answer), _described(answer))
        for status, answer in sorted(operation["responses"].items())
    )
    return (
        f"<details><summary><code>{method.upper()} {escape(path)}</code> "
        f"{escape(operation.get('summary') or '')}</summary>"
        + (f"<h4>Parameters</h4><table>{parameters}</table>" if parameters else "")
        + (f"<h4>Body</h4><p>{body}</p>" if body else "")
        + f"<h4>Answers</h4><table>{answers}</table></details>"
    )


def _properties(schema: dict[str, Any]) -> str:
    required = set(schema.get("required") or ())
    rows = "".join(
        _row(f"<code>{escape(name)}</code>", _type(one), "" if name in required else "optional", _described(one))
        for name, one in (schema.get("properties") or {}).items()
    )
    return f"<table>{rows}</table>" if rows else f"<p>{_type(schema)}</p>"


def _row(*cells: str) -> str:
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _described(holder: dict[str, Any]) -> str:
    return escape(holder.get("description") or "")


def _content(holder: dict[str, Any]) -> str:
    return ", ".join(_type(one["schema"]) for one in (holder.get("content") or {}).values() if "schema" in one)


def _type(schema: dict[str, Any]) -> str:
    if reference := schema.get("$ref"):
        name = escape(reference.rsplit("/", 1)[-1])
        return f'<a href="#{name}">{name}</a>'
    if choices := schema.get("oneOf") or schema.get("anyOf"):
        return " or ".join(_type(one) for one in choices)
    if values := schema.get("enum"):
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in values)
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items') or {})}"
    return escape(" or ".join(kind) if isinstance(kind, list) else str(kind))
