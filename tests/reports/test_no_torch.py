from __future__ import annotations

import subprocess
import sys


def test_reports_do_not_import_torch() -> None:
    code = (
        "import sys, medtransfer.reports.write_report, medtransfer.reports.renderers.console; "
        "sys.exit('torch' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
