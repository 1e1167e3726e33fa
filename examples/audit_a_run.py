"""What speaks against a classifier: every audit of a finished run, the worst first.

python examples/audit_a_run.py OUT AUDITED
"""

import sys

import hilum

results = hilum.audit(sys.argv[1], sys.argv[2])
print(results.verdict)
order = ("fail", "warn", "unknown", "pass")
for finding in sorted(results.audits, key=lambda one: order.index(one.status)):
    print(f"{finding.status:8} {finding.id} {finding.title}: {finding.sentence}")
