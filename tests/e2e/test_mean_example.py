"""The example of the published service, program and all, on a platform of real processes."""

import ast
from pathlib import Path

import pytest
from platform_world import World

from sealroom.client import State

pytestmark = pytest.mark.e2e

EXAMPLE = Path(__file__).parents[2] / "examples" / "mean"


def test_the_mean_of_two_tables_with_the_program_unmodified(world: World) -> None:
    scene = world.scene(data_providers=2)
    scene.register()
    tables = sorted((EXAMPLE / "data").glob("*/*.csv"))
    for number, table in enumerate(tables):
        scene.send_data(number, {table.name: table.read_bytes()})
        scene.data[number].done()
    scene.send_code({path.name: path.read_text() for path in (EXAMPLE / "code").glob("*.py")})
    scene.wait_for(State.AWAITING_KEYS)
    scene.deliver_all()
    scene.wait_for(State.SUCCEEDED)
    (result,) = scene.readers[0].results()
    rows = [row for table in tables for row in table.read_text().splitlines()[1:]]
    numbers = [float(row) for row in rows]
    assert (result.name, result.path.read_text()) == ("result", f"{sum(numbers) / len(numbers):.4f}\n")


def test_its_entry_point_has_the_form_that_the_published_client_demands() -> None:
    _words, *imports, main, guard = ast.parse((EXAMPLE / "code" / "run.py").read_text()).body
    assert "from cosmian_lib_sgx import Enclave" in [ast.unparse(each) for each in imports]
    assert isinstance(main, ast.FunctionDef)
    assert ast.unparse(main.returns) == "int"
    assert [type(statement) for statement in main.body] == [ast.With, ast.Return]
    assert ast.unparse(guard) == "if __name__ == '__main__':\n    main()"
