import os
import time

from lora_demo.ui import outbox


def test_files_to_take_home_bear_their_own_names_and_are_deleted_by_age():
    old, new = outbox.new_file("a.zip"), outbox.new_file("a.zip")
    assert old != new
    assert old.name == new.name == "a.zip"
    for path in (old, new):
        path.write_text("x")
    past = time.time() - 3600 * (outbox.UPLOAD_HOURS + 1)
    os.utime(old.parent, (past, past))
    outbox.forget_old()
    assert not old.parent.exists()
    assert new.read_text() == "x"
