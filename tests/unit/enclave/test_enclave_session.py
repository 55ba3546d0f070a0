from enclave_world import World

from sealroom.core.wire.receipt_closing import Outcome

RUN = """
from model import total
from sealroom.enclave import Enclave

def main() -> int:
    with Enclave() as enclave:
        numbers = [int(file.read()) for file in enclave.read()]
        print("numbers:", len(numbers))
        enclave.write(str(total(numbers)).encode(), name="total.txt")
    return 0

if __name__ == "__main__":
    main()
"""


def test_runs_the_program_on_everybody_s_data_and_seals_the_result(world: World) -> None:
    world.code = {"run.py": RUN, "model.py": "def total(numbers):\n    return sum(numbers)\n"}
    world.add_input(0, "a.txt", b"3")
    world.add_input(1, "b.txt", b"4")
    world.add_input(1, "c.txt", b"5")
    assert world.run() == 0, world.stderr()
    assert world.result(0, 0, "total.txt") == b"12"
    assert world.closing().outcome is Outcome.SUCCEEDED
    assert world.log(world.providers[1]) == "numbers: 3\n"
