"""What users install: `make wheel-test` runs this where nothing else is installed."""

import importlib
import pkgutil
import sys
from importlib.metadata import distribution, requires
from pathlib import Path

import pytest
from pages import run_page
from sklearn.utils.estimator_checks import check_estimator

import robustreg
from robustreg import L1Regressor, MMRegressor, RobustRegressor, SmoothL1Regressor

# What an extra brings; all else of the package works without.
OPTIONAL = {"dask", "distributed", "matplotlib", "pandas"}


def test_it_is_the_wheel_that_is_imported():
    assert Path(robustreg.__file__).is_relative_to(sys.prefix)
    assert distribution("robustreg").version == robustreg.__version__


def test_the_wheel_holds_the_package_its_types_and_its_licence():
    files = distribution("robustreg").files
    paths = [file for file in files if file.suffix != ".pyc"]
    metadata = f"robustreg-{robustreg.__version__}.dist-info"
    assert {path.parts[0] for path in paths} == {"robustreg", metadata}
    names = {path.as_posix() for path in paths}
    assert names >= {"robustreg/py.typed", f"{metadata}/licenses/LICENSE"}
    assert not [path for path in paths if "test" in path.stem]


def test_nothing_else_is_required():
    needed = [line for line in requires("robustreg") if "extra ==" not in line]
    assert {line.partition(">=")[0] for line in needed} == {
        "numpy",
        "scikit-learn",
        "scipy",
    }


def test_every_module_is_there_or_says_what_it_lacks():
    for module in pkgutil.walk_packages(robustreg.__path__, "robustreg."):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            assert error.name.partition(".")[0] in OPTIONAL, module.name


@pytest.mark.parametrize("door", ["inference", "losses", "metrics", "plotting"])
def test_public_doors_open_without_what_is_optional(door):
    assert importlib.import_module(f"robustreg.{door}").__all__


def test_the_first_fits_of_the_readme():
    run_page("README.md")


# Warnings that are right, where there are more columns than rows and where a check sets
# alpha.
@pytest.mark.filterwarnings("ignore::robustreg.ScaleCollapseWarning")
@pytest.mark.filterwarnings("ignore:.* alpha=0.01 has no effect")
@pytest.mark.parametrize(
    "cls", [L1Regressor, MMRegressor, RobustRegressor, SmoothL1Regressor]
)
def test_scikit_learn_has_no_complaint(cls):
    check_estimator(cls(), on_skip=None)
