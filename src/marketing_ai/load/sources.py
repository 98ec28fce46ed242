"""Find the mapping of a source: the project's own file, else the preset of that name."""

from __future__ import annotations

from pathlib import Path

from marketing_ai.load.mapping import Mapping, MappingError, read_mapping

FOLDER = "sources"
_PRESETS = Path(__file__).parent / "presets"


def find_mapping(root: Path, source: str) -> Mapping | None:
    """The mapping of `source`; None where there is none, so that our own names are expected.

    Args:
        root: project folder.
        source: name of the source.

    Raises:
        MappingError: the name is none, or the mapping says something that makes no sense.
    """
    own = root / FOLDER / f"{source}.yml"
    if not source.replace("_", "").isalnum():
        raise MappingError(f"'{source}' is no name for a source: lower case letters, digits and _")
    if own.is_file():
        mapping = read_mapping(own)
        if mapping.source != source:
            raise MappingError(f"{own}: says source: {mapping.source}; it must be {source}")
        return mapping
    preset = _PRESETS / f"{source}.yml"
    return read_mapping(preset) if preset.is_file() else None
