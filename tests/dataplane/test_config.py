"""A cluster's process knows from its environment who it is, or does not start."""

import pytest

from dataplane.config import Config
from shared.runtime.environment import EnvironmentProblem

GIVEN = {"CENTER_CLUSTER": "us-1", "CENTER_DATABASE_URL": "postgresql://owner@db/center_us_1", "CENTER_HOME": "/srv/c"}


def test_every_address_follows_the_cluster_and_the_offset() -> None:
    config = Config.from_env(GIVEN | {"CENTER_PORT_OFFSET": "1000", "CENTER_BIND": "0.0.0.0"})
    assert (config.cluster_id, str(config.home)) == ("us-1", "/srv/c")
    assert config.address == "0.0.0.0:8302"
    assert config.control_address == "127.0.0.1:8100"
    assert config.metrics_address == "0.0.0.0:8322"
    assert config.admin_address == "127.0.0.1:8312", "no certificates there: the machine's own"


@pytest.mark.parametrize(
    "wrong",
    [{"CENTER_CLUSTER": ""}, {"CENTER_CLUSTER": "mars-1"}, {"CENTER_DATABASE_URL": ""}, {"CENTER_CLUSTR": "eu-1"}],
)
def test_what_is_missing_or_unknown_stops_the_start(wrong: dict[str, str]) -> None:
    with pytest.raises(EnvironmentProblem):
        Config.from_env(GIVEN | wrong)
