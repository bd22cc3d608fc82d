"""Numbers as a person reads them."""

from datetime import UTC, datetime

UNKNOWN = "–"
UNITS = (("d", 86_400), ("h", 3600), ("min", 60))


def count(value: float) -> str:
    """A whole number, with spaces between thousands that do not break."""
    return f"{round(value):,}".replace(",", "\u202f")


def rate(value: float) -> str:
    """So many each second."""
    return count(value) if value >= 100 else f"{value:.1f}"


def share(value: float) -> str:
    """A share of 1, in percent."""
    return f"{100 * value:.0f} %"


def seconds(value: float | None) -> str:
    """A short time: milliseconds below one second, and minutes above two."""
    if value is None:
        return UNKNOWN
    if value < 0.001:
        return f"{value * 1e6:.0f} µs" if value > 0 else "0 s"
    if value < 1:
        return f"{value * 1000:.1f} ms" if value < 0.01 else f"{value * 1000:.0f} ms"
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s" if value < 120 else age(value)


def age(value: float | None) -> str:
    """A long time, in its two largest units."""
    if value is None:
        return UNKNOWN
    for index, (unit, size) in enumerate(UNITS):
        if value >= size:
            smaller, small = UNITS[index + 1] if index + 1 < len(UNITS) else ("s", 1)
            return f"{int(value // size)} {unit} {int(value % size // small)} {smaller}"
    return f"{value:.0f} s"


def money(value: float | None) -> str:
    """An amount in the user's own currency, with four digits below one."""
    if value is None:
        return UNKNOWN
    return f"{value:.4f}" if 0 < value < 1 else f"{value:,.2f}".replace(",", "\u202f")


def moment(value: float) -> str:
    """A time of day and its date, in UTC."""
    return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S")
