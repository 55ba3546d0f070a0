"""Which files of the standard library an enclave gets: what its programs can use, and nothing they cannot.

What for: every file is measured, compared and hashed again when the enclave starts, so a module that needs a
network, a terminal, a sound card or a second process costs everybody and serves nobody. What is left is the
import graph of sealroom, of numpy, pandas, scikit-learn, DuckDB, pyarrow, polars and fsspec, and what data
programs import themselves (`tests/unit/insecure/test_staged_runtime.py` has the list).

A module that this page does not know is kept: another Python has other modules.
Spec page: docs/spec/launch-folder.md, "The runtime".
"""

from pathlib import PurePosixPath

# Not needed inside: tests, other people's packages, installers, and what draws windows.
_SKIPPED_FOLDERS = frozenset(
    {
        "__pycache__", "test", "tests", "site-packages", "dist-packages", "ensurepip", "idlelib", "lib2to3",
        "tkinter", "turtledemo", "distutils", "pydoc_data", "venv", "curses",
    }
)  # fmt: skip
_SKIPPED_EXTENSIONS = (
    "_tkinter.", "_curses", "readline.", "nis.", "_dbm.", "_gdbm.", "_test", "_xxtestfuzz.", "xxlimited",
    "_ctypes_test.",
)  # fmt: skip
_SUFFIXES = (".py", ".so")

# Nothing of these folders works inside, or is imported by anything that does.
_FOLDERS = frozenset(
    {
        "__phello__", "dbm", "macholib", "wsgiref", "xmlrpc", "xml/dom", "xml/sax", "email/mime",
    }
)  # fmt: skip
_MODULES = frozenset(
    [
        "__hello__", "_aix_support", "_bootsubprocess", "_osx_support", "aifc", "antigravity", "asynchat",
        "asyncore", "cProfile", "cgi", "cgitb", "chunk", "compileall", "crypt", "filecmp", "ftplib",
        "getpass", "imaplib", "imghdr", "imp", "mailbox", "mailcap", "modulefinder", "netrc", "nntplib",
        "nturl2path", "pickletools", "pipes", "plistlib", "poplib", "profile", "pty", "py_compile",
        "pyclbr", "rlcompleter", "smtpd", "smtplib", "sndhdr", "socketserver", "sre_compile",
        "sre_constants", "sre_parse", "sunau", "symtable", "tabnanny", "telnetlib", "this", "trace",
        "tty", "turtle", "uu", "wave", "webbrowser", "xdrlib", "zipapp",
        "asyncio/__main__", "asyncio/proactor_events", "asyncio/windows_events", "asyncio/windows_utils",
        "ctypes/_aix", "email/_header_value_parser", "email/contentmanager", "email/headerregistry",
        "email/policy", "http/cookiejar", "http/cookies", "http/server", "json/tool", "logging/config",
        "multiprocessing/forkserver", "multiprocessing/popen_fork", "multiprocessing/popen_forkserver",
        "multiprocessing/popen_spawn_posix", "multiprocessing/popen_spawn_win32", "sqlite3/dump",
        "unittest/__main__", "urllib/robotparser", "xml/etree/ElementInclude", "xml/etree/cElementTree",
        "lib-dynload/_codecs_cn", "lib-dynload/_codecs_hk", "lib-dynload/_codecs_iso2022",
        "lib-dynload/_codecs_jp", "lib-dynload/_codecs_kr", "lib-dynload/_codecs_tw",
        "lib-dynload/_multibytecodec", "lib-dynload/_crypt", "lib-dynload/_lsprof",
        "lib-dynload/_xxsubinterpreters", "lib-dynload/audioop", "lib-dynload/ossaudiodev",
        "lib-dynload/spwd", "lib-dynload/syslog", "lib-dynload/termios",
    ]
)  # fmt: skip
# Encodings in which tables are written today; the rest of the hundred are of other decades and machines.
_ENCODINGS = frozenset(
    [
        "__init__", "aliases", "ascii", "base64_codec", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254",
        "cp1257", "cp437", "cp850", "cp852", "hex_codec", "idna", "iso8859_1", "iso8859_15", "iso8859_2",
        "iso8859_5", "iso8859_7", "iso8859_9", "latin_1", "punycode", "raw_unicode_escape",
        "unicode_escape", "utf_16", "utf_16_be", "utf_16_le", "utf_32", "utf_32_be", "utf_32_le", "utf_8",
        "utf_8_sig",
    ]
)  # fmt: skip


def is_useful(path: PurePosixPath, *, serves: bool = False) -> bool:
    """Say whether a file of the standard library, by its path below it, belongs into an enclave.

    One that `serves` has every module in Python: web frameworks import servers, mail and cookies, and what is
    in the archive costs nothing more.
    """
    if serves and path.suffix == ".py":
        return True
    name = f"{path.parent}/{path.name.partition('.')[0]}".removeprefix("./")
    if path.parts[0] == "encodings":
        return name.removeprefix("encodings/") in _ENCODINGS
    folders = (str(folder) for folder in path.parents)
    return name not in _MODULES and not any(
        folder in _FOLDERS or folder.rpartition("/")[2] in _FOLDERS for folder in folders
    )


def is_measured_file(path: PurePosixPath) -> bool:
    """Say whether a file, by its path below a library or package, is of a kind that an enclave can use."""
    if any(is_skipped_folder(part) for part in path.parts[:-1]):
        return False
    wanted = path.name.endswith(_SUFFIXES) or ".so." in path.name
    return wanted and not path.name.startswith(_SKIPPED_EXTENSIONS)


def is_skipped_folder(name: str) -> bool:
    """Say whether nothing below a folder of that name belongs into an enclave."""
    return name in _SKIPPED_FOLDERS or name.startswith("config-")
