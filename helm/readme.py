"""Writes the values table of each chart's README from the comments in its values.yaml.

python helm/readme.py [--check]

A key's comment is `# -- text`, after the value or on the lines above it (further lines start with
`#`). Every key has one, or stands in a mapping that has one for all of its keys. The table goes
between the lines `<!-- values -->` and `<!-- /values -->`.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

BEGIN, END = "<!-- values -->", "<!-- /values -->"
_MARK = "# -- "


class Undocumented(Exception):
    """A key without a comment, or a README without a place for the table."""


@dataclass(frozen=True)
class Row:
    """One key of values.yaml."""

    key: str
    default: object
    text: str


def rows(values: str) -> list[Row]:
    """The keys of a values.yaml in their order, each with its default and comment.

    Raises:
        Undocumented: A key has no comment.
    """
    root = yaml.compose(values, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return []
    return list(_rows(root, "", values.split("\n")))


def table(found: list[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| key | default | what it is |", "|---|---|---|"]
    for row in found:
        default = json.dumps(row.default).replace("|", "\\|")
        lines.append(f"| `{row.key}` | `{default}` | {row.text.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def filled(readme: str, values: str) -> str:
    """A README with its table brought up to date.

    Raises:
        Undocumented: A key has no comment, or the README has no place for the table.
    """
    place = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.S)
    if not place.search(readme):
        raise Undocumented(f"no lines {BEGIN} and {END}")
    made = f"{BEGIN}\n{table(rows(values))}\n{END}"
    return place.sub(lambda _: made, readme)


def _rows(node: yaml.MappingNode, prefix: str, lines: list[str]) -> Iterator[Row]:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        text = _comment(lines, key.start_mark.line)
        nested = isinstance(value, yaml.MappingNode) and value.value
        if nested and not (text and not _any_comment(value, key.start_mark.line, lines)):
            yield from _rows(value, f"{name}.", lines)
        elif text:
            yield Row(name, _plain(value), text)
        else:
            raise Undocumented(f"{name}: no comment `{_MARK}...`")


def _any_comment(node: yaml.MappingNode, own_line: int, lines: list[str]) -> bool:
    at = [key.start_mark.line for key, _ in node.value]
    return any(line != own_line and _comment(lines, line) for line in at)


def _comment(lines: list[str], at: int) -> str:
    """The comment of the key on a line: behind it, else above it."""
    if _MARK in lines[at]:
        return lines[at].split(_MARK, 1)[1].strip()
    above: list[str] = []
    for line in reversed(lines[:at]):
        bare = line.strip()
        if not bare.startswith("#"):
            break
        above.insert(0, bare)
        if bare.startswith(_MARK):
            return " ".join([bare[len(_MARK) :], *(more.lstrip("# ") for more in above[1:])])
    return ""


def _plain(node: yaml.Node) -> object:
    return yaml.SafeLoader("").construct_object(node, deep=True)


def main(arguments: list[str] | None = None) -> int:
    """Bring every chart's README up to date, or with --check only tell which are not."""
    parser = argparse.ArgumentParser(prog="helm/readme.py", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if it would")
    check = parser.parse_args(arguments).check
    stale = []
    for chart in sorted(Path(__file__).parent.glob("*/Chart.yaml")):
        readme = chart.with_name("README.md")
        old = readme.read_text() if readme.is_file() else ""
        try:
            text = filled(old, chart.with_name("values.yaml").read_text())
        except Undocumented as fault:
            sys.stderr.write(f"{chart.parent.name}: {fault}\n")
            return 2
        if text != old:
            stale.append(readme)
            if not check:
                readme.write_text(text)
    for readme in stale:
        sys.stderr.write(f"{readme.parent.name}/README.md {'is stale' if check else 'written'}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
