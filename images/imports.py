"""Which third-party modules a part of the package can import, read from its source.

Nothing is executed: imports inside functions count too, so a module that only one verb loads is
found before that verb fails in an image.
"""

import ast
import functools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

PLATFORM = Path(__file__).parents[1] / "platform"


def third_party(modules: Iterable[str], platform: Path = PLATFORM) -> dict[str, str]:
    """Follow our own imports from some modules and collect the foreign ones.

    Args:
        modules: Names to start from, as `tastemaker.cli`.
        platform: Source root that holds the package.

    Returns:
        Foreign name as imported, `opentelemetry.sdk.trace.TracerProvider` (its last part may be no
        module) -> one of our modules that imports it.

    Raises:
        FileNotFoundError: A module to start from does not exist.
    """
    waiting, seen, found = list(modules), set[str](), dict[str, str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        source = _source(name, platform)
        if source is None:
            raise FileNotFoundError(f"no module {name} under {platform}")
        for imported in _imports(source):
            if imported.split(".")[0] != "tastemaker":
                found.setdefault(imported, name)
            elif _source(imported, platform):
                waiting.append(imported)
            elif _source(parent := imported.rpartition(".")[0], platform):
                waiting.append(parent)  # `from tastemaker.core.home import Home`
    known = sys.stdlib_module_names
    return {name: by for name, by in sorted(found.items()) if name.split(".")[0] not in known}


def _source(module: str, platform: Path) -> Path | None:
    path = platform / module.replace(".", "/")
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@functools.cache
def _imports(source: Path) -> tuple[str, ...]:
    return tuple(_named(ast.parse(source.read_text())))


def _named(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
