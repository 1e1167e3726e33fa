"""Reference pages of names in code: the Python API, the command line, the keys of recipes."""

import doctest
import inspect
import json
from collections.abc import Iterator
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin

import typer
from code_facts import FieldFacts, fields_of, members_of, plain, signature_of
from markdown_parts import code, table

import hilum
from hilum.cli.app import app
from hilum.cli.main import _place
from hilum.recipes.schema import Recipe, Strict

FENCE = "`" * 5  # outside those of examples


def python_page() -> str:
    """Every name of `import hilum`: signature, docstring, example, fields and methods."""
    intro = (
        "# Python\n\n`import hilum` offers these names and no others. Each is loaded when it is "
        "first used. The tests run every example.\n"
    )
    return "\n".join([intro, *(_entry(name) for name in hilum.__all__)])


def _entry(name: str) -> str:
    item = getattr(hilum, name)
    heading = f"## {name}\n\n"
    if inspect.isclass(item):
        return heading + _class(name, item)
    if callable(item):
        return heading + _directive("function", name + signature_of(item), _doc(item))
    return heading + _directive("data", name, "", f":value: {item!r}")


def _class(name: str, cls: type) -> str:
    parts = [_doc(cls)]
    for facts in fields_of(cls):
        parts.append(
            _directive("attribute", facts.name, facts.comment, f":type: {facts.annotation}")
        )
    for member, found in members_of(cls):
        if isinstance(found, property):
            kind = plain(signature_of(found.fget).partition(" -> ")[2])
            parts.append(_directive("property", member, _doc(found.fget), f":type: {kind}"))
        else:
            function = getattr(found, "__func__", found)
            options = (":classmethod:",) if isinstance(found, classmethod) else ()
            parts.append(
                _directive("method", member + signature_of(function), _doc(function), *options)
            )
    kind = "exception" if issubclass(cls, BaseException) else "class"
    own = "__init__" in vars(cls) and not hasattr(cls, "__dataclass_fields__")
    shown = (
        signature_of(vars(cls)["__init__"]).partition(" -> ")[0] if own and kind == "class" else ""
    )
    return _directive(kind, name + shown, "\n\n".join(parts))


def _directive(kind: str, signature: str, content: str, *options: str) -> str:
    """A directive of Sphinx's Python domain; nested ones need a shorter fence than their parent."""
    fence = FENCE + ("``" if kind in ("class", "exception") else "")
    head = [f"{fence}{{py:{kind}}} {signature}"]
    if kind not in ("attribute", "property", "method"):
        head.append(":module: hilum")
    return "\n".join([*head, *options, "", content, fence, ""])


def _doc(item: Any) -> str:
    """A docstring as Markdown: prose, then its examples as one block of code."""
    parts = doctest.DocTestParser().parse(inspect.getdoc(item) or "")
    prose = "".join(part for part in parts if isinstance(part, str)).strip()
    shown = [_example(part) for part in parts if isinstance(part, doctest.Example)]
    return prose + (f"\n\n```pycon\n{''.join(shown)}```" if shown else "")


def _example(example: doctest.Example) -> str:
    first, *rest = example.source.splitlines()
    lines = [f">>> {first}", *(f"... {line}" for line in rest), *example.want.splitlines()]
    return "\n".join(lines) + "\n"


def command_line_page() -> str:
    """Every command with its arguments and options, as the program itself knows them."""
    intro = (
        "# Command line\n\nExit codes: 0 ok, 1 a check failed under `--strict`, 2 bad usage or "
        "input, 3 data or weights missing. An error is one sentence.\n"
    )
    return "\n".join([intro, *(_command(words, item) for words, item in commands())])


def commands() -> Iterator[tuple[str, Any]]:
    """("hilum data scan", command) of every command, in the order of the help."""
    app.registered_commands.sort(key=_place)
    yield from _below("hilum", typer.main.get_command(app))


