"""Where each key of a YAML file stands, for errors about its value."""

from __future__ import annotations

import yaml

from mdp.errors import ConfigError


class Origin:
    """Which file a text came from, and the line of each key."""

    def __init__(self, file: str, root: yaml.Node) -> None:
        self.file = file
        self._lines: dict[tuple[str | int, ...], int] = {}
        self._walk(root, ())

    def where(self, path: tuple[str | int, ...]) -> str:
        """Return ``file:line: key: `` of the nearest known ancestor of `path`."""
        known = path
        while known and known not in self._lines:
            known = known[:-1]
        line = self._lines.get(known, 1)
        return f"{self.file}:{line}: {dotted(path)}: " if path else f"{self.file}: "

    def _walk(self, node: yaml.Node, path: tuple[str | int, ...]) -> None:
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key_node, value_node in node.value:
                key = str(key_node.value)
                line = key_node.start_mark.line + 1
                if key in seen:
                    raise ConfigError(f"{self.file}:{line}: {dotted((*path, key))}: given twice; keep one")
                seen.add(key)
                self._lines[(*path, key)] = line
                self._walk(value_node, (*path, key))
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._lines[(*path, index)] = item.start_mark.line + 1
                self._walk(item, (*path, index))


def dotted(path: tuple[str | int, ...]) -> str:
    """Return a path as errors show it: ``venues[0].symbols``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
