"""The command line: one module per command; the only place that maps errors to exit codes."""

from __future__ import annotations

import difflib
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
    "batch": "Segment thousands of files, here or on a Ray cluster.",
    "bench": "Measure frames per second, latency and every stage of the real pipeline.",
    "demo": "Make a clip with a moving face, segment it, and print the speed.",
    "engine": "Build, list, verify and delete TensorRT engines; export models to ONNX.",
    "models": "List the models that can be run, with their classes and accuracy.",
    "doctor": "Say what this machine can do, and what to install for more.",
}


class _Commands(click.Group):
    """Loads a command's module on demand, and guesses the command if none is given."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Treat `rtseg in.mp4` and `rtseg -i in.mp4` as `rtseg video in.mp4`."""
        first = next(
            (place for place, word in enumerate(args) if not _is_group_option(args, place)), None
        )
        if first is not None and args[first] not in COMMANDS:
            word = args[first]
            if word in ("-i", "--input", "-o", "--output"):
                args = [*args[:first], "video", *args[first:]]
            elif not word.startswith("-"):
                args = [*args[:first], _guess_command(word), *args[first:]]
        return super().parse_args(context, args)

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = importlib.import_module(f"rtseg.cli.{name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """Format the list of commands without loading their modules."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _is_group_option(args: Sequence[str], place: int) -> bool:
    """Whether a word is an option of the group itself, or such an option's value."""
    word = args[place]
    if place and args[place - 1] == "--config":
        return True
    return word in ("-h", "--help", "--version", "--config") or word.startswith("--config=")


def _guess_command(word: str) -> str:
    """Guess the command for an input.

    Raises:
        click.UsageError: it is not an input either.
    """
    from rtseg.cli.habits import guessed_command

    command = guessed_command(word)
    if command is not None:
        return command
    near = difflib.get_close_matches(word, COMMANDS, n=1)
    advice = f"did you mean {near[0]}?" if near else "`rtseg --help` lists the commands"
    raise click.UsageError(f"{word}: is neither a command nor a file; {advice}")


def _configure(context: click.Context, _parameter: click.Parameter, path: str | None) -> None:
    if path is not None:
        from rtseg.cli.configuration import read_configuration

        context.default_map = read_configuration(path)


def _version(context: click.Context, _parameter: click.Parameter, is_requested: bool) -> None:
    if is_requested:
        from rtseg import __version__

        click.echo(f"rtseg {__version__}")
        context.exit()


@click.command(
    cls=_Commands,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "auto_envvar_prefix": "RTSEG",
    },
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
@click.option(
    "--config",
    metavar="FILE",
    is_eager=True,
    expose_value=False,
    callback=_configure,
    help="Read options from a TOML file, with tables [video], [camera] … for single commands.",
)
def group() -> None:
    """Real-time face-part segmentation of cameras and videos.

    Try `rtseg demo` first, then `rtseg in.mp4`, `rtseg video in.mp4 -o out.mp4` or `rtseg camera`.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: run a command, and exit with the documented code for its error."""
    try:
        code = group.main(
            args=None if arguments is None else list(arguments),
            prog_name="rtseg",
            standalone_mode=False,
        )
    except RtsegError as error:
        _report_error(error)
        code = error.exit_code
    except click.ClickException as error:
        advice = ""
        if isinstance(error, click.UsageError) and error.ctx is not None:
            advice = f"; `{error.ctx.command_path} --help` lists the options"
        click.echo(f"error: {error.format_message().rstrip('.')}{advice}", err=True)
        code = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("error: interrupted", err=True)
        code = 130
    except BrokenPipeError:
        # The reader of our standard output has gone: exit quietly, like other tools.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except (ImportError, OSError) as error:
        from rtseg.system.libraries import missing_library

        missing = missing_library(error)
        if missing is None:
            raise
        _report_error(missing)
        code = missing.exit_code
    sys.exit(code if isinstance(code, int) else 0)


def _report_error(error: RtsegError) -> None:
    from rtseg.cli.options import with_options_named

    click.echo(f"error: {with_options_named(str(error))}", err=True)
