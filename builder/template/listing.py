"""What a command prints of rows, by its --format: a table, JSON, or a template for each row (Docker's formatter).

The usual forms need no grammar: lark is imported only if a template is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from builder.template.columns import aligned
from builder.template.record import Record, to_json

TABLE = "table"
IDS = "ids"  # what -q asks for: the field ID of each row


def listing(form: str, rows: Iterable[Record], headers: dict[str, str], columns: Sequence[str]) -> str:
    """The whole output, with a newline at its end unless it is empty.

    form: "" or `table` for the given columns, `json`, IDS, `table TEMPLATE`, or a template for one row. headers: names
    of fields -> what stands above them. Raises TemplateFault.
    """
    if form in ("", TABLE):
        lines = ["\t".join(headers[column] for column in columns)]
        lines += ["\t".join(_cell(row[column]) for column in columns) for row in rows]
        return aligned("".join(f"{line}\n" for line in lines))
    if form == IDS:
        return "".join(f"{row['ID']}\n" for row in rows)
    if form == "json":
        return "".join(f"{to_json(row)}\n" for row in rows)
    return _by_template(form, rows, headers)


def _cell(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _by_template(form: str, rows: Iterable[Record], headers: dict[str, str]) -> str:
    from builder.template.evaluate import Template
    from builder.template.functions import HEADER
    from builder.template.parse import parse

    text = form.removeprefix(TABLE).strip(" ").replace("\\t", "\t").replace("\\n", "\n")
    template = Template(text, parse(text))
    body = "".join(f"{template.render(row)}\n" for row in rows)
    if not form.startswith(TABLE):
        return body
    return aligned(f"{template.render(_header(headers), HEADER)}\n{body}")


def _header(headers: dict[str, str]) -> Record:
    """Names above columns; that of a label is its last part."""

    def label(name: str) -> str:
        return name.rpartition(".")[2].replace("-", " ").replace("_", " ")

    return Record(dict(headers), "formatter.SubHeaderContext", {"Label": label}, lenient=True)
