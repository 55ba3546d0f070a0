"""requirements.txt: one form, and nothing that pip would understand besides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealroom.core.errors import MalformedError
from sealroom.core.measurement.requirements import (
    MAX_REQUIREMENTS,
    Requirement,
    normal_name,
    parse_requirements,
    write_requirements,
)

HASH = "ab" * 32
LINE = f"numpy==2.4.6 --hash=sha256:{HASH}"


def test_reads_what_it_writes() -> None:
    pinned = (
        Requirement(name="numpy", version="2.4.6", sha256=bytes(32)),
        Requirement(name="scikit-learn", version="1.9.1rc1+cpu", sha256=bytes([1]) * 32),
    )
    raw = write_requirements(pinned[::-1])
    assert raw.splitlines()[0] == b"numpy==2.4.6 --hash=sha256:" + b"00" * 32
    assert parse_requirements(raw) == pinned


def test_an_empty_file_names_no_package() -> None:
    assert parse_requirements(b"") == ()


@pytest.mark.parametrize(
    "text",
    [
        LINE,
        f"{LINE}\r\n",
        f"{LINE}\n\n",
        "\n",
        f"# a comment\n{LINE}\n",
        f"{LINE}  # a comment\n",
        f"numpy>=2.4.6 --hash=sha256:{HASH}\n",
        "numpy==2.4.6\n",
        f"numpy == 2.4.6 --hash=sha256:{HASH}\n",
        f"{LINE} --hash=sha256:{'cd' * 32}\n",
        f"numpy==2.4.6 \\\n    --hash=sha256:{HASH}\n",
        f"numpy==2.4.6 --hash=sha512:{HASH}\n",
        f"numpy==2.4.6 --hash=sha256:{HASH.upper()}\n",
        f"numpy==2.4.6 --hash=sha256:{HASH[2:]}\n",
        f"numpy==2.4.6;python_version>'3' --hash=sha256:{HASH}\n",
        f"numpy[extra]==2.4.6 --hash=sha256:{HASH}\n",
        f"numpy==2.* --hash=sha256:{HASH}\n",
        f"numpy @ https://host.example/numpy.whl --hash=sha256:{HASH}\n",
        f"--index-url https://host.example\n{LINE}\n",
        "-e .\n",
        "./numpy.whl\n",
        f"NumPy==2.4.6 --hash=sha256:{HASH}\n",
        f"typing_extensions==4 --hash=sha256:{HASH}\n",
        f"a--b==4 --hash=sha256:{HASH}\n",
        f"{LINE}\n{LINE}\n",
        f"{LINE}\naaa==1 --hash=sha256:{'cd' * 32}\n",
        f"{LINE}\nscipy==1 --hash=sha256:{HASH}\n",
        f"numpÿ==2.4.6 --hash=sha256:{HASH}\n",
    ],
)
def test_refuses_every_other_form(text: str) -> None:
    with pytest.raises(MalformedError, match=r"requirements\.txt"):
        parse_requirements(text.encode())


def test_a_refusal_names_the_line_and_the_form() -> None:
    with pytest.raises(MalformedError, match="line 2: got 'scipy>=1', expected name==version --hash=sha256:"):
        parse_requirements(f"{LINE}\nscipy>=1\n".encode())


def test_refuses_more_packages_than_anybody_reviews() -> None:
    lines = [f"p{number:04}==1 --hash=sha256:{number:064x}\n" for number in range(MAX_REQUIREMENTS + 1)]
    parse_requirements("".join(lines[:-1]).encode())
    with pytest.raises(MalformedError, match="257 lines"):
        parse_requirements("".join(lines).encode())


def test_does_not_write_what_it_would_not_read() -> None:
    with pytest.raises(MalformedError):
        write_requirements([Requirement(name="NumPy", version="1", sha256=bytes(32))])


def test_names_have_one_spelling() -> None:
    assert normal_name("Ruamel.YAML__clib") == "ruamel-yaml-clib"


@given(st.binary(max_size=200) | st.text("numpy=2.4-hashs:6 \n#;[]ab0", max_size=120).map(str.encode))
def test_parses_or_says_malformed(raw: bytes) -> None:
    try:
        parsed = parse_requirements(raw)
    except MalformedError:
        return
    assert write_requirements(parsed) == raw
