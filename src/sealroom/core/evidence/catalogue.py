"""What every check of a verification is called, demands, means and advises: the words of the verdict.

The order is the order of the verification. A check that is not in this table cannot be recorded, and one that
is in it and was not recorded stands in the verdict as not reached: none can be forgotten silently.

Spec: docs/spec/verification.md, whose sections are numbered like the groups and checks here.
"""

from sealroom.core.evidence.check_text import CheckText, GroupText
from sealroom.core.evidence.verdict import Blame

_ASK_OPERATOR = "Ask the operator for evidence again; if it comes like this a second time, deliver nothing."
_TAMPERED = "Deliver nothing, and tell the other participants: somebody changed this evidence."
_COLLATERAL = "Fetch fresh collateral for this platform, or wait until Intel's documents are renewed."
_OTHER_PLATFORM = "Ask the operator to update the platform, or decide about your policy."
_OWN_POLICY = "Ask the owner for other terms, or decide about your own policy."
_ASK_OWNER = "Ask the owner, by the channel the invitation came by, and deliver nothing until it is settled."

QUOTE = GroupText(
    name="quote",
    title="Is the quote genuine?",
    checks=(
        CheckText(
            name="quote.form",
            title="Form",
            required="a quote of version 3, 4 or 5",
            meaning="The quote is the processor's statement about the enclave; this one can be read.",
            remedy=_ASK_OPERATOR,
        ),
        CheckText(
            name="quote.trailing",
            title="Nothing after its end",
            required="no bytes after the declared end",
            meaning="Nothing is attached to the quote that its signature does not cover.",
            remedy=_ASK_OPERATOR,
        ),
        CheckText(
            name="quote.chain",
            title="Certificate chain",
            required="a valid chain from the platform's certificate to a root",
            meaning="Each certificate, up to the root's, is signed by the next and valid now.",
            remedy=_ASK_OPERATOR,
        ),
        CheckText(
            name="quote.root",
            title="Root key",
            required="Intel's pinned root key",
            meaning="Only a chain that ends in Intel's key proves that there is an enclave at all.",
            remedy="Treat it as a rehearsal: a simulated enclave hides nothing from its host.",
        ),
        CheckText(
            name="quote.vendor",
            title="Quoting enclave's vendor",
            required="the vendor that belongs to the root",
            meaning="The enclave that signs quotes is of the vendor whose root vouches for it.",
            remedy=_TAMPERED,
        ),
        CheckText(
            name="quote.qe-signature",
            title="Quoting enclave's report",
            required="signed by the platform's certified key",
            meaning="The platform itself vouches for the enclave that signs its quotes.",
            remedy=_TAMPERED,
        ),
        CheckText(
            name="quote.attestation-key",
            title="Attestation key",
            required="the key bound by the quoting enclave's report",
            meaning="The key under the quote is the quoting enclave's, not the sender's.",
            remedy=_TAMPERED,
        ),
        CheckText(
            name="quote.signature",
            title="Signature",
            required="made by the attestation key over the bytes received",
            meaning="Not one byte of the statement about the enclave was changed.",
            remedy=_TAMPERED,
        ),
    ),
)

