# Copyright (c) 2026 Pale Blue Dot contributors
# SPDX-License-Identifier: Apache-2.0
"""Message ids (their last part) that say more than their HTTP status does.

Known before it is known which product answers: a login may be refused before anything could be read.
"""

from __future__ import annotations

# The server is in POST, or in another state that passes: nothing was done, and the same request will be taken later.
IN_POST = frozenset(
    {
        "UnableToModifyDuringSystemPOST",  # iLO
        "InvalidOperationForSystemState",  # iLO
        "SYS518",  # iDRAC: the server is in POST, or the BMC is not ready
    }
)
# The same of a power order, for which the Base registry's id is used too by iDRAC 10: an on just after an off
NOT_NOW = IN_POST | {"ActionParameterValueConflict"}
# Events are subscribed to in vain while the BMC's alerts are switched off.
ALERTS_OFF = frozenset({"SYS553"})  # iDRAC: IPMILan.1.AlertEnable
# Every session that the BMC holds is taken.
NO_MORE_SESSIONS = frozenset({"SessionLimitExceeded", "RAC0218"})  # Base registry, iDRAC
