"""Reads TOML files written by people, and reports all problems in them with line numbers."""

from guestlist.tomlfile.file import TomlFile, read_toml
from guestlist.tomlfile.lines import Place, comments
from guestlist.tomlfile.problems import Problems, unknown_name_error

__all__ = ["Place", "Problems", "TomlFile", "comments", "read_toml", "unknown_name_error"]
