"""What the checks of a certificate with a quote in it are called, demand, mean and advise.

Between the first and the last question stand those of the quote itself.

Spec: docs/spec/ra-tls.md, whose sections under "Verifying" are numbered like the groups and checks here.
"""

from sealroom.core.evidence.check_text import CheckText, GroupText
from sealroom.core.evidence.quote_catalogue import QUOTE_GROUPS

_DO_NOT_CONNECT = (
    "Do not connect: fetch the certificate again, and ask whoever runs the service if it stays so."
)

CERTIFICATE = GroupText(
    name="certificate",
    title="Is the certificate its key's?",
    checks=(
        CheckText(
            name="certificate.form",
            title="Form",
            required="a certificate that carries a quote in one known form",
            meaning="There is a certificate, and a statement of the processor's inside it.",
            remedy=_DO_NOT_CONNECT,
        ),
        CheckText(
            name="certificate.signature",
            title="Signature",
            required="made by the certificate's own key over the bytes received",
            meaning="Whoever made the certificate has its key, and nobody changed it since.",
            remedy=_DO_NOT_CONNECT,
        ),
        CheckText(
            name="certificate.dates",
            title="Validity",
            required="valid now",
            meaning="The certificate is neither too old nor from the future.",
            remedy="Fetch the certificate again: services renew theirs.",
        ),
    ),
)

KEY = GroupText(
    name="key",
    title="Is the TLS key the enclave's own?",
    checks=(
        CheckText(
            name="key.binding",
            title="Binding of the key",
            required="the quote's report data binds the certificate's key, by the binding that you named",
            meaning="The TLS key was in the enclave's hands when the processor made its statement.",
            remedy="Do not connect, unless you named the wrong binding: ask how the service binds its key.",
        ),
    ),
)

CERTIFICATE_GROUPS = (CERTIFICATE, *QUOTE_GROUPS, KEY)
CERTIFICATE_PAGE = "docs/spec/ra-tls.md"
