"""The auditor: what its metrics say when an audit does not come to its end."""

import asyncio

from margin.ledger.audit import Known
from proxy.keeper.auditor import Auditor
from tests.keeper.offices import office


def test_an_audit_that_crashes_leaves_no_good_verdict_standing(tmp_path, caplog):
    """Before a first verdict and after a good one: nothing is known to be sound until one finishes again."""
    auditor = Auditor(tmp_path / "data", Known)

    asyncio.run(auditor._round())
    before_any = auditor.gauges()
    office(tmp_path / "data").close()
    asyncio.run(auditor._round())
    good = auditor.gauges()
    (tmp_path / "data" / "ledger.sqlite").rename(tmp_path / "away")
    asyncio.run(auditor._round())
    crashed = auditor.gauges()

    assert before_any == {"penstock_ledger_audit_ok": 0}
    assert good["penstock_ledger_audit_ok"] == 1
    assert crashed == good | {"penstock_ledger_audit_ok": 0}
    assert "did not finish" in caplog.text
