"""Which column holds what: told, or known by its name."""

from collections.abc import Sequence

from schemas.errors import ConfigurationError

TEXT_NAMES = (
    "text",
    "headline",
    "title",
    "sentence",
    "utterance",
    "transcript",
    "message",
    "query",
    "question",
    "tweet",
    "review",
    "phrase",
    "content",
    "body",
    "news",
)
LABEL_NAMES = (
    "label_text",
    "label_name",
    "label",
    "labels",
    "category",
    "intent",
    "class",
    "sentiment",
    "topic",
    "target",
    "tag",
)
SURE = ("text", "label_text", "label_name", "label")
"""Names that settle it, whatever else there is."""
SPLIT_NAMES = ("split", "set", "partition", "subset")
OTHERS = ("id", "uuid", "guid", "index", "idx", "", "unnamed: 0", *SPLIT_NAMES)
"""Names of columns that hold neither texts nor labels."""


def choose_columns(
    columns: Sequence[str], *, where: str, text_field: str | None, label_field: str | None
) -> tuple[str, str]:
    """Return the column of the texts and that of the labels.

    Args:
        columns: What there is.
        where: The file, for messages.
        text_field: The user's word on it.
        label_field: Likewise.

    Raises:
        ConfigurationError: A named column is missing, or none or several could be meant.
    """
    text = _named(columns, text_field, where, "--text-field")
    label = _named(columns, label_field, where, "--label-field")
    text = text or _guess(columns, TEXT_NAMES, taken=label)
    label = label or _guess(columns, LABEL_NAMES, taken=text)
    rest = [name for name in columns if name not in {text, label} and name.lower() not in OTHERS]
    if text and not label and len(rest) == 1:
        label = rest[0]
    elif label and not text and len(rest) == 1:
        text = rest[0]
    if text is None or label is None:
        flags = [
            f"the {what} with {flag}"
            for what, flag, found in (
                ("texts", "--text-field", text),
                ("labels", "--label-field", label),
            )
            if found is None
        ]
        raise ConfigurationError(
            f"{where}: has columns {list(columns)}; name the column of {' and of '.join(flags)}"
        )
    return text, label


def split_column(columns: Sequence[str]) -> str | None:
    """Return the column that says which part a row belongs to, if there is one."""
    return next((name for name in columns if name.lower() in SPLIT_NAMES), None)


def _named(columns: Sequence[str], name: str | None, where: str, flag: str) -> str | None:
    if name is not None and name not in columns:
        raise ConfigurationError(
            f"{where}: has no column {name!r} but {list(columns)}; name the right one with {flag}"
        )
    return name


def _guess(columns: Sequence[str], names: Sequence[str], taken: str | None) -> str | None:
    """Return the one column that goes by one of the names, or by one that settles it."""
    known = {name.lower(): name for name in reversed(columns) if name != taken}
    for name in names:
        if name in SURE and name in known:
            return known[name]
    found = [known[name] for name in names if name in known]
    return found[0] if len(found) == 1 else None
