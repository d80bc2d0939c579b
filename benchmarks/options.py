"""The options of a plugin: from the words of a command line to typed, checked values."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from benchmarks.contract import Parameter, Plugin
from benchmarks.errors import UserError

BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def suggestion(name: str, known: Iterable[str]) -> str:
    """`` Did you mean X?`` when something known is near, else a list of what is known."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"Did you mean {near[0]}?"
    return f"Known: {', '.join(known)}." if known else "There are none."


def parse_options(plugin: Plugin, given: Mapping[str, str]) -> dict[str, Any]:
    """Every option of the plugin with its value: the given one, typed and checked, or the default.

    Raises:
        UserError: an unknown option, a value of the wrong type or out of its range.
    """
    known = {parameter.name: parameter for parameter in plugin.parameters}
    for name in given:
        if name not in known:
            raise UserError(f"{plugin.name} has no option {name!r}. {suggestion(name, known)}")
    return {
        name: _parse(f"{plugin.name}.{name}", parameter, given[name])
        if name in given
        else parameter.default
        for name, parameter in known.items()
    }


def split_assignments(assignments: Iterable[str]) -> dict[str, dict[str, str]]:
    """``["nn-filter.width_seconds=3"]`` to ``{"nn-filter": {"width_seconds": "3"}}``."""
    found: dict[str, dict[str, str]] = {}
    for assignment in assignments:
        target, equals, value = assignment.partition("=")
        plugin, dot, option = target.rpartition(".")
        if not (equals and dot and plugin and option):
            raise UserError(
                f"-p {assignment}: write it as PLUGIN.OPTION=VALUE, "
                "for example nn-filter.width_seconds=3"
            )
        found.setdefault(plugin, {})[option] = value
    return found


def split_flags(words: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """``["a.mp4", "--mask-power", "3"]`` to ``["a.mp4"]`` and ``{"mask_power": "3"}``.

    Raises:
        UserError: a flag without a value.
    """
    rest: list[str] = []
    found: dict[str, str] = {}
    left = iter(words)
    for word in left:
        if not word.startswith("--") or word == "--":
            rest.append(word)
            continue
        flag, equals, value = word.partition("=")
        given = value if equals else next(left, None)
        if given is None or (not equals and given.startswith("--")):
            raise UserError(
                f"{flag} needs a value: write it as {flag}=VALUE; a switch takes true or false"
            )
        found[flag.removeprefix("--").replace("-", "_")] = given
    return rest, found


def names_in(given: Iterable[str] | None) -> tuple[str, ...]:
    """``["a,b", "c"]`` to ``("a", "b", "c")``."""
    return tuple(name.strip() for text in given or () for name in text.split(",") if name.strip())


def kind_in_words(parameter: Parameter) -> str:
    """What a value has to be: "a number", "one of a, b"."""
    annotation, words = _required(parameter.annotation), []
    if typing.get_origin(annotation) is Literal:
        words.append("one of " + ", ".join(map(str, typing.get_args(annotation))))
    else:
        words.append(
            {bool: "true or false", int: "a whole number", float: "a number"}.get(
                annotation, "a text"
            )
        )
    option = parameter.option
    if option.minimum > float("-inf"):
        words.append(f"{option.minimum:g} or more")
    if option.maximum < float("inf"):
        words.append(f"at most {option.maximum:g}")
    return ", ".join(words)


def _required(annotation: Any) -> Any:
    """``X`` of ``X | None``."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return next(part for part in typing.get_args(annotation) if part is not type(None))
    return annotation


def _parse(where: str, parameter: Parameter, text: str) -> Any:
    annotation = _required(parameter.annotation)
    if text.lower() == "none" and annotation is not parameter.annotation:
        return None
    try:
        value = _typed(annotation, text)
        in_range = not isinstance(value, int | float) or (
            parameter.option.minimum <= value <= parameter.option.maximum
        )
    except (ValueError, KeyError):
        in_range = False
    if not in_range:
        raise UserError(f"{where} takes {kind_in_words(parameter)}; {text!r} is not that.")
    return value


def _typed(annotation: Any, text: str) -> Any:
    if typing.get_origin(annotation) is Literal:
        return {str(choice): choice for choice in typing.get_args(annotation)}[text]
    if annotation is bool:
        return BOOLEANS[text.lower()]
    return annotation(text)
