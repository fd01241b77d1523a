"""Pages that need the extra `tools`; `make tools` installs it and runs this file."""

import pytest
from pages import NEED_TOOLS, run_page


# What these packages warn of among themselves is theirs.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", NEED_TOOLS)
def test_every_block_runs_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(page)
