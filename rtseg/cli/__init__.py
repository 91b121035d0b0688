"""The command line: one module a command; the only place that turns errors into exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from rtseg.errors import RtsegError

COMMANDS = {
    "video": "Segment a video, a stream or images into a video, images or masks.",
    "camera": "Segment a camera live, in a window or into a file.",
    "serve": "Serve a page that segments each visitor's own camera.",
    "image": "Segment still pictures.",
    "bench": "Measure frames a second, latency and every stage, on the real pipeline.",
    "demo": "Make a clip with a moving face, segment it, and say how fast it went.",
    "engine": "Build, list, verify and delete TensorRT engines; export models to ONNX.",
    "models": "List the models that can be run, with their classes and accuracy.",
    "doctor": "Say what this machine can do, and what to install for more.",
}


class _Commands(click.Group):
    """Loads a command's module only when it is asked for."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = importlib.import_module(f"rtseg.cli.{name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from their one-line texts: no module is loaded for it."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _version(context: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    if asked:
        from rtseg import __version__

        click.echo(f"rtseg {__version__}")
        context.exit()


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 a bug, 2 wrong option, 3 input, 4 input truncated (output kept), "
    "5 output, 6 model, 7 device, 8 no display, 9 disk full, 129/130/143 interrupted (kept).",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_version,
    help="Show the version and exit.",
)
def group() -> None:
    """Real-time face-part segmentation of cameras and videos.

    Try `rtseg demo` first, then `rtseg video in.mp4 -o out.mp4` or `rtseg camera`.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: runs a command, and exits with the code that its error documents."""
    try:
        code = group.main(
            args=None if arguments is None else list(arguments),
            prog_name="rtseg",
            standalone_mode=False,
        )
    except RtsegError as error:
        _complain(error)
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("error: interrupted", err=True)
        code = 130
    except BrokenPipeError:
        # Whoever read our standard output has gone: end quietly, as other tools do.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    sys.exit(code if isinstance(code, int) else 0)


def _complain(error: RtsegError) -> None:
    from rtseg.cli.options import with_options_named

    click.echo(f"error: {with_options_named(str(error))}", err=True)
