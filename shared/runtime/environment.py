"""Every CENTER_* variable there is, and the one reader of them; an unknown one stops start-up."""

import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

# name -> what it does, as `center --help` and the README print it.
VARIABLES: dict[str, str] = {
    "CENTER_BIND": "address that servers listen on (default 127.0.0.1)",
    "CENTER_CLUSTER": "id of the cluster that a data-plane process serves, for example eu-1",
    "CENTER_CLUSTERS": "clusters that the catalog starts with, id=region@host:port,... (default: this machine's)",
    "CENTER_CONTROL_ADDRESS": "host:port of the control plane (default: this machine, port 7100)",
    "CENTER_DATABASE_URL": "owner's URL of a process's database; for `center up` an outside server",
    "CENTER_DNS_ZONE_FILE": "local zone file that answers TXT proofs of domains, in place of DNS",
    "CENTER_ENVIRONMENT": "what tokens and keys are for, one to eight of a-z0-9: others' are refused (default dev)",
    "CENTER_EXAMPLE": "whether `center up` runs the example solution: on or off (default on)",
    "CENTER_HOME": "folder of certificates, secrets, database, logs and state (default ./.center)",
    "CENTER_INSTANCE": "name of this replica among the catalog's watchers, stable over restarts (default edge-1)",
    "CENTER_LOG_FORMAT": "console or json (default console)",
    "CENTER_LOG_LEVEL": "debug, info, warning or error (default info)",
    "CENTER_MAIL_FROM": "address that mail comes from (default no-reply@ the platform's zone)",
    "CENTER_MEDIA_URL": "where clusters keep media, file:///FOLDER or s3://BUCKET with AWS_* (default: the home)",
    "CENTER_NATS_URL": "tls://host:port,... of a NATS cluster elsewhere (default: this machine's, port 4222)",
    "CENTER_OTLP_ENDPOINT": "OpenTelemetry collector for spans, http://host:port (default: no export)",
    "CENTER_PORT_OFFSET": "added to every port, so that two platforms run side by side (default 0)",
    "CENTER_PUBLIC_URL": "where users find the platform's pages (default: the zone at Envoy's port)",
    "CENTER_PUSH_URL": "https://[:token@]host/path that takes tenants' push messages (default: files, as for mail)",
    "CENTER_REGION": "region that a data-plane process is in, for example eu",
    "CENTER_SMS_URL": "https://[:token@]host/path that takes tenants' SMS (default: files, as for mail)",
    "CENTER_SMTP_URL": "smtp://[user:password@]host[:port] or smtps://... (default: files in the home's folder mail)",
    "CENTER_WEBHOOKS_ALLOW": "networks that are not public and that webhooks may reach all the same, by http, too: "
    "127.0.0.0/8,... (default: none)",
    "CENTER_ZONE": "the platform's own DNS zone (default center.localhost)",
}


class EnvironmentProblem(ValueError):
    """A variable that is unknown, missing or wrong; the message names it and says what would do."""


class Environment:
    """The CENTER_* part of an environment, checked as a whole; an empty value counts as not given."""

    def __init__(self, source: Mapping[str, str] | None = None) -> None:
        source = os.environ if source is None else source
        self._values = {name: value for name, value in source.items() if name.startswith("CENTER_")}
        if unknown := sorted(self._values.keys() - VARIABLES.keys()):
            raise EnvironmentProblem("; ".join(_unknown(name) for name in unknown))

    def text(self, name: str, default: str = "") -> str:
        if name not in VARIABLES:
            raise KeyError(f"{name} is not in shared.runtime.environment.VARIABLES")
        return self._values.get(name, "") or default

    def required(self, name: str) -> str:
        if value := self.text(name):
            return value
        raise EnvironmentProblem(f"{name} is not set: {VARIABLES[name]}")

    def integer(self, name: str, default: int, *, minimum: int = 0, maximum: int = 65535) -> int:
        text = self.text(name, str(default))
        try:
            value = int(text)
        except ValueError:
            raise EnvironmentProblem(f"{name}={text!r} is not a whole number") from None
        if not minimum <= value <= maximum:
            raise EnvironmentProblem(f"{name}={value} is not between {minimum} and {maximum}")
        return value

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """One of `choices`, the first by default."""
        value = self.text(name, choices[0])
        if value not in choices:
            raise EnvironmentProblem(f"{name}={value!r} is none of {', '.join(choices)}")
        return value

    def path(self, name: str, default: str) -> Path:
        """An absolute path, so that a process that changes its folder keeps its files."""
        return Path(self.text(name, default)).expanduser().absolute()

    def home(self) -> Path:
        return self.path("CENTER_HOME", ".center")


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, VARIABLES, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(sorted(VARIABLES))}"
    return f"unknown variable {name}: {hint}"
