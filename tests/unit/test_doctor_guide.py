"""docs/doctor.md says what the doctor says."""

import re

from app.doctor.catalogue import TROUBLES
from tests.local import ROOT

GUIDE = (ROOT / "docs" / "doctor.md").read_text()
ROW = re.compile(r"\| (fault|warning) \| `(\w+)` \| (.+) \| (.+) \|")


def test_the_guide_has_every_trouble_as_it_is_told() -> None:
    told = {
        code: (entry.level.value, *(re.sub(r"\{\w+\}", "…", text) for text in (entry.what, entry.fix)))
        for code, entry in TROUBLES.items()
    }

    assert {code: (level, what, fix) for level, code, what, fix in ROW.findall(GUIDE)} == told
