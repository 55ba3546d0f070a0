"""A computation in the published client's form: whole files, deliveries of 176 bytes, no code signature."""

from datetime import UTC, datetime
from pathlib import Path

from enclave_world import Party, World

from sealroom.core.compat.legacy_delivery import LegacyDelivery
from sealroom.core.compat.legacy_sealing import seal_legacy_delivery
from sealroom.core.compat.whole_file import open_whole_file, seal_whole_file
from sealroom.core.sealing.keys import PreSharedKey, SigningKey
from sealroom.core.wire.enclave import SimulatedEnclave
from sealroom.core.wire.terms import DeliveryForm, LogRelease


class LegacyWorld(World):
    """The same people and host; the server names every file and nobody commits to one."""

    def __init__(self, base: Path, *, providers: int = 2, consumers: int = 1) -> None:
        super().__init__(base, providers=providers, consumers=consumers)
        self.delivery_form = DeliveryForm.LEGACY
        self.logs = LogRelease.PUBLIC

    def seal_input(self, party: Party, name: str, content: bytes) -> bytes:
        return bytes(seal_whole_file(content, key=party.data_key))

    def seal_code(self, path: str, content: str | bytes) -> bytes:
        raw = content.encode() if isinstance(content, str) else content
        if not path.endswith(".enc"):
            return raw
        return bytes(seal_whole_file(raw, key=self.code_provider.data_key))

    def prepare(self) -> None:
        super().prepare()
        (self.spool / "code-signature").unlink()

    def delivery(self, party: Party, *, to: SimulatedEnclave | None = None) -> bytes:
        sealed = seal_legacy_delivery(
            to=to or self.enclave,
            role=party.role,
            signing_key=SigningKey.from_seed(party.seed),
            preshared_key=PreSharedKey.from_bytes(party.preshared_bytes),
            data_key=party.data_key,
            now=datetime.now(UTC),
            insecure_accept_simulated=self.computation,
        )
        return LegacyDelivery.from_client(sealed, role=party.role, sender_pk=party.public_key).to_bytes()

    def result(self, consumer: int, number: int, name: str) -> bytes:
        """Open a result as the published client does: with the consumer's own data key, and no name."""
        raw = (self.spool / f"results/{consumer}/{number}").read_bytes()
        return bytes(open_whole_file(raw, key=self.consumers[consumer].data_key))
