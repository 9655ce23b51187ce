"""Marks for tests that need what a machine may not have."""

import pytest

from synth import sta
from synth.liberty import find_liberty

needs_osu = pytest.mark.skipif(
    find_liberty() is None, reason="the OSU 0.18 um library is not installed (apt-get install qflow-tech-osu018)"
)
needs_sta = pytest.mark.skipif(sta.find_sta() is None, reason=f"OpenSTA is not installed ({sta.INSTALL})")
