"""An extension of griffe for the reference: the comment beside a dataclass's field becomes the field's description."""

import re

import griffe

_FIELD = re.compile(r"^\s*\w+\s*:[^#\"']*?(?:\"[^\"]*\"[^#\"']*|'[^']*'[^#\"']*)*#\s*(.+)$")


class FieldComments(griffe.Extension):
    """Comments of fields that have no docstring; lines of comment alone below a field go on with it."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: object) -> None:
        """Give a field its comment."""
        if attr.docstring or not attr.parent or not attr.parent.is_class or attr.lineno is None:
            return
        lines = attr.lines_collection[attr.filepath]
        found = _FIELD.match(lines[(attr.endlineno or attr.lineno) - 1])
        if not found:
            return
        words = [found[1]]
        for line in lines[attr.endlineno or attr.lineno :]:
            if not line.strip().startswith("#"):
                break
            words.append(line.strip().lstrip("# "))
        attr.docstring = griffe.Docstring(" ".join(words), lineno=attr.lineno, parent=attr)
