"""Which code a step of a recipe uses: a hash that changes with this code, and with no other.

What a function can reach is followed from its source without running it: the names in it, in what these names stand
for, and so on, imports inside functions and names in annotations included. Of a class, those methods are followed whose
names are asked of any object in the code reached so far (what is called on an object is known by its name only), and
those that Python calls. A module of which anything is reached counts as a whole, less comments and docstrings.
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
from typing import Any

from ..errors import ConfigError

_PACKAGE = __name__.partition(".")[0]

Definition = tuple["_Module", str]  # a name in a module; "" for what its import does besides defining names


def code_of(functions: Iterable[Callable | type]) -> str:
    """A hash of the modules that some functions or classes use; see `modules_of`."""
    return hashlib.sha256(repr(sorted(modules_of(functions).items())).encode()).hexdigest()


def modules_of(functions: Iterable[Callable | type]) -> dict[str, str]:
    """The modules that some functions or classes use, their own among them, each with a hash.

    Those count that are part of this package, and of the packages or scripts that the functions come from.

    Raises:
        ConfigError: for a function whose source is not in a file, as of one typed into an interactive session.
    """
    return _reached(tuple((f.__module__, f.__qualname__.partition(".<locals>")[0]) for f in functions))


@functools.cache
def _reached(names: tuple[tuple[str, str], ...]) -> dict[str, str]:
    packages = {_PACKAGE, *(name.partition(".")[0] for name, _ in names)}
    for path in filter(None, (_path_of(name) for name, _ in names if "." not in name)):
        packages |= {file.stem for file in path.parent.glob("*.py")}  # neighbours of a script
    reach = _Reach(packages - (sys.stdlib_module_names - {"__main__"}))
    for name, function in names:
        module = reach.module(name)
        if module is not None:
            reach.add([(module, function)])
        elif name.partition(".")[0] in reach.packages:
            raise ConfigError(f"{name}.{function}: its source is in no file, so no change of it would be noticed")
    return {module.name: module.digest for module, _ in reach.seen}


class _Module:
    """A source file: the statements that define its names, those that it imports, and a hash of it."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        source = path.read_bytes()
        self.imports_by_name = b"import_module" in source
        self.tree = tree = _without_docstrings(ast.parse(source))
        self.digest = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
        stub = path.with_suffix(".pyi")  # names that are imported when they are first used
        self.definitions: dict[str, list[ast.AST]] = {}
        self.imports: dict[str, tuple[str, str]] = {}  # name -> module, and name there; "" for the module
        for statement in [*tree.body, *(ast.parse(stub.read_bytes()).body if stub.exists() else [])]:
            if not isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
                self.imports |= self.imported(statement)
            for defined, node in _defined(statement):
                self.definitions.setdefault(defined, []).append(node)

    def imported(self, node: ast.AST) -> dict[str, tuple[str, str]]:
        """The names that import statements in some code give."""
        found = dict[str, tuple[str, str]]()
        for inner in ast.walk(node):
            if isinstance(inner, ast.Import):
                found |= {a.asname or a.name.partition(".")[0]: (a.name, "") for a in inner.names}
            elif isinstance(inner, ast.ImportFrom):
                parts = self.package.split(".")
                home = parts[: len(parts) - inner.level + 1] if inner.level else []
                module = ".".join([*home, *([inner.module] if inner.module else [])])
                found |= {a.asname or a.name: (module, a.name) for a in inner.names}
        return found


