"""The page of the API, made from its OpenAPI description: endpoints, examples, fields. Loads nothing from anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import cast

Json = Mapping[str, object]
_STYLE = """
:root{color-scheme:light dark}body{margin:0 auto;max-width:760px;padding:36px 20px 80px;font:16px/1.6 system-ui,sans-serif;
background:light-dark(#f8f6f1,#161715);color:light-dark(#23211c,#ece8dd)}h1{font-size:26px}h2{margin:44px 0 4px;font-size:18px}
code,pre{font:14px/1.55 ui-monospace,monospace}pre{padding:14px 16px;border-radius:12px;overflow-x:auto;
background:light-dark(#f0ede5,#272a26)}table{width:100%;border-collapse:collapse;font-size:15px}
td,th{padding:6px 12px 6px 0;border-bottom:1px solid light-dark(#e3ded2,#353832);text-align:left;vertical-align:top}
small,.soft{color:light-dark(#716b5e,#a09b8e)}a{color:light-dark(#1f6b5b,#83c9b5)}b{color:light-dark(#1f6b5b,#83c9b5)}
"""


def docs_html(description: Json) -> str:
    """Return the page for an OpenAPI description."""
    info = _map(description.get("info"))
    schemas = _map(_map(description.get("components")).get("schemas"))
    parts = [
        _endpoint(path, method, _map(operation), schemas)
        for path, methods in _map(description.get("paths")).items()
        for method, operation in _map(methods).items()
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Vouch API</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head><body>'
        f"<h1>Vouch API <small>{_e(info.get('version'))}</small></h1><p>{_e(info.get('description'))} "
        'Errors are <a href="https://www.rfc-editor.org/rfc/rfc9457">problem details</a> with a <code>next</code> step. '
        'The description for machines: <a href="openapi.json">openapi.json</a>. The <a href="./">chat page</a>.</p>'
        f"{''.join(parts)}<h2>Parts</h2>{_parts(schemas)}</body></html>"
    )


def _endpoint(path: str, method: str, operation: Json, schemas: Json) -> str:
    body = _schema(_map(_content(operation.get("requestBody"))), schemas)
    responses = _map(operation.get("responses"))
    rows = "".join(
        f"<tr><td>{_e(code)}</td><td>{_e(_map(r).get('description'))}</td></tr>" for code, r in responses.items()
    )
    parts = [f"<h2><b>{_e(method.upper())}</b> <code>{_e(path)}</code></h2><p>{_e(operation.get('description'))}</p>"]
    if body:
        parts += [_example(path, body), _fields("Request", body)]
    answer = _schema(_content(responses.get("200")), schemas)
    if answer:
        parts.append(_fields("Response", answer))
    parts.append(f'<p class="soft">Status codes</p><table>{rows}</table>')
    return "".join(parts)


def _parts(schemas: Json) -> str:
    """Return the fields of every schema that others refer to, apart from the ones that endpoints show themselves."""
    own = ("Recommendations", "Explanations", "Health", "HTTPValidation", "ValidationError")
    shown = [(name, _map(schema)) for name, schema in schemas.items() if not name.startswith(own)]
    return "".join(f"<p>{_e(schema.get('description'))}</p>{_fields(name, schema)}" for name, schema in shown)


def _example(path: str, body: Json) -> str:
    examples = body.get("examples")
    if not isinstance(examples, list) or not examples:
        return ""
    sent = json.dumps(cast("list[object]", examples)[0], indent=2, ensure_ascii=False)
    return f"<pre>curl http://127.0.0.1:7860{_e(path)} \\\n  --json '{_e(sent)}'</pre>"


def _fields(title: str, schema: Json) -> str:
    required = cast("Iterable[object]", schema.get("required", ()))
    rows: list[str] = []
    for name, field in _map(schema.get("properties")).items():
        known = _map(field)
        needed = " <small>required</small>" if name in required else ""
        rows.append(
            f"<tr><td><code>{_e(name)}</code>{needed}</td><td>{_e(_kind(known))}</td><td>{_e(known.get('description'))}</td></tr>"
        )
    return f'<p class="soft">{title}</p><table>{"".join(rows)}</table>' if rows else ""


def _kind(field: Json) -> str:
    """Return a field's type in words."""
    if "anyOf" in field:
        kinds = [_kind(_map(f)) for f in cast("Iterable[object]", field["anyOf"])]
        return " or ".join(dict.fromkeys(k for k in kinds if k != "null"))
    if "enum" in field:
        return ", ".join(str(v) for v in cast("Iterable[object]", field["enum"]))
    if field.get("type") == "array":
        return f"list of {_kind(_map(field.get('items')))}"
    return str(field.get("type") or str(field.get("$ref", "")).rsplit("/", 1)[-1] or "any")


def _content(holder: object) -> Json:
    media = _map(_map(holder).get("content"))
    return _map(_map(media.get("application/json")).get("schema"))


def _schema(reference: Json, schemas: Json) -> Json:
    return _map(schemas.get(str(reference.get("$ref", "")).rsplit("/", 1)[-1]))


def _map(value: object) -> Json:
    return cast("Json", value) if isinstance(value, Mapping) else {}


def _e(value: object) -> str:
    return escape("" if value is None else str(value))
