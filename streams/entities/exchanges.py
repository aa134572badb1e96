"""Names of exchanges, as news and gazetteers write them, and how tickers show them."""

from typing import NamedTuple


class Exchange(NamedTuple):
    """An exchange.

    Attributes:
        code: What gazetteers call it.
        suffix: What a ticker of it ends in; empty for the American ones.
        written: Other names that stand before a colon and a symbol, in capitals.
    """

    code: str
    suffix: str = ""
    written: tuple[str, ...] = ()


EXCHANGES = (
    Exchange("NASDAQ", "", ("NASDAQGS", "NASDAQGM", "NASDAQCM", "NASDAQ-GS", "NASDAQ-GM")),
    Exchange("NYSE", "", ("NEW YORK STOCK EXCHANGE",)),
    Exchange("NYSEAMERICAN", "", ("NYSE AMERICAN", "NYSE-AMERICAN", "NYSEMKT", "AMEX")),
    Exchange("OTC", "", ("OTCQX", "OTCQB", "OTCMKTS", "OTC PINK")),
    Exchange("NSE", ".NS"),
    Exchange("BSE", ".BO", ("BOM",)),
    Exchange("LSE", ".L", ("LON", "LONDON", "AIM")),
    Exchange("XETRA", ".DE", ("ETR", "FRA", "FWB", "FRANKFURT")),
    Exchange("EURONEXT PARIS", ".PA", ("EPA", "PARIS")),
    Exchange("EURONEXT AMSTERDAM", ".AS", ("AMS", "AMSTERDAM")),
    Exchange("EURONEXT BRUSSELS", ".BR", ("EBR", "BRUSSELS")),
    Exchange("BIT", ".MI", ("MIL", "BORSA ITALIANA")),
    Exchange("BME", ".MC", ("MADRID",)),
    Exchange("SIX", ".SW", ("SWX", "VTX")),
    Exchange("OMX STOCKHOLM", ".ST", ("STO", "NASDAQ STOCKHOLM")),
    Exchange("OMX COPENHAGEN", ".CO", ("CPH", "NASDAQ COPENHAGEN")),
    Exchange("OMX HELSINKI", ".HE", ("HEL", "NASDAQ HELSINKI")),
    Exchange("OSE", ".OL", ("OSLO", "OSL")),
    Exchange("TSE", ".T", ("TYO", "TOKYO", "JPX")),
    Exchange("HKEX", ".HK", ("HKG", "SEHK", "HKSE")),
    Exchange("KRX", ".KS", ("KOSPI",)),
    Exchange("KOSDAQ", ".KQ"),
    Exchange("SSE", ".SS", ("SHA", "SHANGHAI")),
    Exchange("SZSE", ".SZ", ("SHENZHEN",)),
    Exchange("SGX", ".SI"),
    Exchange("TWSE", ".TW", ("TPE",)),
    Exchange("TSX", ".TO", ("TORONTO",)),
    Exchange("TSXV", ".V", ("TSX-V", "CVE")),
    Exchange("ASX", ".AX"),
    Exchange("B3", ".SA", ("BVMF", "BOVESPA")),
    Exchange("JSE", ".JO"),
    Exchange("EURONEXT LISBON", ".LS", ("ELI", "LISBON")),
    Exchange("WIENER BOERSE", ".VI", ("VIE", "VIENNA")),
)
"""Those whose tickers get a suffix of their own, or none; a gazetteer may name others."""

BY_NAME = {name: one for one in EXCHANGES for name in (one.code, *one.written)}
"""Every name of every exchange."""

SUFFIXES = frozenset(one.suffix for one in EXCHANGES if one.suffix)
"""What tickers of these exchanges end in."""


def has_suffix(ticker: str) -> bool:
    """Say whether a ticker ends in what its exchange is known by."""
    return ticker[ticker.rfind(".") :] in SUFFIXES


def code_of(name: str) -> str:
    """Return the code of an exchange, by any name of it; of an unknown one the name itself."""
    known = BY_NAME.get(name.upper())
    return name.upper() if known is None else known.code


def full_ticker(exchange: str, symbol: str) -> str:
    """Return a symbol as tickers show it: with its exchange's suffix."""
    known = BY_NAME.get(exchange.upper())
    suffix = "" if known is None else known.suffix
    return symbol if not suffix or symbol.endswith(suffix) else symbol + suffix


def symbol_of(exchange: str, ticker: str) -> str:
    """Return a ticker without its exchange's suffix."""
    known = BY_NAME.get(exchange.upper())
    return ticker.removesuffix(known.suffix) if known is not None and known.suffix else ticker