class _Reach:
    """All definitions that some code can reach, in the packages that count."""

    def __init__(self, packages: set[str]) -> None:
        self.packages = packages
        self.seen: set[Definition] = set()
        self._asked: set[str] = set()  # names that are asked of objects
        self._methods: dict[str, list[Definition]] = {}  # not reached yet, by name

    def add(self, todo: list[Definition]) -> None:
        """Reach definitions, and whatever they can reach."""
        while todo:
            definition = todo.pop()
            if definition not in self.seen:
                self.seen.add(definition)
                module, name = definition
                todo.append((module, ""))
                for node in module.definitions.get(name, []):
                    todo += self._used(module, node)
                for name in self._asked & self._methods.keys():
                    todo += self._methods.pop(name)

    def module(self, name: str) -> _Module | None:
        """A module by its name; None where it is of another package, or there is no source of it."""
        path = _path_of(name) if name.partition(".")[0] in self.packages else None
        return None if path is None else _read(name, path, path.stat().st_mtime_ns)

    def _used(self, module: _Module, node: ast.AST) -> Iterator[Definition]:
        """The definitions that some code uses; of a class, its methods wait until their names are asked."""
        if not isinstance(node, ast.ClassDef):
            yield from self._named(module, node)
            return
        if any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases):
            # What is asked of it is done by classes that never name it: any that its module defines or imports.
            imported = module.imported(module.tree).values()
            for home, name in [(module, n) for n in module.definitions] + [
                d for i in imported for d in self._resolved(*i)
            ]:
                if any(isinstance(d, ast.ClassDef) for d in home.definitions.get(name, [])):
                    yield home, name
        for part in (*node.bases, *node.decorator_list, *node.body):
            if not isinstance(part, ast.FunctionDef):
                yield from self._named(module, part)
            elif re.fullmatch("__.*__", part.name):
                yield module, f"{node.name}.{part.name}"
            else:
                self._methods.setdefault(part.name, []).append((module, f"{node.name}.{part.name}"))

    def _named(self, module: _Module, node: ast.AST) -> Iterator[Definition]:
        """The definitions that the words in some code stand for; names that are asked of objects are noted."""
        names, asked, texts = _words(node)
        local = {**module.imports, **module.imported(node)}
        homes: dict[str, list[Definition]] = {}
        for name in names:
            homes[name] = [(module, name)] if name in module.definitions else []
            homes[name] += self._resolved(*local[name]) if name in local else []
            yield from homes[name]
        for name, attribute in asked:
            found = [d for home, owner in homes.get(name, []) for d in self._inside(home, owner, attribute)]
            yield from found
            if not found and (homes.get(name) or name not in local):  # else it is of another package
                self._asked.add(attribute)
        for text in texts if module.imports_by_name else ():
            neighbour, _, name = text.partition(".")
            by_name = self.module(f"{module.package}.{neighbour}") if neighbour.isidentifier() else None
            if by_name is not None:
                yield from ((by_name, n) for n in ([name] if name in by_name.definitions else by_name.definitions))

    def _inside(self, home: _Module, owner: str, attribute: str) -> list[Definition]:
        """An attribute of a module, or of a class."""
        if not owner:
            return list(self._resolved(home.name, attribute))
        method = f"{owner}.{attribute}"
        return [(home, method)] if method in home.definitions else []

    def _resolved(self, target: str, name: str) -> Iterator[Definition]:
        """Where a name of a module is defined, followed through the modules that only pass it on."""
        module, inner = self.module(target), self.module(f"{target}.{name}") if name else None
        if module is not None and name in module.definitions and name:
            yield module, name
        elif module is not None and module.imports.get(name, (target, name)) != (target, name):
            yield module, "."  # a change of where it comes from is one of the code
            yield from self._resolved(*module.imports[name])
        elif inner is not None:
            yield inner, ""
        elif module is not None:
            yield module, ""


@functools.cache
def _read(name: str, path: Path, changed: int) -> _Module:
    return _Module(name, path)


@functools.cache
def _path_of(name: str) -> Path | None:
    if name.partition(".")[0] == _PACKAGE:
        place = Path(__file__).parents[1].joinpath(*name.split(".")[1:])
        return next((file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()), None)
    path: Any = getattr(sys.modules.get(name), "__file__", None)
    if name not in sys.modules:
        with contextlib.suppress(ImportError):  # of a name that is no module
            path = getattr(importlib.util.find_spec(name), "origin", None)
    return Path(path) if path and path.endswith(".py") else None


def _defined(statement: ast.stmt) -> list[tuple[str, ast.AST]]:
    """What a statement at the top of a module defines, CLASS.METHOD too; of imports nothing, "" for other work."""
    if isinstance(statement, ast.FunctionDef):
        return [(statement.name, statement)]
    if isinstance(statement, ast.ClassDef):
        methods = [p for p in statement.body if isinstance(p, ast.FunctionDef)]
        return [(statement.name, statement), *((f"{statement.name}.{p.name}", p) for p in methods)]
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return []
    stored = [n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return [(name, statement) for name in stored or [""]]


@functools.cache
def _words(node: ast.AST) -> tuple[set[str], set[tuple[str, str]], set[str]]:
    """The names in some code; what is asked of which of them, "" for other objects; and texts."""
    names, asked, texts = set[str](), set[tuple[str, str]](), set[str]()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            names.add(inner.id)
        elif isinstance(inner, ast.Attribute):
            asked.add((inner.value.id if isinstance(inner.value, ast.Name) else "", inner.attr))
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            texts.add(inner.value)
            names.update(re.findall(r"[A-Z]\w*", inner.value))  # classes in annotations
    return names, asked, texts


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """The same without texts that stand alone: docstrings, and those below a name that they explain."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return tree
