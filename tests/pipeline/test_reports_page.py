"""``docs/reports.md``: its examples work as printed, and the tests it names exist."""

import json
import re
import shutil
import subprocess

import pytest
from harness import ROOT, base_environment
from stack import Project

PAGE = (ROOT / "docs" / "reports.md").read_text()
EXAMPLES = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: re.findall(r"reports/(\w+)", example)[0])
def test_an_example_of_the_page_is_answered(project: Project, example: str) -> None:
    variables = {"HEADWATER_URL": project.stack.url, "PROJECT_ID": project.id, "SECRET_KEY": project.secret_key}
    shown = subprocess.run(
        ["bash", "-euc", example],
        env=base_environment() | variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert json.loads(shown.stdout)["project_id"] == project.id


def test_the_page_has_an_example_of_each_and_names_tests_that_exist() -> None:
    assert {name for example in EXAMPLES for name in re.findall(r"reports/(\w+)", example)} == {"funnel", "retention"}
    named = re.findall(r"`(tests/[\w/]+\.py)`", PAGE)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
