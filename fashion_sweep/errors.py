"""The errors that a user sees: each is one or two lines that say what came, what was expected and what to do.

The command lines print them without a traceback and exit with ``exit_code``.
"""

from __future__ import annotations


class UserError(Exception):
    """The command, the config or an input is wrong; nothing was trained."""

    exit_code = 2


class ConfigError(UserError):
    """A value, key or choice of the config is wrong."""


class DataError(UserError):
    """A dataset is missing, damaged or not of the expected shape."""


class FolderError(UserError):
    """A folder or file that should hold runs does not."""


class UnreadableError(FolderError):
    """A file that is there cannot be read, so nobody knows what it holds: it must not be treated as absent."""


class LostError(FolderError):
    """The folder that a command trains into is no longer its own: it was renamed, deleted or taken over."""

    exit_code = 1
