"""What the checks of a single quote are called, demand, mean and advise.

The first two questions are those of a whole bundle; the last two ask only what a quote alone can answer. The
order is the order of the appraisal, and a check that was not made stands in the verdict as not reached.

Spec: docs/spec/quote-appraisal.md, whose sections are numbered like the groups and checks here.
"""

from sealroom.core.evidence.catalogue import PLATFORM, QUOTE
from sealroom.core.evidence.check_text import CheckText, GroupText
from sealroom.core.evidence.verdict import Blame

_OWN_POLICY = "Ask whoever runs the service for another enclave, or decide about your own policy."

CLOSED = GroupText(
    name="enclave",
    title="Is it closed to its host?",
    checks=(
        CheckText(
            name="enclave.tee",
            title="Kind of TEE",
            required="a kind that your policy accepts",
            meaning="It is the kind of protected machine that you asked for.",
            remedy=_OWN_POLICY,
        ),
        CheckText(
            name="enclave.debug",
            title="Not debuggable",
            required="the debug attribute is off",
            meaning="The host cannot look into the protected memory with a debugger.",
            remedy="Send nothing: whoever runs this enclave can read all that is in it.",
        ),
        CheckText(
            name="enclave.attributes",
            title="Attributes",
            required="the attributes of your policy",
            meaning="It was started with the processor features that were agreed, and no others.",
            remedy=_OWN_POLICY,
            blame=Blame.POLICY,
        ),
        CheckText(
            name="enclave.sept-ve",
            title="No surprises from page faults",
            required="SEPT_VE_DISABLE, unless your policy does without",
            meaning="The host of a TD cannot make its kernel stumble over pages that it takes away.",
            remedy="Ask for a TD that is started with SEPT_VE_DISABLE, or accept TDs without it by name.",
        ),
        CheckText(
            name="enclave.config",
            title="No host-chosen fields",
            required="config id, family id and extended product id are zero, unless your policy takes any",
            meaning="The host put nothing into the fields that the measurement does not cover.",
            remedy=_OWN_POLICY,
            blame=Blame.POLICY,
        ),
    ),
)

MEASURED = GroupText(
    name="measurement",
    title="Is it what you asked for?",
    checks=(
        CheckText(
            name="measurement.policy",
            title="Your policy's measurements",
            required="one that your policy accepts",
            meaning="It runs the code that your policy names.",
            remedy=_OWN_POLICY,
        ),
    ),
)

QUOTE_GROUPS = (QUOTE, PLATFORM, CLOSED, MEASURED)
QUOTE_PAGE = "docs/spec/quote-appraisal.md"
