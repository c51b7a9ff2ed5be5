"""Files that people write in TOML: reading one, and telling all that is wrong in it, with lines."""

from guestlist.tomlfile.file import TomlFile, read_toml
from guestlist.tomlfile.lines import Place, comments
from guestlist.tomlfile.problems import Problems, unknown

__all__ = ["Place", "Problems", "TomlFile", "comments", "read_toml", "unknown"]
