# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Symbolic modes, compared with chmod itself."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from ansible_collections.atlassian_dc.hardening.plugins.module_utils._permissions import ModeExpression, PolicyError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CLAUSE = st.builds(
    lambda who, actions: who + "".join(actions),
    st.text("ugoa", min_size=1, max_size=3),
    st.lists(st.builds(str.__add__, st.sampled_from("+-="), st.text("rwxXst", max_size=4)), min_size=1, max_size=2),
)
EXPRESSION = st.lists(CLAUSE, min_size=1, max_size=4).map(",".join)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may set every bit")
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=EXPRESSION, mode=st.integers(0, 0o7777), is_dir=st.booleans())
def test_one_application_is_what_chmod_does(tmp_path: Path, text: str, mode: int, is_dir: bool) -> None:
    path = tmp_path / ("folder" if is_dir else "file")
    if not path.exists():
        path.mkdir() if is_dir else path.touch()
    os.chmod(path, mode)
    subprocess.run(["chmod", "--", text, str(path)], check=True)
    assert oct(ModeExpression(text)._once(mode, is_dir)) == oct(stat.S_IMODE(path.stat().st_mode))


@pytest.mark.parametrize(
    ("text", "is_dir", "before", "after"),
    [
        ("u=rwX,g=rX,o=", False, 0o644, 0o640),
        ("u=rwX,g=rX,o=", False, 0o755, 0o750),
        ("u=rwX,g=rX,o=", True, 0o2777, 0o2750),
        ("u+rwX,g-w,o-rwx", False, 0o600, 0o600),
        ("u+rwX,g-w,o-rwx", False, 0o400, 0o600),
        ("u+rwX,g-w,o-rwx", True, 0o700, 0o700),
        ("u+rX,go-w", False, 0o777, 0o755),
        ("u+r,a-x,go-rwx", False, 0o400, 0o400),
        ("u+r,a-x,go-rwx", False, 0o755, 0o600),
    ],
)
def test_stricter_modes_survive_and_needed_bits_are_added(text: str, is_dir: bool, before: int, after: int) -> None:
    assert ModeExpression(text).apply(before, is_dir) == after
    assert ModeExpression(text).apply(after, is_dir) == after


@pytest.mark.parametrize("text", ["", "0644", "rwx", "u=rwz", "u", "+x", "u=g", "u=rw;g=r", "u=rw,"])
def test_what_is_no_symbolic_mode_is_refused(text: str) -> None:
    with pytest.raises(PolicyError, match="not a symbolic mode"):
        ModeExpression(text)


@given(text=EXPRESSION, mode=st.integers(0, 0o7777), is_dir=st.booleans())
def test_applying_again_changes_nothing(text: str, mode: int, is_dir: bool) -> None:
    expression = ModeExpression(text)
    wanted = expression.apply(mode, is_dir)
    assert expression._once(wanted, is_dir) == wanted
    assert expression.apply(wanted, is_dir) == wanted
