"""The command `center`."""

import typer

from shared.cli import platform

app = typer.Typer(
    help="Runs and operates the platform.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
platform.add_to(app)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
