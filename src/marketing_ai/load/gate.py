"""The gate in front of the readers: what is no readable file is refused here, as a whole.

A delivery is hashed as it came, unpacked and turned into UTF-8 where that is needed, and looked
through once in blocks, so that a file of any size costs the memory of two blocks. What the pass
counts (lines, blank lines) is what the readers are held to afterwards.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import re
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = 8 * 2**20  # bytes that are looked at at once
MAX_LINE = 16 * 2**20  # bytes of one line
MAX_COLUMNS = 2_000
MAX_GROWTH = 200  # how many times its size a packed file may become …
SMALL = 256 * 2**20  # … beyond this many bytes

_BLANK_BEHIND = re.compile(rb"\n(?= *\r?\n)")
# Candidates for a delimiter that no text has: with it, DuckDB hands over whole lines.
_CONTROLS = (b"\x01", b"\x02", b"\x1d", b"\x1e", b"\x1f")


class FileRefusedError(ValueError):
    """The file has a structural fault; nothing of it was taken over."""


def refusal(path: Path, what: str, line: int | None = None) -> FileRefusedError:
    """The error that names file, line and what to do."""
    place = f"{path}, line {line}" if line is not None else f"{path}"
    return FileRefusedError(f"{place}: {what}")


@dataclass(frozen=True)
class Stamp:
    """What would differ if somebody wrote to the file while it is read."""

    size: int
    modified: int
    inode: int


def stamp(path: Path) -> Stamp:
    """Check that the path is a file of its own, and note its state.

    Raises:
        FileRefusedError: there is no such file, it is no regular file, or it is empty.
    """
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        raise refusal(path, "there is no such file") from None
    except OSError as error:
        raise refusal(path, f"cannot be read ({error.strerror})") from None
    except ValueError:
        raise refusal(path, "this is no file name") from None
    if stat.S_ISLNK(found.st_mode):
        raise refusal(path, "is a symbolic link; name the file that it points to")
    if not stat.S_ISREG(found.st_mode):
        raise refusal(path, "is a folder or a device, not a file")
    if found.st_size == 0:
        raise refusal(path, "the file is empty")
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ino)


def sha256(path: Path) -> str:
    """Hash of the bytes as delivered."""
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise refusal(path, f"cannot be read ({error.strerror})") from None


def first_bytes(path: Path, number: int = 8) -> bytes:
    """The beginning of a file, by which its format is known."""
    with path.open("rb") as handle:
        return handle.read(number)


def is_utf8(encoding: str) -> bool:
    """Whether no other file has to be made before the text can be read."""
    return encoding in {"utf-8", "utf-8-sig", "ascii"}


def encoding_of(path: Path, name: str) -> str:
    """Python's name of a text encoding.

    Raises:
        FileRefusedError: there is none of that name.
    """
    try:
        "".encode(name)
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        raise refusal(
            path,
            f"read.encoding '{name}' is unknown; common ones are utf-8, cp1252 "
            "(Windows), latin-1 and utf-16",
        ) from None


def unpack(path: Path, folder: Path) -> Path:
    """The file itself, or its content where it is packed by gzip.

    Args:
        path: the delivery.
        folder: where a temporary copy may be written.

    Raises:
        FileRefusedError: the gzip is cut or damaged, or grows beyond reason.
    """
    if first_bytes(path, 2) != b"\x1f\x8b":
        return path
    limit = max(SMALL, path.stat().st_size * MAX_GROWTH)
    plain = folder / "unpacked"
    written = 0
    try:
        with gzip.open(path) as packed, plain.open("wb") as target:
            while block := packed.read(BLOCK):
                written += len(block)
                if written > limit:
                    raise refusal(
                        path,
                        f"more than {limit >> 20:,} MB come out of it, over {MAX_GROWTH} times its "
                        "size; unpack it yourself if that is right",
                    )
                target.write(block)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise refusal(
            path, "the gzip is damaged or its end is missing; get the file again"
        ) from None
    if not written:
        raise refusal(path, "the file is empty")
    return plain


def as_utf8(path: Path, name: Path, encoding: str, folder: Path) -> Path:
    """The text as a UTF-8 file.

    Args:
        path: the plain file.
        name: what errors call it.
        encoding: Python's name of the encoding that the source declares.
        folder: where a temporary copy may be written.

    Raises:
        FileRefusedError: the bytes are not of that encoding.
    """
    if is_utf8(encoding):
        return path
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    line = 1
    target = folder / "utf8"
    with path.open("rb") as source, target.open("wb") as handle:
        while True:
            block = source.read(BLOCK)
            try:
                text = decoder.decode(block, final=not block)
                handle.write(text.encode())
            except UnicodeError as error:
                reason = getattr(error, "reason", str(error))
                good = block[: getattr(error, "start", 0)].decode(encoding, "replace")
                line += good.count("\n")
                raise refusal(
                    name, f"not {encoding}, as read.encoding says ({reason})", line
                ) from None
            line += text.count("\n")
            if not block:
                return target


@dataclass
class Text:
    """What one pass over a text file found.

    Attributes:
        path: the UTF-8 file, a temporary copy where the delivery is packed or encoded otherwise.
        lines: physical lines, ended by a line feed or by the end of the file.
        blank: those that hold blanks only.
        line_feeds, returns, pairs: number of LF, CR and CR LF.
        quoted: the quote character occurs.
        final_newline: the last line is ended.
        unused: a control character that does not occur, None if all candidates do.
    """

    path: Path
    lines: int = 0
    blank: int = 0
    line_feeds: int = 0
    returns: int = 0
    pairs: int = 0
    quoted: bool = False
    final_newline: bool = True
    unused: bytes | None = _CONTROLS[0]
    _controls: list[bytes] = field(default_factory=lambda: list(_CONTROLS), repr=False)

    @property
    def even(self) -> bool:
        """All lines end in one way, and no carriage return stands elsewhere."""
        return self.returns == 0 or self.returns == self.pairs == self.line_feeds

    def add(self, block: bytes, quote: bytes) -> None:
        """Count a block of whole lines."""
        self.line_feeds += block.count(b"\n")
        self.blank += len(_BLANK_BEHIND.findall(b"\n" + block))
        if b"\r" in block:
            self.returns += block.count(b"\r")
            self.pairs += block.count(b"\r\n")
        self.quoted = self.quoted or (bool(quote) and quote in block)
        self._controls = [sign for sign in self._controls if sign not in block]
        self.unused = self._controls[0] if self._controls else None


def look_through(path: Path, name: Path, quote: str) -> Text:
    """Check a text file from end to end and count its lines.

    Args:
        path: UTF-8 file.
        name: what errors call it.
        quote: the quote character, empty for none.

    Raises:
        FileRefusedError: a NUL character, bytes that are no UTF-8, or a line beyond all measure.
    """
    if first_bytes(path, 2) in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        raise refusal(name, "this is UTF-16: say `encoding: utf-16` under read: in the mapping")
    text = Text(path)
    for block in _whole_lines(path, name):
        # NUL and decoding faults are named by line, so count before the block is added.
        if (position := block.find(b"\0")) >= 0:
            line = text.line_feeds + block.count(b"\n", 0, position) + 1
            raise refusal(
                name,
                "holds a NUL character; if the file is UTF-16, say so in read.encoding",
                line,
            )
        if not block.isascii():
            try:
                block.decode()
            except UnicodeDecodeError as error:
                line = text.line_feeds + block.count(b"\n", 0, error.start) + 1
                raise refusal(
                    name,
                    f"not UTF-8 ({error.reason}); say the encoding under read: in the mapping "
                    "(`encoding: cp1252` is what Windows writes), or save it as 'CSV UTF-8'",
                    line,
                ) from None
        text.final_newline = block.endswith(b"\n")
        text.add(block, quote.encode())
        if not text.final_newline:
            text.blank += not block.strip(b" \r")
    text.lines = text.line_feeds + (not text.final_newline)
    return text


def _whole_lines(path: Path, name: Path) -> Iterator[bytes]:
    rest = b""
    lines = 0
    with path.open("rb") as handle:
        while block := handle.read(BLOCK):
            block = rest + block
            end = block.rfind(b"\n") + 1
            rest = block[end:]
            if max(len(rest), block.find(b"\n")) > MAX_LINE:
                raise refusal(
                    name,
                    f"the line is longer than {MAX_LINE >> 20} MB; is a quote left open, or is "
                    "this no text file?",
                    lines + (block.count(b"\n") if len(rest) > MAX_LINE else 0) + 1,
                )
            if end:
                lines += block.count(b"\n")
                yield block[:end]
    if rest:
        yield rest