def _below(words: str, command: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from _below(f"{words} {name}", inner)
    else:
        yield words, command


def _command(words: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = " ".join([words, *map(_usage, arguments), *(["[OPTIONS]"] if options else [])])
    parts = [f"## {words}", command.help or "", f"```text\n{usage}\n```"]
    if arguments:
        rows = [(code(p.name.upper()), p.help or "") for p in arguments]
        parts.append(table(("argument", "what it is"), rows))
    rows = [(_flags(p), _kind(p), _default(p), p.help or "") for p in options]
    parts.append(table(("option", "takes", "default", "what it does"), rows))
    return "\n\n".join(parts) + "\n"


def _usage(argument: Any) -> str:
    name = argument.name.upper()
    name += "..." if argument.nargs == -1 else ""
    return name if argument.required else f"[{name}]"


def _flags(option: Any) -> str:
    return ", ".join(code(flag) for flag in [*option.opts, *option.secondary_opts])


def _kind(option: Any) -> str:
    if option.is_flag or option.count:
        return "nothing" if not option.count else "nothing; may be repeated"
    words = {"Path": "path", "str": "text", "int": "whole number", "float": "number"}
    choices = get_args(option.type_descriptor.annotation)  # of a Literal
    kind = getattr(option.type_descriptor.annotation, "__name__", "")
    name = " or ".join(map(code, map(str, choices))) if choices else words.get(kind, kind)
    return f"{name}; may be repeated" if option.multiple else name


def _default(option: Any) -> str:
    default = option.default() if callable(option.default) else option.default
    variable = f"the variable {code(option.envvar)}" if option.envvar else ""
    if option.required:
        return "must be given"
    if default in (None, False, 0, (), []) and not (option.is_flag is False and default == 0):
        return variable or "–"
    return code(str(default.value if isinstance(default, Enum) else default))


def recipe_keys_page() -> str:
    """Every key of a recipe with its type, default and meaning, table by table."""
    intro = (
        "# Recipe keys\n\nEvery key that a recipe may have, from the schema that reads it. A key "
        "that is not here is refused and the nearest one is named. [Recipes](../recipes.md) "
        "explains how they work together; `hilum show NAME` prints a recipe with all of them.\n"
    )
    places: dict[type[Strict], list[str]] = {}
    _collect(Recipe, "", places)
    return "\n".join([intro, *(_keys(model, where) for model, where in places.items())])


def _collect(model: type[Strict], place: str, places: dict[type[Strict], list[str]]) -> None:
    places.setdefault(model, []).append(place)
    if len(places[model]) > 1:
        return
    for name, field in model.model_fields.items():
        inner, several = _inner(field.annotation)
        if inner is not None:
            path = f"{place.strip('[]')}.{name}".strip(".")
            _collect(inner, f"[[{path}]]" if several else f"[{path}]", places)


def _inner(annotation: Any) -> tuple[type[Strict] | None, bool]:
    """(the model of a table, whether there are several of it); (None, False) for a plain key."""
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(part for part in get_args(annotation) if part is not type(None))
    several = get_origin(annotation) is list
    found = get_args(annotation)[0] if several else annotation
    is_table = isinstance(found, type) and issubclass(found, Strict)
    return (found, several) if is_table else (None, False)


def _keys(model: type[Strict], places: list[str]) -> str:
    named = [place for place in places if place]
    heading = " and ".join(code(place) for place in named) if named else "At the top"
    doc = (inspect.getdoc(model) or "").partition("\n")[0] if named else ""
    rows = []
    for facts in fields_of(model):
        if facts.name != "model_config":
            rows.append(_key(model, facts))
    head = ("key", "type", "default", "what it is")
    return f"## {heading}\n\n{doc}\n\n{table(head, rows)}\n"


def _key(model: type[Strict], facts: FieldFacts) -> tuple[str, str, str, str]:
    field = model.model_fields[facts.name]
    name = field.alias or facts.name
    inner, several = _inner(field.annotation)
    if inner is not None:
        kind = "a list of tables" if several else "a table"
    else:
        kind = code(_alias(facts.annotation))
    bounds = [_bound(item) for item in field.metadata]
    kind += "".join(f", {bound}" for bound in bounds if bound)
    return code(name), kind, _key_default(field, inner is not None), facts.comment


def _alias(annotation: str) -> str:
    """An annotation with the schema's own alias spelled out."""
    return "Literal['published', 'corrected']" if annotation == "Mode" else annotation


def _bound(item: Any) -> str:
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    for name, word in words.items():
        if hasattr(item, name):
            return f"{word} {getattr(item, name):g}"
    return f"at least {item.min_length} of them" if hasattr(item, "min_length") else ""


def _key_default(field: Any, is_table: bool) -> str:
    if field.is_required():
        return "must be given"
    value = field.get_default(call_default_factory=True)
    if is_table:
        return "none" if value is None else "its keys' defaults"
    return "none" if value is None else code(_toml(value))


def _toml(value: Any) -> str:
    if isinstance(value, dict) and value:
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)
