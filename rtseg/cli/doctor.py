"""`rtseg doctor`: report what this machine supports."""

from __future__ import annotations

import click

from rtseg.cli.options import with_options_named


@click.command(short_help="Report what this machine supports.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option(
    "--measure",
    is_flag=True,
    help="Measure again which precision is fastest, for example after a change of hardware.",
)
def command(as_json: bool, measure: bool) -> None:
    """Report what this machine supports, and what to install for more. It never fails: a broken
    component becomes a line of the report."""
    import json

    from rtseg.backends.fastest import forget_speeds
    from rtseg.doctor import examine

    if measure:
        forget_speeds()
    findings = examine()
    if as_json:
        click.echo(json.dumps([finding.to_json() for finding in findings], indent=2))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    marks = {"ok": "[green]ok[/]", "missing": "[yellow]–[/]", "broken": "[red]broken[/]"}
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_column(overflow="fold")
    for finding in findings:
        text = escape(with_options_named(finding.found))
        if finding.remedy:
            text += f"\n[dim]→ {escape(with_options_named(finding.remedy))}[/]"
        table.add_row(finding.subject, marks[finding.state], text)
    Console(highlight=False).print(table)
