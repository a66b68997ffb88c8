"""The environment: known variables only, each checked, each error naming its variable."""

from pathlib import Path

import pytest

from shared.runtime.environment import VARIABLES, Environment, EnvironmentProblem


def test_an_unknown_variable_is_refused_with_the_names_it_may_have_meant() -> None:
    with pytest.raises(EnvironmentProblem, match="unknown variable CENTER_HOMES: did you mean CENTER_HOME"):
        Environment({"CENTER_HOMES": "/x", "PATH": "/bin"})


def test_variables_of_others_are_none_of_our_business() -> None:
    assert Environment({"PATH": "/bin", "CENTERPIECE": "x"}).text("CENTER_ZONE", "local") == "local"


def test_an_empty_value_is_no_value() -> None:
    environment = Environment({"CENTER_ZONE": "", "CENTER_PORT_OFFSET": ""})
    assert environment.text("CENTER_ZONE", "local") == "local"
    assert environment.integer("CENTER_PORT_OFFSET", 0) == 0


@pytest.mark.parametrize("value", ["x", "1.5", "-1", "65536"])
def test_a_number_that_is_none_or_out_of_range_is_refused_by_name(value: str) -> None:
    with pytest.raises(EnvironmentProblem, match="CENTER_PORT_OFFSET"):
        Environment({"CENTER_PORT_OFFSET": value}).integer("CENTER_PORT_OFFSET", 0)


def test_a_choice_is_one_of_the_choices_and_the_first_by_default() -> None:
    assert Environment({}).choice("CENTER_LOG_FORMAT", ["console", "json"]) == "console"
    with pytest.raises(EnvironmentProblem, match="CENTER_LOG_FORMAT='xml' is none of console, json"):
        Environment({"CENTER_LOG_FORMAT": "xml"}).choice("CENTER_LOG_FORMAT", ["console", "json"])


def test_a_missing_variable_says_what_it_is_for() -> None:
    with pytest.raises(EnvironmentProblem, match="CENTER_CLUSTER is not set: id of the cluster"):
        Environment({}).required("CENTER_CLUSTER")


def test_home_is_absolute_whatever_was_given() -> None:
    assert Environment({}).home() == Path(".center").absolute()
    assert Environment({"CENTER_HOME": "~/x"}).home() == Path("~/x").expanduser()


def test_a_variable_that_no_registry_line_explains_cannot_be_read() -> None:
    with pytest.raises(KeyError):
        Environment({}).text("CENTER_UNHEARD_OF")
    assert all(VARIABLES.values())
