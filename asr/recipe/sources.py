"""Which code a step of a recipe uses: a hash that changes with this code, and with no other.

What a function can reach is followed from its source without running it: the names in it, in what these names stand
for, and so on, imports inside functions and names in annotations included. Of a class, those methods are followed whose
names stand anywhere in the code reached so far (what is called on an object is known by its name only), and those that
Python calls itself. A module of which anything is reached counts as a whole, less comments and docstrings.
"""

import ast
import contextlib
import functools
import hashlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import ConfigError

_PACKAGE = __name__.partition(".")[0]

Definition = tuple["_Module", str]  # a name in a module; "" for what its import does besides defining names


def code_of(functions: Iterable[Callable | type]) -> str:
    """A hash of the modules that some functions or classes use, their own among them.

    Those count that are part of this package, and of the packages or scripts that the functions come from.
    Raises ConfigError for a function whose source is not in a file, as of one typed into an interactive session.
    """
    return _code_of(tuple(dict.fromkeys((f.__module__, f.__qualname__.partition(".")[0]) for f in functions)))


@functools.cache
def _code_of(names: tuple[tuple[str, str], ...]) -> str:
    reached = _Reached({_PACKAGE, *(name.partition(".")[0] for name, _ in names)})
    for name, function in names:
        if name.partition(".")[0] in sys.stdlib_module_names and name != "__main__":
            continue
        module = _module(name)
        if module is None:
            raise ConfigError(
                f"{name}.{function}: its source is in no file, so that changes of it would not be noticed"
            )
        reached.add((module, ""))
        reached.add((module, function))
    digest = hashlib.sha256()
    for module in sorted(reached.modules, key=lambda module: module.name):
        digest.update(f"{module.name}\0{module.digest}\0".encode())
    return digest.hexdigest()


