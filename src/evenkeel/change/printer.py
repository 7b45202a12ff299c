"""Prints the files of a release: templates in a sandbox, compiled once, failing in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.sandbox import SandboxedEnvironment

from evenkeel.balancer.dialect import Dialect
from evenkeel.errors import Refused

_NEXT = "the names that a template may use are in the dialect of the balancer's role"


class Printer:
    """The templates of a balancer, or a person's own in their place, ready to print.

    Raises Refused when a template cannot be read or is not one.
    """

    def __init__(self, dialect: Dialect, template: Path | None = None) -> None:
        if template is not None and len(dialect.files) != 1:
            raise Refused(
                "A template of one's own needs a balancer with one file",
                where=str(template),
                wanted="a balancer whose release is one file",
                got=", ".join(sorted(dialect.files)),
            )
        self.own = template is None
        self.where = str(template or dialect.templates)
        self._paths = {
            name: template or dialect.templates / own for name, own in sorted(dialect.files.items())
        }
        self._templates = {name: _compile(path) for name, path in self._paths.items()}

    def texts(self, view: Mapping[str, Any], intent: Mapping[str, Any]) -> dict[str, str]:
        """Give each file's text; raises Refused when a template uses what there is not."""
        texts = {}
        for name, template in self._templates.items():
            try:
                texts[name] = template.render(view, intent=intent)
            except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
                raise _fails(self._paths[name], error) from None
        return texts


def _compile(path: Path) -> Template:
    # A sandbox: a template reads what it is given and calls nothing unsafe.
    environment = SandboxedEnvironment(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    try:
        return environment.from_string(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(
            "The template cannot be read",
            where=str(path),
            got=str(error)[:200],
            next_step="correct the role variable that names the template",
        ) from None
    except TemplateError as error:
        raise _fails(path, error) from None


def _fails(path: Path, error: Exception) -> Refused:
    line = f", line {error.lineno}" if isinstance(error, TemplateSyntaxError) else ""
    return Refused(
        "The template fails",
        where=f"{path}{line}",
        wanted="a template that uses only what the balancer's view and the intent hold",
        got=str(error)[:200],
        next_step=_NEXT,
    )
