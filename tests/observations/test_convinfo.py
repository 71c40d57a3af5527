"""GSI's table of types as a policy."""

import pytest

from lara.observations.convinfo import policy
from lara.observations.status import Status

LINES = """!otype   type  sub iuse twindow
 ps       180    0    1     3.0
 t        181    0   -1     3.0
 q        120    0    0     3.0
 uv       242   56   -1     3.0
 uv       242   54    1     3.0
 gps      440    0    1     3.0
"""


def test_a_line_says_what_is_done_with_a_type_and_its_variables(tmp_path):
    (tmp_path / "convinfo").write_text(LINES)
    types = policy(tmp_path / "convinfo").types
    assert types["ps", 180] == Status.USE
    assert types["t2m", 181] == types["tv", 181] == Status.MONITOR
    assert types["q", 120] == Status.REJECT
    assert types["u10", 242] == Status.USE, "one of its subtypes is used"
    assert {kind for _, kind in types} == {180, 181, 120, 242}


@pytest.mark.parametrize("line", [" t  12x 0 1", " t 120 0", " t 120 0 7"])
def test_a_line_of_another_form_is_refused_with_its_number(tmp_path, line):
    (tmp_path / "convinfo").write_text(LINES + line + "\n")
    with pytest.raises(ValueError, match="convinfo, line 8: "):
        policy(tmp_path / "convinfo")


def test_a_file_without_types_is_refused(tmp_path):
    (tmp_path / "convinfo").write_text("! nothing\n")
    with pytest.raises(ValueError, match="has no line of a type"):
        policy(tmp_path / "convinfo")


def test_gsi_s_own_table_uses_sondes_and_watches_temperatures_of_land_stations(shared_data):
    types = policy(shared_data / "observations" / "gsi" / "global_convinfo.txt").types
    assert types["t", 120] == types["u", 220] == types["ps", 181] == types["q", 133] == Status.USE
    assert types["t2m", 181] == types["q", 131] == types["ps", 183] == Status.MONITOR
    assert len(types) > 200
