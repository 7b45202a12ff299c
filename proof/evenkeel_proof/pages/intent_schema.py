"""The JSON Schema of an intent: `python -m evenkeel_proof.pages.intent_schema` rewrites it.

With it, the YAML extensions of most editors complete keys and mark errors while a person types. It
is made from the model, and a test holds it up to date.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evenkeel.intent.model import Intent

SCHEMA_FILE = Path("docs/reference/intent.schema.json")


def schema() -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) of a file that holds the variable `intent`."""
    inner = Intent.model_json_schema(by_alias=True)
    definitions = inner.pop("$defs")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Variables of a balancer's inventory",
        "type": "object",
        "properties": {"intent": {"$ref": "#/$defs/Intent"}},
        "$defs": {**definitions, "Intent": inner},
    }


def text() -> str:
    """Give the text of the schema's file."""
    return json.dumps(schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.parent.mkdir(parents=True, exist_ok=True)
    SCHEMA_FILE.write_text(text(), encoding="utf-8")
