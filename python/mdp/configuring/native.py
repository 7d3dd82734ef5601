"""From the checked configuration to the structs of C++: each key sets the attribute of its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr

from mdp import _core

_Native = TypeVar("_Native")


@dataclass(frozen=True)
class WrittenAs:
    """In the annotation of a key: its value is written otherwise in C++."""

    to_native: Callable[[Any], Any]
    to_yaml: Callable[[Any], Any]


def _word_of(enum: type[Enum]) -> WrittenAs:
    return WrittenAs(lambda word: enum[word.upper()], lambda member: member.name.lower())


def _words_of(enum: type[Enum]) -> WrittenAs:
    one = _word_of(enum)
    return WrittenAs(
        lambda words: [one.to_native(word) for word in words],
        lambda members: [one.to_yaml(member) for member in members],
    )


TOPOLOGY = _word_of(_core.Topology)
IDLE_MODE = _word_of(_core.IdleMode)
CHANNELS = _words_of(_core.Channel)
SECRET = WrittenAs(SecretStr.get_secret_value, SecretStr)
OCTAL = WrittenAs(lambda digits: int(digits, 8), lambda bits: f"0{bits:o}")

NOT_NATIVE = "not native"
"""In the annotation of a key: C++ has no such setting, control alone reads it."""


def fill(native: _Native, section: BaseModel) -> _Native:
    """Set the attribute of each key, those of sections within it included; return `native`.

    Raises
    ------
    AttributeError
        C++ has none for a key, and the key does not say so.
    """
    for name, key in type(section).model_fields.items():
        value = getattr(section, name)
        if NOT_NATIVE in key.metadata:
            continue
        if isinstance(value, BaseModel):
            fill(getattr(native, name), value)
            continue
        for written in key.metadata:
            if isinstance(written, WrittenAs):
                value = written.to_native(value)
        setattr(native, name, value)
    return native
