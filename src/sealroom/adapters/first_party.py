"""Which of sealroom's own files an enclave of a computation runs: its entry point and what that imports.

What for: whoever audits an enclave reads these files and no others, and every one is hashed at its start.
The list is made from the installed sources, so server and client come to the same one where they have the
same release, and a file that nothing inside imports cannot be measured by mistake.

Must never: import what it reads. Spec page: docs/spec/manifest.md, "First-party files".
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_TOP = "sealroom"
_PACKAGE_SOURCE = "__init__.py"
_HOLD_STATEMENTS = (ast.stmt, ast.ExceptHandler, ast.match_case)
_TYPES_ONLY = "TYPE_CHECKING"
# The entry point, and what programs import.
COMPUTATION_ROOTS = ("sealroom.enclave.start", "sealroom.enclave")
# The published client's form is loaded where the measured arguments say so, and measured there alone.
_LEGACY = "sealroom.enclave.legacy"
LEGACY_ROOTS = (*COMPUTATION_ROOTS, f"{_LEGACY}.legacy_form")
SERVICE_ROOTS = ("sealroom.enclave.service.start",)


@cache
def measured_modules(package: Path, roots: tuple[str, ...] = COMPUTATION_ROOTS) -> tuple[str, ...]:
    """Return the paths below `package`, sorted, of the modules that run inside.

    They are `roots` and all of sealroom that these import, at the top or when a function is called, with the
    packages they lie in. What the functions of a package itself import is among them where it is a root. What
    is imported for type checkers alone is not, nor is the published client's form unless it is a root. Raises
    `RuntimeError` for an import of a module that is not installed.
    """
    found: dict[str, Path] = {}
    waiting = list(roots)
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        source = _source(package, module)
        if source is None:
            raise RuntimeError(f"sealroom is not wholly installed: the module {module} is missing")
        found[module] = source
        if module != _TOP:
            waiting.append(module.rpartition(".")[0])
        whole = module in roots or source.name != _PACKAGE_SOURCE
        tree = ast.parse(source.read_bytes(), str(source))
        for name, is_module in _imports(tree, whole=whole):
            left_out = _is_legacy(name) and not any(map(_is_legacy, roots))
            if not left_out and (is_module or _source(package, name) is not None):
                waiting.append(name)
    return tuple(sorted(source.relative_to(package).as_posix() for source in found.values()))


def _source(package: Path, module: str) -> Path | None:
    place = package.joinpath(*module.split(".")[1:])
    for source in (place / _PACKAGE_SOURCE, place.with_suffix(".py")):
        if source.is_file():
            return source
    return None


def _imports(node: ast.AST, *, whole: bool) -> Iterator[tuple[str, bool]]:
    """Yield what of sealroom is imported below a node, and whether the name must be a module's.

    Unless `whole`, what functions import when they are called is left out.
    """
    if not whole and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == _TYPES_ONLY:
        for statement in node.orelse:
            yield from _imports(statement, whole=whole)
        return
    if isinstance(node, ast.Import):
        yield from ((alias.name, True) for alias in node.names if _is_own(alias.name))
    elif isinstance(node, ast.ImportFrom):
        if node.level:
            raise RuntimeError(f"line {node.lineno}: measured modules name what they import in full")
        if node.module is not None and _is_own(node.module):
            yield node.module, True
            # Each may be a module of that package, or something that it defines.
            yield from ((f"{node.module}.{alias.name}", False) for alias in node.names)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _HOLD_STATEMENTS):
            yield from _imports(child, whole=whole)


def _is_legacy(module: str) -> bool:
    return module == _LEGACY or module.startswith(f"{_LEGACY}.")


def _is_own(module: str) -> bool:
    return module.partition(".")[0] == _TOP