PLATFORM = GroupText(
    name="platform",
    title="Is the platform sound?",
    checks=(
        CheckText(
            name="platform.collateral",
            title="Collateral",
            required="the nine documents that Intel publishes for the platform",
            meaning="Whether a platform is sound stands in documents of Intel's, which must be at hand.",
            remedy=_COLLATERAL,
        ),
        CheckText(
            name="platform.root-crl",
            title="Root's revocation list",
            required="signed by the same root, valid now",
            meaning="It is known which certification authorities the root has revoked.",
            remedy=_COLLATERAL,
        ),
        CheckText(
            name="platform.pck-crl",
            title="Platforms' revocation list",
            required="signed by the platform's authority, valid now",
            meaning="It is known which platforms have been revoked.",
            remedy=_COLLATERAL,
        ),
        CheckText(
            name="platform.tcb-info",
            title="TCB info",
            required="signed under the same root, valid now",
            meaning="It is known what Intel thinks of each microcode level of this kind of platform.",
            remedy=_COLLATERAL,
        ),
        CheckText(
            name="platform.qe-identity",
            title="Quoting enclave's identity",
            required="signed under the same root, valid now",
            meaning="It is known which quoting enclave Intel stands behind.",
            remedy=_COLLATERAL,
        ),
        CheckText(
            name="platform.revocation",
            title="Revocation",
            required="neither the platform nor its authority is revoked",
            meaning="Intel has not withdrawn its word for this very platform.",
            remedy="Deliver nothing: keys of this platform may be in wrong hands.",
        ),
        CheckText(
            name="platform.match",
            title="Documents are for this platform",
            required="TCB info of the platform's FMSPC and PCE, for this kind of TEE",
            meaning="The platform is judged by the documents for its own kind.",
            remedy=_COLLATERAL,
        ),
        CheckText(
            name="platform.quoting-enclave",
            title="Quoting enclave is Intel's",
            required="signer, product and attributes of the identity",
            meaning="The enclave that signed the quote is the one that Intel describes.",
            remedy=_TAMPERED,
        ),
        CheckText(
            name="platform.tcb",
            title="TCB level",
            required="a level that Intel has judged",
            meaning="The platform's microcode has a level that Intel has judged.",
            remedy=_OTHER_PLATFORM,
        ),
        CheckText(
            name="platform.status",
            title="TCB status",
            required="a status that your policy accepts, and never Revoked",
            meaning="How well patched the platform is, in Intel's words.",
            remedy=_OTHER_PLATFORM,
        ),
        CheckText(
            name="platform.advisories",
            title="Security advisories",
            required="only advisories that your policy accepts",
            meaning="Known weaknesses of this platform at its level.",
            remedy=_OTHER_PLATFORM,
        ),
        CheckText(
            name="platform.evaluation-number",
            title="Evaluation number",
            required="at least your policy's",
            meaning="The judgement knows every recovery event that your policy knows.",
            remedy=_COLLATERAL,
        ),
        CheckText(
            name="platform.collateral-age",
            title="Age of the documents",
            required="at most your policy's",
            meaning="Documents that are still valid can be too old to know the newest weakness.",
            remedy=_COLLATERAL,
        ),
        CheckText(
            name="platform.known",
            title="Platform is one you listed",
            required="a platform of your policy's list",
            meaning="Where your policy lists machines, it is one of them.",
            remedy=_OWN_POLICY,
        ),
    ),
)

ENCLAVE = GroupText(
    name="enclave",
    title="Is it closed to its host?",
    checks=(
        CheckText(
            name="enclave.tee",
            title="Kind of TEE",
            required="an SGX enclave, and a kind that your policy accepts",
            meaning="What you deliver to runs in SGX enclaves; other kinds can be looked at.",
            remedy=_OWN_POLICY,
        ),
        CheckText(
            name="enclave.debug",
            title="Not debuggable",
            required="the debug attribute is off",
            meaning="The host cannot look into the enclave's memory with a debugger.",
            remedy="Deliver nothing: whoever runs this enclave can read all that is in it.",
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
            name="enclave.config",
            title="No host-chosen fields",
            required="config id, family id and extended product id are zero",
            meaning="The host put nothing into the fields that the measurement does not cover.",
            remedy=_TAMPERED,
        ),
    ),
)

MEASUREMENT = GroupText(
    name="measurement",
    title="Does it run exactly what was agreed?",
    checks=(
        CheckText(
            name="measurement.pal",
            title="First code (PAL)",
            required="a PAL that your release knows",
            meaning="The code that starts first, and reads the manifest, is one your release names.",
            remedy="Install the operator's release, from the place you trust, and verify again.",
        ),
        CheckText(
            name="measurement.mrenclave",
            title="MRENCLAVE",
            required="the quote's MRENCLAVE is that of manifest and PAL, recomputed here",
            meaning="The processor measured exactly this manifest, and so every file it names.",
            remedy=_TAMPERED,
        ),
        CheckText(
            name="measurement.policy",
            title="Your policy's measurements",
            required="one that your policy accepts",
            meaning="Where your policy lists enclaves, it is one of them.",
            remedy=_OWN_POLICY,
        ),
        CheckText(
            name="measurement.arguments",
            title="Arguments",
            required="the arguments file that the manifest measures, in its one form",
            meaning="The contract you are shown is the one the enclave runs under.",
            remedy=_TAMPERED,
        ),
        CheckText(
            name="measurement.code-list",
            title="Code list",
            required="the code list that the arguments name",
            meaning="The list of the program's files is the one that everybody agrees to.",
            remedy=_TAMPERED,
        ),
        CheckText(
            name="measurement.release",
            title="Release",
            required="the release of sealroom that runs here",
            meaning="Both sides run the same sealroom, so that its files can be compared.",
            remedy="Install the operator's release, from the place you trust, and verify again.",
        ),
        CheckText(
            name="measurement.manifest",
            title="Manifest, byte for byte",
            required="the manifest that your own release builds around the runtime in it",
            meaning="Nothing is in the enclave, or allowed, but what your own release would put there.",
            remedy=_TAMPERED,
        ),
        CheckText(
            name="measurement.runtime",
            title="Runtime",
            required="the interpreter and libraries of your release's bill of materials",
            meaning="The program's interpreter and libraries are the published ones.",
            remedy="Use a real enclave with the runtime of your own release. A simulated one has the host's.",
        ),
    ),
)

