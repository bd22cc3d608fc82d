"""Everything that the doctor can find wrong, by a code.

docs/doctor.md shows the same sentences; a test compares them. What stands in braces is filled in.
"""

from app.doctor.catalogue.answers import ANSWERS
from app.doctor.catalogue.credentials import CREDENTIALS
from app.doctor.catalogue.place import PLACE
from app.doctor.catalogue.trouble import Trouble

TROUBLES: dict[str, Trouble] = {**PLACE, **CREDENTIALS, **ANSWERS}
