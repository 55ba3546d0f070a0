"""Every check of a receipt, in order, with its words. What each one does stands in `core.evidence.receipt`.

Spec: docs/spec/receipt.md, "Verifying".
"""

from sealroom.core.evidence.check_text import CheckText, GroupText

RUN_PAGE = "docs/spec/receipt.md, a run"
REFUSAL_PAGE = "docs/spec/receipt.md, a refusal"

_NOT_THIS = (
    "Do not rely on this receipt: ask the server for the receipt of this launch, or another participant."
)
_LYING = "Do not rely on this receipt, and tell the other participants: it was put together by somebody."

RECEIPT = GroupText(
    name="receipt",
    title="Whose receipt is it?",
    checks=(
        CheckText(
            name="receipt.kind",
            title="What it says",
            required="a run that began, with or without its end, or a refusal",
            meaning="Without a closing, how the run ended is the server's claim and not the enclave's.",
            remedy=_NOT_THIS,
        ),
        CheckText(
            name="receipt.enclave",
            title="Enclave",
            required="a verified enclave",
            meaning="What an enclave signs is worth what its evidence is worth.",
            remedy="Take it as a rehearsal: whoever runs a simulated enclave can sign anything in its name.",
        ),
        CheckText(
            name="receipt.people",
            title="People and terms",
            required="those of the invitation, where one was given",
            meaning="Without an invitation it says what the holders of these keys did, and not who they are.",
            remedy="Ask the owner for the invitation, and give it: --invitation.",
        ),
    ),
)

OPENING = GroupText(
    name="opening",
    title="What did the enclave start with?",
    checks=(
        CheckText(
            name="opening.signature",
            title="Signature",
            required="made by the identity key that the evidence proves",
            meaning="The enclave itself said this, before any of the Code Provider's program ran.",
            remedy=_NOT_THIS,
        ),
        CheckText(
            name="opening.form",
            title="Form",
            required="an opening in its one encoding",
            meaning="Everybody who reads it reads the same.",
            remedy=_NOT_THIS,
        ),
        CheckText(
            name="opening.contract",
            title="Contract",
            required="the arguments that the evidence proves",
            meaning="The run was under the contract that the participants verified.",
            remedy=_NOT_THIS,
        ),
        CheckText(
            name="opening.enclave",
            title="Enclave",
            required="the measurement and keys that the evidence proves",
            meaning="It speaks of itself, and not of another enclave.",
            remedy=_NOT_THIS,
        ),
    ),
)

PARTICIPANTS = GroupText(
    name="participants",
    title="Who took part, and with what?",
    checks=(
        CheckText(
            name="participants.slots",
            title="Everybody",
            required="one delivery for every participant of the contract, in its order",
            meaning="The run began only when everybody had delivered.",
            remedy=_LYING,
        ),
        CheckText(
            name="participants.statements",
            title="Statements",
            required="each about this contract, this enclave, this role and this key",
            meaning="Everybody delivered to this very enclave, knowing the contract.",
            remedy=_LYING,
        ),
        CheckText(
            name="participants.signatures",
            title="Signatures",
            required="each participant's own over statement and box",
            meaning="Nobody delivered in another one's name.",
            remedy=_LYING,
        ),
        CheckText(
            name="participants.inputs",
            title="Inputs",
            required="exactly the files that each Data Provider committed to",
            meaning="No input was dropped, added, exchanged or renamed.",
            remedy=_LYING,
        ),
    ),
)

CLOSING = GroupText(
    name="closing",
    title="How did it end, and what came out?",
    checks=(
        CheckText(
            name="closing.signature",
            title="Signature",
            required="made by the run key that the opening names",
            meaning="The same process that began the run ended it.",
            remedy=_NOT_THIS,
        ),
        CheckText(
            name="closing.form",
            title="Form",
            required="a closing in its one encoding",
            meaning="Everybody who reads it reads the same.",
            remedy=_NOT_THIS,
        ),
        CheckText(
            name="closing.opening",
            title="Belongs to the opening",
            required="the digest of this opening, under the same contract",
            meaning="It is the end of this run and of no other.",
            remedy=_NOT_THIS,
        ),
        CheckText(
            name="closing.outputs",
            title="What came out",
            required="results of listed consumers and the agreed log, within the agreed limits",
            meaning="Nothing left the enclave but what the contract allows.",
            remedy=_LYING,
        ),
    ),
)

REFUSAL = GroupText(
    name="refusal",
    title="What did the enclave refuse?",
    checks=(
        CheckText(
            name="refusal.signature",
            title="Signature",
            required="made by the identity key that the evidence proves",
            meaning="The enclave itself refused: nobody can refuse in its name.",
            remedy=_NOT_THIS,
        ),
        CheckText(
            name="refusal.form",
            title="Form",
            required="a refusal in its one encoding",
            meaning="Everybody who reads it reads the same.",
            remedy=_NOT_THIS,
        ),
        CheckText(
            name="refusal.enclave",
            title="Enclave",
            required="the contract, measurement and key that the evidence proves",
            meaning="This enclave wiped its keys, and will never run under this contract.",
            remedy=_NOT_THIS,
        ),
    ),
)

RUN_GROUPS = (RECEIPT, OPENING, PARTICIPANTS, CLOSING)
UNFINISHED_GROUPS = (RECEIPT, OPENING, PARTICIPANTS)
REFUSAL_GROUPS = (RECEIPT, REFUSAL)
