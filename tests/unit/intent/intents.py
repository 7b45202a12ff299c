"""Intents that tests start from. Each call gives a fresh one, so a test may change it."""

from __future__ import annotations

from typing import Any


def server(number: int, **more: Any) -> dict[str, Any]:
    return {"name": f"web{number}", "address": f"10.0.0.{number}", "port": 8080, **more}


def pool(name: str = "shop", servers: int = 3, **more: Any) -> dict[str, Any]:
    return {"name": name, "servers": [server(n) for n in range(1, servers + 1)], **more}


def listener(name: str = "public", **more: Any) -> dict[str, Any]:
    return {"name": name, "binds": [{"port": 80}], "default_pool": "shop", **more}


def intent(**more: Any) -> dict[str, Any]:
    return {"listeners": [listener()], "pools": [pool()], **more}
