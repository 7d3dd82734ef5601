"""Scripts of faults: a YAML file whose entries are what `SimServer.arm` takes, with triggers in venue events.

docs/sim.md describes the file; config/faults-example.yaml is one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from mdp.configuring.origin import Origin
from mdp.errors import ConfigError
from mdp.sim.faults import CONNECTION, FAULT_KINDS, MARKET, FaultError, FaultTable


def load_script(
    file: str | Path, venues: tuple[str, ...], symbols: Mapping[str, Collection[str]] | None = None
) -> list[dict[str, Any]]:
    """Read and check a script.

    Parameters
    ----------
    file : str or Path
        The YAML file.
    venues : tuple of str
        Families that the sim will serve.
    symbols : mapping, optional
        Symbols of each family.

    Returns
    -------
    list of dict
        Descriptions for `SimServer.arm`, in the order of the file.

    Raises
    ------
    FaultError
        With file, line, key, what was found and what is allowed.
    """
    name = str(file)
    try:
        text = Path(file).read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except OSError as error:
        raise FaultError(f"{name}: cannot be read: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FaultError(f"{name}:{line}: not YAML: {error.problem}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise FaultError(f"{name}: not YAML: {error}") from error
    if root is None or not isinstance(data, dict) or not isinstance(data.get("faults"), list):
        found = f"keys {', '.join(map(str, data))}" if isinstance(data, dict) else type(data).__name__
        raise FaultError(f"{name}: wanted a mapping whose key faults is a list, found {found}")
    try:
        origin = Origin(name, root)
    except ConfigError as error:
        raise FaultError(str(error)) from error
    for key in data:
        if key != "faults":
            raise FaultError(f"{origin.where((str(key),))}unknown key; allowed: faults")
    table = FaultTable(venues)
    table.symbols = symbols or {}
    for index, entry in enumerate(data["faults"]):
        if not isinstance(entry, dict):
            raise FaultError(f"{origin.where(('faults', index))}must be a mapping, not {entry!r}")
        try:
            fault = table.add(entry)
            if fault.trigger is None and FAULT_KINDS[fault.kind].scope in (CONNECTION, MARKET):
                raise FaultError(
                    f"{fault.kind}: strikes at once, and at the start there is nobody yet; give it an at",
                    "kind",
                )
        except FaultError as error:
            path = ("faults", index, error.key) if error.key else ("faults", index)
            raise FaultError(f"{origin.where(path)}{error}") from error
    return list(data["faults"])
