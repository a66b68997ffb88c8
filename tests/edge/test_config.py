"""What the edge takes from the environment, and what it refuses to start with."""

from pathlib import Path

import pytest

from edge.config import XDS_PORT, Config
from shared.runtime.environment import EnvironmentProblem


def test_defaults_are_for_one_machine(tmp_path: Path) -> None:
    config = Config.from_env({"CENTER_HOME": str(tmp_path)})
    assert config.control_address == "127.0.0.1:7100"
    assert config.address(XDS_PORT) == "127.0.0.1:7200"
    assert config.zone == "center.localhost"


def test_an_offset_moves_every_port_but_not_a_control_plane_that_is_named(tmp_path: Path) -> None:
    config = Config.from_env({"CENTER_HOME": str(tmp_path), "CENTER_PORT_OFFSET": "100"})
    assert (config.control_address, config.address(XDS_PORT)) == ("127.0.0.1:7200", "127.0.0.1:7300")
    away = Config.from_env({"CENTER_PORT_OFFSET": "100", "CENTER_CONTROL_ADDRESS": "control.example:7100"})
    assert away.control_address == "control.example:7100"


@pytest.mark.parametrize(
    "variables",
    [
        {"CENTER_ZONES": "x"},
        {"CENTER_CONTROL_ADDRESS": "no-port"},
        {"CENTER_PORT_OFFSET": "60000"},
        {"CENTER_LOG_LEVEL": "loud"},
    ],
)
def test_what_is_wrong_stops_the_start(variables: dict[str, str]) -> None:
    with pytest.raises(EnvironmentProblem):
        Config.from_env(variables)