CONTRACT = GroupText(
    name="contract",
    title="Is it what the owner proposed?",
    checks=(
        CheckText(
            name="contract.tee",
            title="Kind of enclave",
            required="the kind that the quote proves",
            meaning="An enclave that calls itself real is real, and a simulated one says so.",
            remedy=_TAMPERED,
        ),
        CheckText(
            name="contract.computation",
            title="Computation",
            required="the invitation's computation",
            meaning="This is the computation that you were invited to.",
            remedy=_ASK_OWNER,
        ),
        CheckText(
            name="contract.terms",
            title="Terms",
            required="the terms that the invitation pins",
            meaning="People, roles, log choice and limits are the owner's: the server changed none.",
            remedy=_ASK_OWNER,
        ),
        CheckText(
            name="contract.delivery",
            title="Form of delivery",
            required="the form of this protocol, or one that your policy allows",
            meaning="The older form binds neither sender nor inputs into what you deliver.",
            remedy=_OWN_POLICY,
        ),
        CheckText(
            name="contract.logs",
            title="Who reads what the program prints",
            required="a choice that your policy accepts",
            meaning="Whatever the program prints leaves the enclave for these readers.",
            remedy=_OWN_POLICY,
        ),
        CheckText(
            name="contract.own-roles",
            title="Your own keys",
            required="each of your roles stands there with your key",
            meaning="Nobody takes part in your name with another key.",
            remedy=_ASK_OWNER,
        ),
        CheckText(
            name="contract.participants",
            title="The other keys",
            required="no key but the one you know, and pinned where your policy asks for it",
            meaning="How well each key is known to be its owner's.",
            remedy="Compare fingerprints with that person by another channel, then add the contact.",
        ),
    ),
)

CODE = GroupText(
    name="code",
    title="Whose code is it?",
    checks=(
        CheckText(
            name="code.signature",
            title="Signature",
            required="the Code Provider's, over this code for this computation",
            meaning="The Code Provider signed exactly these files for this computation.",
            remedy=_TAMPERED,
        ),
        CheckText(
            name="code.entry-point",
            title="Entry point",
            required="the run.py of the code list",
            meaning="The run.py that you can read is the one that runs.",
            remedy=_TAMPERED,
        ),
        CheckText(
            name="code.packages",
            title="Packages",
            required="the wheels that requirements.txt names by hash, whose files you listed yourself",
            meaning="Every file of every package is one of a wheel that you hold, by these versions.",
            remedy="Fetch the wheels (`sealroom packages fetch`). If one is refused, ask the Code Provider.",
        ),
        CheckText(
            name="code.expected",
            title="The code you know",
            required="the code that you signed or reviewed, where you did",
            meaning="It is the version that you have seen, not an older or newer one by the same provider.",
            remedy="Look at the code again, and verify anew if you agree with what changed.",
        ),
    ),
)

KEYS = GroupText(
    name="keys",
    title="Whose keys are they?",
    checks=(
        CheckText(
            name="keys.report-data",
            title="The enclave's keys",
            required="the quote's report data binds exactly these two keys",
            meaning="What is sealed to these keys can be opened inside this enclave only.",
            remedy=_TAMPERED,
        ),
    ),
)

GROUPS = (QUOTE, PLATFORM, ENCLAVE, MEASUREMENT, CONTRACT, CODE, KEYS)
