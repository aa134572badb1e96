"""Options that several commands share."""

import click

bootstrap_servers_option = click.option(
    "--bootstrap-servers",
    metavar="H:P",
    envvar="HEADRACE_BOOTSTRAP_SERVERS",
    default="localhost:9092",
    show_default=True,
    show_envvar=True,
    help="Brokers, separated by commas.",
)
