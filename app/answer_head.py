"""The head of an answer (RFC 9112 sections 4 and 5), taken in one meaning only."""

import re
from dataclasses import dataclass

from app.errors import UpstreamError
from app.framing import ChunkedDecoder, CloseDecoder, Decoder, LengthDecoder

STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n\x00]*)?")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n]*)")
BLANK = b" \t"
FOLD = re.compile(rb"\r\n[ \t]+")
LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)
MAX_FIELDS = 100
BODILESS = (204, 304)
SWITCHING_PROTOCOLS = 101


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """Status and fields; names as they came, values without the blanks around them."""

    status: int
    fields: list[tuple[str, str]]
    is_http_1_0: bool

    def values(self, name: str) -> list[str]:
        """The values of all fields of that name, which is given in lower case."""
        return [value for found, value in self.fields if found.lower() == name]

    def field(self, name: str) -> str:
        """The value of the field of that name in lower case, several joined; or an empty text."""
        return ", ".join(self.values(name))

    @property
    def is_interim(self) -> bool:
        """Whether another head follows. Nobody asked for another protocol, so 101 is no answer at all."""
        return self.status < 200

    @property
    def will_close(self) -> bool:
        """Whether the connection ends behind the answer, or nobody can be sure where that is."""
        options = self.field("connection").lower()
        may_have_body = self.status in BODILESS and bool(self.field("transfer-encoding"))
        return "close" in options or may_have_body or (self.is_http_1_0 and "keep-alive" not in options)

    def decoder(self) -> Decoder:
        """What takes the body out of its framing. Raises UpstreamError where that is not certain."""
        codings, lengths = self.values("transfer-encoding"), self.values("content-length")
        if self.status in BODILESS:
            return LengthDecoder(0)
        if codings:
            if lengths or self.is_http_1_0 or ",".join(codings).lower() != "chunked":
                raise UpstreamError
            return ChunkedDecoder()
        if not lengths:
            return CloseDecoder()
        if len(lengths) > 1 or not LENGTH.fullmatch(lengths[0]):
            raise UpstreamError
        return LengthDecoder(int(lengths[0]))


def parse_head(data: bytes) -> AnswerHead:
    """The head in `data`, without the empty line behind it. Raises UpstreamError for what is none.

    A folded line is made one, as RFC 9112 section 5.2 has it for proxies.
    """
    first, _, rest = data.partition(b"\r\n")
    lines = FOLD.sub(b" ", rest).split(b"\r\n") if rest else []
    status = STATUS_LINE.fullmatch(first)
    found = [FIELD.fullmatch(line) for line in lines]
    if status is None or None in found or len(found) > MAX_FIELDS:
        raise UpstreamError
    if int(status[2]) == SWITCHING_PROTOCOLS:
        raise UpstreamError
    fields = [(field[1].decode("ascii"), field[2].strip(BLANK).decode("latin-1")) for field in found if field]
    return AnswerHead(int(status[2]), fields, status[1] == b"0")
