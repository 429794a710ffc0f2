"""The pytest plugin: a fixture that measures, options, and cycle tables as tests are done.

def test_digits(cycles):
    cycles.measure("digits-int8", "uno").check()

@pytest.mark.cycles(models=["digits-int8"], targets=["uno", "cpm"], inputs=[20])
def test_each(measured):
    measured.check()

With pytest-xdist, workers send what they measured with the tests' reports; the table, files and
saved runs are the same.
"""

from harness.pytest_plugin.cases import (
    Case,
    pytest_collection_modifyitems,
    pytest_generate_tests,
)
from harness.pytest_plugin.fixtures import (
    Cycles,
    LoadModel,
    cycles,
    load_model,
    measured,
    one_line,
    pytest_runtest_call,
)
from harness.pytest_plugin.gather import pytest_runtest_makereport
from harness.pytest_plugin.options import pytest_addoption
from harness.pytest_plugin.session import SESSION, CyclesSession, pytest_configure
from harness.pytest_plugin.summary import pytest_terminal_summary

__all__ = [
    "SESSION",
    "Case",
    "Cycles",
    "CyclesSession",
    "LoadModel",
    "cycles",
    "load_model",
    "measured",
    "one_line",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_generate_tests",
    "pytest_runtest_call",
    "pytest_runtest_makereport",
    "pytest_terminal_summary",
]
