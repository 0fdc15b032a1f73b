"""``docs/reconcile.md`` and ``docs/privacy.md``: their examples work as printed, and the tests they name exist."""

import json
import re
import shutil
import subprocess

import pytest
from harness import ROOT, base_environment
from stack import Project

ANSWERS = {"reconcile": "agrees", "privacy": "request_id"}
"""Page -> a member of the answer to its example."""


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("page", ANSWERS)
def test_the_example_of_a_page_is_answered_and_its_tests_exist(project: Project, page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text()
    (example,) = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    variables = {"HEADWATER_URL": project.stack.url, "PROJECT_ID": project.id, "SECRET_KEY": project.secret_key}
    shown = subprocess.run(
        ["bash", "-euc", example],
        env=base_environment() | variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert ANSWERS[page] in json.loads(shown.stdout), shown.stdout
    named = re.findall(r"`(tests/[\w/]+\.py)`", text)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
