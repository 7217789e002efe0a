"""Which code a step of a recipe uses: a hash that changes with this code, and with no other.

What a function can reach is followed from its source without running it: the names in it, in what these names stand
for, and so on, imports inside functions and names in annotations included. Of a class, those methods are followed whose
names are asked of the class itself, or of any object in the code reached so far (what is called on an object is known
by its name only), and those that Python calls. A module of which anything is reached counts as a whole, less comments
and docstrings.
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
from typing import Any, NamedTuple

from ..errors import ConfigError

_PACKAGE = __name__.partition(".")[0]

Definition = tuple["_Module", str]  # a name in a module; "" for what its import does besides defining names


def code_of(functions: Iterable[Callable | type]) -> str:
    """A hash of the modules that some functions or classes use, their own among them.

    Those count that are part of this package, and of the packages or scripts that the functions come from.

    Raises:
        ConfigError: for a function whose source is not in a file, as of one typed into an interactive session.
    """
    digest = hashlib.sha256()
    for module in sorted(_modules_of(_names_of(functions)), key=lambda module: module.name):
        digest.update(f"{module.name}\0{module.digest}\0".encode())
    return digest.hexdigest()


def modules_of(functions: Iterable[Callable | type]) -> set[str]:
    """The names of these modules."""
    return {module.name for module in _modules_of(_names_of(functions))}


def _names_of(functions: Iterable[Callable | type]) -> tuple[tuple[str, str], ...]:
    return tuple(dict.fromkeys((f.__module__, f.__qualname__.partition(".")[0]) for f in functions))


@functools.cache
def _modules_of(names: tuple[tuple[str, str], ...]) -> "set[_Module]":
    packages = {_PACKAGE, *(name.partition(".")[0] for name, _ in names)}
    for path in filter(None, (_path_of(name) for name, _ in names if "." not in name)):
        packages |= {file.stem for file in path.parent.glob("*.py")}  # neighbours of a script
    reached = _Reached(packages)
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
    return reached.modules


class _Found(NamedTuple):
    """What stands in some code: names, attributes, name and attribute of `name.attribute`, texts, and imports."""

    names: set[str]
    attributes: set[str]
    dotted: set[tuple[str, str]]
    texts: set[str]
    imports: dict[str, tuple[str, str]]


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
        self._found: dict[ast.AST, _Found] = {}

    def defined(self, name: str) -> list[ast.AST]:
        """The statements that define a name, or the method CLASS.METHOD."""
        owner, _, method = name.partition(".")
        found = self.definitions.get(owner, [])
        return [p for n in found for p in n.body if getattr(p, "name", "") == method] if method else found  # type: ignore[attr-defined]

    def found_in(self, node: ast.AST) -> _Found:
        """What stands in some code of the module, names in annotations in quotes included."""
        if node not in self._found:
            names: set[str] = set()
            attributes: set[str] = set()
            dotted: set[tuple[str, str]] = set()
            texts: set[str] = set()
            for inner in ast.walk(node):
                if isinstance(inner, ast.Name):
                    names.add(inner.id)
                elif isinstance(inner, ast.Attribute):
                    if isinstance(inner.value, ast.Name):
                        dotted.add((inner.value.id, inner.attr))
                    else:
                        attributes.add(inner.attr)
                elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                    texts.add(inner.value)
                for text in _annotations(inner):
                    names.update(re.findall(r"[A-Za-z_]\w*", text))
            self._found[node] = _Found(names, attributes, dotted, texts, self.imported(node))
        return self._found[node]

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
    """All definitions that some code can reach, and the modules that they are in.

    Args:
        packages: those that count.
    """

    def __init__(self, packages: set[str]) -> None:
        self.modules: set[_Module] = set()
        self._packages = packages
        self._seen: set[Definition] = set()
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
            for node in module.defined(name):
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
                pending += [(module, part) for part in (*node.bases, *node.decorator_list)]
            else:
                yield from self._named(module, node)
            for name in self._names & self._methods.keys():
                pending += self._methods.pop(name)

    def _named(self, module: _Module, node: ast.AST) -> Iterator[Definition]:
        """The definitions that the names in some code stand for; names of attributes are noted."""
        found = module.found_in(node)
        local = {**module.imports, **found.imports}
        self._names |= found.attributes
        for name in found.names:
            yield from self._home(module, name, local)
        for name, attribute in found.dotted:
            homes = list(self._home(module, name, local))
            inside = list(self._inside(*local[name], attribute)) if name in local else []
            methods = [m for home in homes for m in _methods(home, attribute)]
            yield from (*inside, *methods)
            if not inside and not methods and (homes or name not in local):  # else it is of another package
                self._names.add(attribute)
        if "getattr" in found.names:
            self._names |= found.texts
        if module.imports_by_name:
            for text in found.texts:
                yield from self._by_string(module, text)

    def _home(self, module: _Module, name: str, local: dict[str, tuple[str, str]]) -> Iterator[Definition]:
        """What a name in a module stands for; nothing where it is local to a function, or of another package."""
        if name in module.definitions:
            yield module, name
        elif name in local:
            yield from self._resolved(*local[name])

    def _by_string(self, module: _Module, text: str) -> Iterator[Definition]:
        """What code that imports modules by strings may mean: a neighbour, or MODULE.NAME of one."""
        name, _, attribute = text.partition(".")
        found = _module(f"{module.package}.{name}") if name.isidentifier() else None
        if found is not None:
            yield from ((found, n) for n in ([attribute] if attribute in found.definitions else found.definitions))

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


def _methods(home: Definition, name: str) -> list[Definition]:
    """The method of a class of that name, as a definition of its own; nothing for what is no class."""
    module, owner = home
    for node in module.definitions.get(owner, []):
        found = [part for part in getattr(node, "body", []) if getattr(part, "name", "") == name]
        if isinstance(node, ast.ClassDef) and found:
            return [(module, f"{owner}.{name}")]
    return []


def _module(name: str) -> _Module | None:
    """A module by its name; None where there is no source of one."""
    path = _path_of(name)
    return None if path is None else _read(name, path, path.stat().st_mtime_ns)


@functools.cache
def _read(name: str, path: Path, changed: int) -> _Module:
    return _Module(name, path)


@functools.cache
def _path_of(name: str) -> Path | None:
    if name.partition(".")[0] == _PACKAGE:
        place = Path(__file__).parents[1].joinpath(*name.split(".")[1:])
        return next((file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()), None)
    loaded: ModuleType | None = sys.modules.get(name)
    path: Any = getattr(loaded, "__file__", None)
    if loaded is None:
        with contextlib.suppress(ImportError):  # of a name that is no module
            path = getattr(importlib.util.find_spec(name), "origin", None)
    return Path(path) if path and path.endswith(".py") else None


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
