"""The one exception hierarchy of mdp, raised by Python code and by the C++ core alike."""

from __future__ import annotations


class MdpError(Exception):
    """Base of every error of mdp: what was wanted, what was found, where, what to do."""


class ConfigError(MdpError):
    """A configuration that cannot be used; names file, line and key where there are any."""


class ConnectError(MdpError):
    """A venue that could not be reached, or that gave an answer of no use."""


class SegmentError(MdpError):
    """A shared-memory segment that cannot be created, attached to or read."""


class StaleBookError(MdpError):
    """A book that is not LIVE, asked for by a caller who wants only LIVE ones."""


class LappedError(MdpError):
    """Events were lost because the reader was too slow; raised by strict readers only."""


class MissingExtraError(MdpError, ImportError):
    """A part of mdp whose packages are not installed; names the extra that brings them."""