class _Module:
    """A source file: the names that are defined in it, and those that it imports."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        self.package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        source = path.read_bytes()
        self.imports_by_name = b"import_module" in source
        tree = _without_docstrings(ast.parse(source))
        self.digest = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
        stub = path.with_suffix(".pyi")  # names that are imported when they are first used
        statements = [*tree.body, *(ast.parse(stub.read_bytes()).body if stub.exists() else [])]
        self.definitions: dict[str, list[ast.AST]] = {"": []}
        for statement in statements:
            if not isinstance(statement, (ast.Import, ast.ImportFrom)):
                for defined in _defined(statement) or [""]:
                    self.definitions.setdefault(defined, []).append(statement)
        top = ast.Module([s for s in statements if not isinstance(s, (ast.FunctionDef, ast.ClassDef))], [])
        self.imports = self.imported(top)

    def imported(self, node: ast.AST) -> dict[str, tuple[str, str]]:
        """The names that import statements in some code give: name -> module, and name there; "" for the module."""
        found = {}
        for inner in ast.walk(node):
            if isinstance(inner, ast.Import):
                for alias in inner.names:
                    found[alias.asname or alias.name.partition(".")[0]] = (alias.name, "")
            elif isinstance(inner, ast.ImportFrom):
                parts = self.package.split(".")
                home = parts[: len(parts) - inner.level + 1] if inner.level else []
                module = ".".join([*home, *([inner.module] if inner.module else [])])
                found |= {alias.asname or alias.name: (module, alias.name) for alias in inner.names}
        return found


class _Reached:
    """All definitions that some code can reach, and the modules that they are in. packages: those that count."""

    def __init__(self, packages: set[str]) -> None:
        self.modules: set[_Module] = set()
        self._packages = packages
        self._seen: set[tuple[_Module, str]] = set()
        self._names: set[str] = set()  # of attributes
        self._methods: dict[str, list[tuple[_Module, ast.AST]]] = {}  # not reached yet, by name

    def add(self, definition: Definition) -> None:
        """Reach a definition, and whatever it can reach."""
        todo = [definition]
        while todo:
            module, name = todo.pop()
            if (module, name) in self._seen:
                continue
            self._seen.add((module, name))
            if module not in self.modules:
                self.modules.add(module)
                todo.append((module, ""))
            nodes = module.definitions.get(name, [])
            for node in nodes:
                todo += self._of(module, node)

    def _of(self, module: _Module, node: ast.AST) -> Iterator[Definition]:
        """The definitions that some code names, with the methods that it makes reachable."""
        pending = [(module, node)]
        while pending:
            module, node = pending.pop()
            if isinstance(node, ast.ClassDef):
                for part in node.body:
                    if isinstance(part, ast.FunctionDef) and not re.fullmatch("__.*__", part.name):
                        self._methods.setdefault(part.name, []).append((module, part))
                    else:
                        pending.append((module, part))
                node = ast.Module([*map(ast.Expr, (*node.bases, *node.decorator_list))], [])
            yield from self._named(module, node)
            for name in self._names & self._methods.keys():
                pending += self._methods.pop(name)

    def _named(self, module: _Module, node: ast.AST) -> Iterator[Definition]:
        """The definitions that the names in some code stand for; names of attributes are noted."""
        local = {**module.imports, **module.imported(node)}
        dynamic = False
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                dynamic |= inner.id == "getattr"
                yield from self._home(module, inner.id, local)
            elif isinstance(inner, ast.Attribute):
                self._names.add(inner.attr)
                if isinstance(inner.value, ast.Name) and inner.value.id in local:
                    yield from self._inside(*local[inner.value.id], inner.attr)
            for text in _annotations(inner):
                for word in re.findall(r"[A-Za-z_]\w*", text):
                    yield from self._home(module, word, local)
        if dynamic or module.imports_by_name:
            yield from self._by_string(module, node)

    def _by_string(self, module: _Module, node: ast.AST) -> Iterator[Definition]:
        """What code that gets attributes or modules by strings may mean with those in it."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                name, _, attribute = inner.value.partition(".")
                self._names.add(name)
                found = _module(f"{module.package}.{name}") if name.isidentifier() else None
                if found is not None:
                    names = [attribute] if attribute in found.definitions else found.definitions
                    yield from ((found, n) for n in names)

    def _home(self, module: _Module, name: str, local: dict[str, tuple[str, str]]) -> Iterator[Definition]:
        if name in module.definitions and name:
            yield module, name
        elif name in local:
            yield from self._resolved(*local[name])

    def _inside(self, target: str, name: str, attribute: str) -> Iterator[Definition]:
        """An attribute of what is perhaps a module."""
        whole = f"{target}.{name}" if name else target
        if whole.partition(".")[0] in self._packages and _module(whole) is not None:
            yield from self._resolved(whole, attribute)

    def _resolved(self, target: str, name: str) -> Iterator[Definition]:
        """Where a name of a module is defined, followed through the modules that only pass it on."""
        if target.partition(".")[0] not in self._packages:
            return
        inner = _module(f"{target}.{name}") if name else None
        module = _module(target)
        if module is not None and name in module.definitions and name:
            yield module, name
        elif module is not None and name in module.imports and module.imports[name] != (target, name):
            yield module, ""
            yield from self._resolved(*module.imports[name])
        elif inner is not None:
            yield inner, ""
        elif module is not None:
            yield module, ""


@functools.cache
def _module(name: str) -> _Module | None:
    """A module by its name; None where there is no source of one."""
    if name.partition(".")[0] == _PACKAGE:
        place = Path(__file__).parents[1].joinpath(*name.split(".")[1:])
        found = [file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()]
        return _Module(name, found[0]) if found else None
    loaded: ModuleType | None = sys.modules.get(name)
    path: Any = getattr(loaded, "__file__", None)
    if loaded is None:
        with contextlib.suppress(ImportError):  # of a name that is no module
            path = getattr(importlib.util.find_spec(name), "origin", None)
    return _Module(name, Path(path)) if path and path.endswith(".py") else None


def _defined(statement: ast.stmt) -> list[str]:
    """The names that a statement at the top of a module defines; of imports none."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return [statement.name]
    return [n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


def _annotations(node: ast.AST) -> list[str]:
    """The texts of annotations that stand in quotes."""
    found = [getattr(node, "annotation", None), getattr(node, "returns", None)]
    texts = (inner for f in found if f is not None for inner in ast.walk(f) if isinstance(inner, ast.Constant))
    return [inner.value for inner in texts if isinstance(inner.value, str)]


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """The same without texts that stand alone: docstrings, and those below a name that they explain."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return tree
