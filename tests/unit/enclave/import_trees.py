"""Small programs that import in every way Python has, each under the sentence that it shows.

`SAME_AS_PYTHON` are run by Python itself over files on disk, too, and must print the same.
Each prints `end`
last.
"""

from textwrap import dedent


def _tree(**files: str) -> dict[str, str]:
    """Return paths and contents of Python files at the top, `run` among them."""
    paths = {f"{name}.py": dedent(text).lstrip("\n") for name, text in files.items()}
    paths["run.py"] += "\nprint('end')\n"
    return paths


def _with(tree: dict[str, str], files: dict[str, str]) -> dict[str, str]:
    return tree | {path: dedent(text).lstrip("\n") for path, text in files.items()}


_ATTRIBUTES = """
    def show(module):
        spec = module.__spec__
        print(module.__name__, repr(module.__package__), getattr(module, '__file__', 'unset'))
        print(list(getattr(module, '__path__', ['no path'])), getattr(module, '__cached__', 'unset'))
        print(spec.name, spec.parent, spec.origin, spec.has_location, spec.cached)
        print(spec.submodule_search_locations and list(spec.submodule_search_locations))
"""

SAME_AS_PYTHON: dict[str, dict[str, str]] = {
    "packages, sub-packages and every form of import": _with(
        _tree(
            run="""
            import pack.deep.leaf, plain
            import pack.deep.leaf as named
            from pack.deep import leaf, twig as other
            from pack import *
            from pack.deep.leaf import name as n, y
            print(named is leaf is pack.deep.leaf, other.__name__, shown, n, y, plain.x)
            print('hidden' in globals(), sorted(name for name in vars(pack) if name[0] != '_'))
            """,
            plain="from pack.deep import leaf\nx = leaf.y\n",
        ),
        {
            "pack/__init__.py": "__all__ = ['shown', 'deep']\nhidden = 1\nfrom .side import shown\n",
            "pack/side.py": "shown = 'shown'\n",
            "pack/deep/__init__.py": "from ..side import shown as again\n",
            "pack/deep/leaf.py": "from . import again\nfrom .. import side\nname, y = again, 7\n",
            "pack/deep/twig.py": "",
        },
    ),
    "what modules, packages and namespaces say of themselves": _with(
        _tree(
            run="""
            import plain, pack, pack.sub, pack.sub.leaf, space, space.leaf
            from show import show
            for module in (plain, pack, pack.sub, pack.sub.leaf, space, space.leaf):
                show(module)
            print(type(space.__path__).__name__, repr(plain), repr(pack.sub))
            """,
            plain="x = 1\n",
            show=_ATTRIBUTES,
        ),
        {
            "pack/__init__.py": "",
            "pack/sub/__init__.py": "",
            "pack/sub/leaf.py": "",
            "space/leaf.py": "",
        },
    ),
    "the main module has what that of a script has": _tree(
        run="""
        '''What it is for.'''
        import __main__, sys
        if __name__ == '__main__':
            print(sorted(set(globals()) - {'__loader__'}), __name__, __package__, __spec__, __doc__)
            print(__file__, __cached__, __main__.__dict__ is globals(), sys.path[0], __annotations__)
            print(__builtins__ is sys.modules['builtins'])
            import run
            print(run is __main__, run.__name__, run.__file__)
        """
    ),
    "relative imports go up to the top package and no further": _with(
        _tree(
            run="""
            import top.mid.low
            for name in ('top.mid.beyond', 'top.mid.sideways'):
                try:
                    __import__(name)
                except ImportError as error:
                    print(type(error).__name__, error)
            try:
                from . import nothing
            except ImportError as error:
                print(type(error).__name__, error)
            try:
                from .. import nothing
            except ImportError as error:
                print(type(error).__name__, error)
            import importlib
            print(importlib.import_module('..other', 'top.mid').__name__)
            print(__import__('top', level=0).__name__)
            """
        ),
        {
            "top/__init__.py": "",
            "top/other.py": "value = 'other'\n",
            "top/mid/__init__.py": "",
            "top/mid/low.py": "from .. import other\nprint(other.value)\n",
            "top/mid/beyond.py": "from ... import anything\n",
            "top/mid/sideways.py": "from ..nowhere import anything\n",
        },
    ),
    "circular imports work where they work in Python, and fail with its words": _with(
        _tree(
            run="""
            import a
            print(a.b.a is a, a.b.late())
            import ring.one
            print(ring.one.two.one is ring.one, ring.one.two.three.one is ring.one)
            import dotted.x
            print(dotted.x.y.answer())
            try:
                import broken_a
            except ImportError as error:
                print(error, error.name)
            import sys
            print('broken_a' in sys.modules, 'broken_b' in sys.modules)
            try:
                import early_a
            except AttributeError as error:
                print(error)
            """,
            a="import b\nx = 1\n",
            b="import a\ndef late():\n    return a.x\n",
            broken_a="from broken_b import y\nx = 1\n",
            broken_b="from broken_a import x\ny = 1\n",
            early_a="import early_b\nx = 1\n",
            early_b="import early_a\ny = early_a.x\n",
        ),
        {
            "ring/__init__.py": "from . import one\n",
            "ring/one.py": "from . import two\n",
            "ring/two.py": "from . import one, three\n",
            "ring/three.py": "import ring.one as one\n",
            "dotted/__init__.py": "",
            "dotted/x.py": "import dotted.y as y\nvalue = 5\n",
            "dotted/y.py": "import dotted.x as x\ndef answer():\n    return x.value\n",
        },
    ),
    "namespace packages spread over the module path": _with(
        _tree(
            run="""
            import os, sys
            import space.near
            here = os.path.dirname(__file__)
            sys.path.append(os.path.join(here, 'more'))
            import space.far, space.deep.leaf
            print(list(space.__path__), space.far.x, space.deep.leaf.x)
            sys.path.append(here + '/most')
            import space.deep.last
            print(list(space.__path__), list(space.deep.__path__), space.deep.last.x)
            try:
                import space.nothing
            except ImportError as error:
                print(error)
            from space import near, far
            print(near.__package__, space.__file__)
            """
        ),
        {
            "space/near.py": "x = 'near'\n",
            "space/deep/leaf.py": "x = 'leaf'\n",
            "more/space/far.py": "from . import near\nx = 'far ' + near.x\n",
            "most/space/deep/last.py": "from .leaf import x as leaf\nx = leaf + ' last'\n",
        },
    ),
    "a package comes before a module, a module before a bare folder, wherever each lies": _with(
        _tree(
            run="""
            import sys
            sys.path.append(__file__.replace('run.py', 'later'))
            import both, bare, shadow, json.decoder
            print(both.kind, bare.kind, shadow.kind, json.decoder.__name__, hasattr(json, 'dumps'))
            print(hasattr(bare, '__path__'))
            """,
            both="kind = 'module'\n",
            bare="kind = 'module'\n",
        ),
        {
            "both/__init__.py": "kind = 'package'\n",
            "bare/inner.py": "",
            "shadow/inner.py": "kind = 'folder'\n",
            "later/shadow/__init__.py": "kind = 'package elsewhere'\n",
            "later/both/__init__.py": "kind = 'later'\n",
            "json/other.py": "",
        },
    ),
    "importlib.resources reads what lies beside a package": _with(
        _tree(
            run="""
            import importlib.resources as resources
            from importlib.resources import files, as_file
            import pack
            top = files('pack')
            print(sorted(entry.name for entry in top.iterdir()), top.is_dir(), top.is_file())
            table = top / 'data' / 'table.csv'
            print(table.name, table.is_file(), table.is_dir(), table.read_text('utf-8').splitlines())
            print(top.joinpath('data/table.csv').read_bytes()[:3], (top / 'none').is_file())
            with table.open('rb') as file:
                print(file.seek(3), file.read(2), file.seek(-2, 2), file.read(), file.readable())
            with table.open('r', encoding='utf-8', newline='') as file:
                print(file.readline(), list(file))
            for wrong in (lambda: (top / 'none').read_bytes(), lambda: (top / 'data').read_bytes()):
                try:
                    wrong()
                except OSError as error:
                    print('no')
            with as_file(table) as path:
                print(path.read_text('utf-8') == table.read_text('utf-8'))
            print(files(pack).joinpath('data', 'table.csv').is_file())
            print(sorted(entry.name for entry in (top / 'data').iterdir()))
            from pack import reader
            print(reader.text)
            """
        ),
        {
            "pack/__init__.py": "",
            "pack/reader.py": (
                "from importlib.resources import files\n"
                "text = (files(__package__) / 'data/table.csv').read_text(encoding='utf-8')[:5]\n"
            ),
            "pack/data/table.csv": "a,b\r\n1,2\r\n",
            "pack/data/deep/more.txt": "more",
        },
    ),
    "importlib.resources reads folders without an init file, and several under one name": _with(
        _tree(
            run="""
            import sys
            sys.path.append(__file__.replace('run.py', 'more'))
            from importlib.resources import files
            top = files('data')
            print(sorted(entry.name for entry in top.iterdir()))
            print((top / 'one.txt').read_text('utf-8'), (top / 'two.txt').read_text('utf-8'))
            print((top / 'none.txt').is_file())
            """
        ),
        {"data/one.txt": "one", "more/data/two.txt": "two", "more/data/sub/three.txt": "three"},
    ),
    "pkgutil finds and reads": _with(
        _tree(
            run="""
            import pkgutil, pack, space.leaf
            print(pkgutil.get_data('pack', 'data/table.bin'))
            print(pkgutil.get_data('pack.sub', '../data/table.bin'))
            for name in ('none', '../../../etc/hostname'):
                try:
                    pkgutil.get_data('pack', name)
                except OSError:
                    print('no', name)
            print([(m.name, m.ispkg) for m in pkgutil.iter_modules(pack.__path__, 'pack.')])
            print([m.name for m in pkgutil.walk_packages(pack.__path__, 'pack.')])
            print([m.name for m in pkgutil.iter_modules(space.__path__)])
            print([m.name for m in pkgutil.iter_modules([__file__.removesuffix('/run.py')])])
            print(pkgutil.resolve_name('pack.sub.leaf:x'))
            """,
            plain="",
        ),
        {
            "pack/__init__.py": "",
            "pack/side.py": "",
            "pack/data/table.bin": "secret table",
            "pack/sub/__init__.py": "",
            "pack/sub/leaf.py": "x = 3\n",
            "pack/not-a-module.py": "",
            "pack/with.dot.py": "",
            "space/leaf.py": "",
        },
    ),
    "modules are reloaded, removed and imported again": _with(
        _tree(
            run="""
            import importlib.util, sys, counted, pack.sub
            counted.x, first = 99, counted
            print(importlib.reload(counted) is first, counted.x, counted.times)
            del sys.modules['counted']
            import counted as again
            print(again is first, again.times)
            print(importlib.reload(pack.sub).__name__, importlib.reload(pack).__path__)
            importlib.invalidate_caches()
            print(importlib.util.find_spec('pack.sub').origin, importlib.util.find_spec('nothing'))
            print(importlib.util.find_spec('.sub', 'pack').name)
            spec = importlib.util.find_spec('counted')
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            print(module is again, module.times, spec.loader.is_package('counted'), spec.loader.name)
            try:
                importlib.util.find_spec('nothing.below')
            except ModuleNotFoundError as error:
                print(error, error.name)
            """,
            counted="times = globals().get('times', 0) + 1\nx = 1\n",
        ),
        {"pack/__init__.py": "", "pack/sub.py": ""},
    ),
    "runpy runs modules": _with(
        _tree(
            run="""
            import runpy
            print(runpy.run_module('pack.tool', run_name='__main__', alter_sys=True)['seen'])
            print(runpy.run_module('pack')['seen'])
            """
        ),
        {
            "pack/__init__.py": "",
            "pack/tool.py": "import sys\nseen = (__name__, __package__, __file__, sys.argv[0])\n",
            "pack/__main__.py": "seen = (__name__, __package__, __spec__.name)\n",
        },
    ),
    "classes of modules are pickled, copied and described": _with(
        _tree(
            run="""
            from __future__ import annotations
            import copy, dataclasses, enum, pickle, typing
            from shapes.model import Model, Kind
            @dataclasses.dataclass
            class Local:
                x: int
                model: Model
            one = Local(3, Model(Kind.LARGE))
            print(pickle.loads(pickle.dumps(one)), copy.deepcopy(one) == one)
            print(Model.__module__, Model.__qualname__)
            print(typing.get_type_hints(Model), typing.get_type_hints(Local))
            print(dataclasses.fields(Model)[0].type, Model.Inner.__qualname__)
            print(pickle.dumps(Model.Inner).count(b'shapes.model'))
            """
        ),
        {
            "shapes/__init__.py": "",
            "shapes/kind.py": "import enum\nclass Kind(enum.Enum):\n    SMALL = 1\n    LARGE = 2\n",
            "shapes/model.py": """
                from __future__ import annotations
                from dataclasses import dataclass
                from .kind import Kind
                from typing import Optional
                @dataclass
                class Model:
                    kind: Kind
                    parent: Optional[Model] = None
                    class Inner:
                        pass
                """,
        },
    ),
    "a module named like one of the standard library wins as in a script's folder": _with(
        _tree(
            run="""
            import uuid, json, shlex, colorsys, os, sys, io, zipimport
            print(uuid.x, json.x, json.decoder.x, shlex.x, colorsys.x)
            print(hasattr(os, 'getpid'), hasattr(sys, 'path'), hasattr(io, 'BytesIO'))
            print(hasattr(zipimport, 'zipimporter'))
            """,
            uuid="x = 'our uuid'\n",
            shlex="x = 'our shlex'\n",
            colorsys="x = 'our colorsys'\n",
            os="x = 'never'\n",
            sys="x = 'never'\n",
            io="x = 'never'\n",
            zipimport="x = 'never'\n",
        ),
        {"json/__init__.py": "x = 'our json'\nfrom . import decoder\n", "json/decoder.py": "x = 'ours'\n"},
    ),
    "names are found lazily, by __getattr__ and by hooks of the program": _with(
        _tree(
            run="""
            import sys, lazy, types
            from lazy import heavy
            print(heavy.x, lazy.made, 'late' in sys.modules)
            from lazy import late
            print(late.x)
            from importlib.machinery import ModuleSpec
            class Made:
                def find_spec(self, name, path=None, target=None):
                    return ModuleSpec(name, self) if name == 'made_up' else None
                def create_module(self, spec):
                    return None
                def exec_module(self, module):
                    module.x = 'made up'
            sys.meta_path.insert(0, Made())
            import made_up
            print(made_up.x)
            sys.modules['aliased'] = lazy
            import aliased
            print(aliased is lazy)
            import swap
            print(swap, swap.x if hasattr(swap, 'x') else None)
            """,
            lazy=(
                "import importlib\n"
                "def __getattr__(name):\n"
                "    if name == 'made':\n        return 'made'\n"
                "    if name in ('late', 'heavy'):\n        return importlib.import_module(name)\n"
                "    raise AttributeError(name)\n"
            ),
            late="x = 'late'\n",
            heavy="x = 'heavy'\n",
            swap="import sys\nsys.modules[__name__] = 'swapped'\n",
        ),
        {},
    ),
    "a module that raises is not imported, and is tried again": _with(
        _tree(
            run="""
            import sys
            for _ in range(2):
                try:
                    import pack.bad
                except ValueError as error:
                    print(error, 'pack' in sys.modules, 'pack.bad' in sys.modules)
                    print(hasattr(sys.modules['pack'], 'bad'))
            try:
                import halves
            except ZeroDivisionError:
                print('halves' in sys.modules, 'fine' in sys.modules)
            sys.modules['nothing'] = None
            try:
                import nothing
            except ModuleNotFoundError as error:
                print(error, error.name)
            """,
            halves="import fine\n1 / 0\n",
            fine="",
        ),
        {"pack/__init__.py": "", "pack/bad.py": "raise ValueError('bad')\n"},
    ),
    "what is missing is missing in Python's words": _with(
        _tree(
            run="""
            for text in (
                'import nothing', 'import pack.nothing', 'import plain.nothing', 'from pack import nothing',
                'from plain import nothing', 'import pack.sub.deeper.more', 'from space import nothing',
                'import Plain', 'import space.nothing', 'from pack.sub import *; gone',
            ):
                try:
                    exec(text)
                except (ImportError, NameError) as error:
                    print(type(error).__name__, error)
                    print(getattr(error, 'name', None), getattr(error, 'path', None))
            for name in ('', 'pack/sub', 'pack..sub', '.pack'):
                try:
                    print(__import__(name))
                except Exception as error:
                    print(type(error).__name__, error)
            """,
            plain="",
        ),
        {"pack/__init__.py": "", "pack/sub.py": "", "space/leaf.py": ""},
    ),
    "syntax errors have kind, file, line and column": _with(
        _tree(
            run="""
            import os
            for name in ('syntax', 'indent', 'tab', 'codec', 'late', 'star'):
                try:
                    __import__(name)
                except SyntaxError as error:
                    print(type(error).__name__, error.msg, os.path.basename(error.filename), error.lineno)
            try:
                import nulls
            except (ValueError, SyntaxError) as error:
                print(type(error).__name__, getattr(error, 'msg', error))
            try:
                eval('1 +')
            except SyntaxError as error:
                print(error.filename, error.lineno, error.text)
            """,
            syntax="x = 1\ny = = 2\n",
            indent="def f():\npass\n",
            tab="if 1:\n        x = 1\n\ty = 2\n",
            codec="# coding: no-such-codec\nx = 1\n",
            late="def f():\n    x = 1\n    global x\n",
            star="def f():\n    from os import *\n",
            nulls="x = 1\0\n",
        ),
        {},
    ),
    "sources in other encodings, with a mark or other line ends": _with(
        _tree(
            run="""
            import latin, marked, windows, mac
            print(ascii(latin.name), ascii(marked.name), windows.f.__code__.co_firstlineno, mac.x)
            import größe
            print(größe.__name__ == 'gr\\xf6\\xdfe', größe.x)
            """,
            latin="# coding: latin-1\nname = 'caf\xe9'\n",
            marked="\ufeffname = 'caf\xe9'\n",
            windows="x = 1\r\n\r\ndef f():\r\n    return x\r\n",
            mac="x = 1\rx = x + 1\r",
        ),
        {"größe.py": "x = 4\n"},
    ),
    "tracebacks go through the same files, lines and functions": _with(
        _tree(
            run="""
            import os, sys, traceback
            def frames(error):
                frames = traceback.extract_tb(error.__traceback__)
                return [(os.path.basename(f.filename), f.lineno, f.name) for f in frames]
            try:
                import pack
            except ValueError as error:
                print(frames(error), frames(error.__cause__), error.__notes__)
                print(frames(error.__context__))
            import group
            try:
                group.fail()
            except* KeyError as several:
                print(frames(several), [frames(each) for each in several.exceptions])
            try:
                import nothing
            except ImportError as error:
                print(frames(error))
            """,
            group="""
            def one(x):
                raise KeyError(x)
            def fail():
                errors = []
                for x in range(2):
                    try:
                        one(x)
                    except KeyError as error:
                        errors.append(error)
                raise ExceptionGroup('several', errors)
            """,
        ),
        {
            "pack/__init__.py": "from . import mid\n",
            "pack/mid.py": "from .low import fail\n\nfail()\n",
            "pack/low.py": (
                "def fail():\n    try:\n        {}['x']\n    except KeyError as error:\n"
                "        new = ValueError('secret')\n        new.add_note('note')\n"
                "        raise new from error\n"
            ),
        },
    ),
    "logging, warnings and inspect name the same places": _with(
        _tree(
            run="""
            import inspect, io, logging, os, warnings, talk
            stream = io.StringIO()
            form = '%(module)s %(filename)s %(lineno)d %(funcName)s %(name)s'
            logging.basicConfig(stream=stream, format=form)
            talk.speak()
            print(stream.getvalue())
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter('always')
                talk.warn()
            print([(os.path.basename(w.filename), w.lineno, str(w.message)) for w in seen])
            print(inspect.getmodule(talk.speak) is talk, inspect.signature(talk.warn), inspect.getfile(talk))
            print(inspect.ismodule(talk), inspect.getdoc(talk), inspect.getmembers(talk.Thing)[-1])
            """,
            talk='''
            """What it says."""
            import logging, warnings
            class Thing:
                value = 3
            def speak():
                logging.getLogger(__name__).warning('spoken')
            def warn(level=1):
                warnings.warn('warned', stacklevel=level)
                warnings.warn('further up', stacklevel=2)
            ''',
        ),
        {},
    ),
    "folders of the program are put on the module path": _with(
        _tree(
            run="""
            import sys
            from pathlib import Path
            sys.path.insert(0, str(Path(__file__).resolve().parent / 'vendored'))
            sys.path.append(str(Path(__file__).parent / 'pack' / '..' / 'last'))
            import library, library.part, trailing
            print(library.__file__, library.part.x, trailing.x)
            sys.path.insert(0, '/nowhere/at/all')
            import pack
            print(pack.__file__)
            """
        ),
        {
            "vendored/library/__init__.py": "",
            "vendored/library/part.py": "from library import __name__ as x\n",
            "last/trailing.py": "x = 'trailing'\n",
            "pack/__init__.py": "",
        },
    ),
    "pkgutil.extend_path joins packages": _with(
        _tree(
            run="""
            import sys
            sys.path.append(__file__.replace('run.py', 'more'))
            import joined.near, joined.far
            print(joined.near.x, joined.far.x, joined.__path__)
            """
        ),
        {
            "joined/__init__.py": (
                "from pkgutil import extend_path\n__path__ = extend_path(__path__, __name__)\n"
            ),
            "joined/near.py": "x = 'near'\n",
            "more/joined/__init__.py": "",
            "more/joined/far.py": "x = 'far'\n",
        },
    ),
    "threads import together": _with(
        _tree(
            run="""
            import threading
            found = []
            def work():
                import slow
                found.append(slow)
            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            print(len(found), len({id(each) for each in found}), found[0].x, found[0].runs)
            """,
            slow="import time, builtins\ntime.sleep(0.02)\nruns = globals().get('runs', 0) + 1\nx = 'slow'\n",
        ),
        {},
    ),
}

# What only the hook decides, and what it says then.
OWN_WAY: dict[str, tuple[dict[str, str], str]] = {
    "a compiled module is refused with the reason, whatever its name ends with": (
        _with(
            _tree(
                run="""
                import importlib.util
                from importlib.machinery import EXTENSION_SUFFIXES
                for name in ('plain', 'stable', 'tagged', 'package', 'pack.inner'):
                    spec = importlib.util.find_spec(name)
                    try:
                        __import__(name)
                    except ImportError as error:
                        own = type(error) is ImportError
                        print(own, error.name, error.path == spec.origin, str(error)[:26])
                """
            ),
            {
                "plain.so": "\x7fELF",
                "stable.abi3.so": "\x7fELF",
                "tagged.EXT": "\x7fELF",
                "tagged.py": "never = 1\n",
                "package/__init__.EXT": "",
                "pack/__init__.py": "",
                "pack/inner.so": "",
            },
        ),
        "True plain True native code is loaded from\nTrue stable True native code is loaded from\n"
        "True tagged True native code is loaded from\nTrue package True native code is loaded from\n"
        "True pack.inner True native code is loaded from\nend\n",
    ),
    "opening a file of the archive by its path says what to do": (
        _with(
            _tree(
                run="""
                import io, os
                from pathlib import Path
                import model
                here = Path(__file__).parent
                def attempt(opener, *arguments):
                    try:
                        opener(*arguments).close()
                    except FileNotFoundError as error:
                        print('open_code_file' in error.strerror, end=' ')
                raw = str(here / 'pack/../weights.bin').encode()
                for place in (here / 'weights.bin', 'weights.bin', raw, __file__):
                    attempt(open, place, 'rb')
                attempt(io.open_code, str(here / 'weights.bin'))
                attempt(io.FileIO, 'weights.bin')
                attempt(os.open, here / 'weights.bin', os.O_RDONLY)
                attempt(open, here / 'nothing.bin')
                attempt(open, 'nothing.bin')
                print()
                try:
                    model.load()
                except OSError as error:
                    print(error)
                print((here / 'weights.bin').exists(), here.exists())
                """,
                model=(
                    "from pathlib import Path\n"
                    "def load():\n    open(Path(__file__).with_name('weights.bin'))\n"
                ),
            ),
            {"weights.bin": "secret"},
        ),
        "True True True True True True True False False \n"
        "[Errno 2] a file of the code archive, which lies on no disk: use "
        "Enclave().open_code_file('weights.bin') or importlib.resources: 'ROOT/weights.bin'\n"
        "False False\nend\n",
    ),
    "a program's own files may be called like one of the archive": (
        _with(
            _tree(
                run="""
                import os, tempfile
                with tempfile.TemporaryDirectory() as folder:
                    os.chdir(folder)
                    open('weights.bin', 'x').write('own')
                    print(open('weights.bin').read(), open(folder + '/weights.bin').read())
                    os.chdir('/')
                """
            ),
            {"weights.bin": "secret"},
        ),
        "own own\nend\n",
    ),
    "files of the archive are opened where they are, by either path": (
        _with(
            _tree(
                run="""
                from pathlib import Path
                from sealroom.enclave import Enclave
                with Enclave() as enclave:
                    file = enclave.open_code_file('deep/weights.bin')
                    print(file.read(3), file.seek(-6, 2), file.read(), file.tell())
                    print(file.seekable(), file.writable())
                    print(enclave.open_code_file(Path(__file__).parent / 'deep' / 'weights.bin').readline())
                    print(enclave.open_code_file('run.py').read(4))
                    print(enclave.open_code_file('./deep/../run.py').read(4))
                    for name in ('none', 'deep', '', '..', '../code/deep/weights.bin', '/etc/hostname'):
                        try:
                            enclave.open_code_file(name)
                        except FileNotFoundError as error:
                            print(error.strerror, repr(error.filename))
                """
            ),
            {"deep/weights.bin": "secret weights"},
        ),
        "b'sec' 8 b'eights' 14\nTrue False\nb'secret weights'\nb'from'\nb'from'\n"
        + "".join(
            f"no such file in the code archive {name!r}\n"
            for name in ("none", "deep", "", "..", "../code/deep/weights.bin", "/etc/hostname")
        )
        + "end\n",
    ),
    "a container that the host exchanged is not read": (
        _with(
            _tree(
                run="""
                from pathlib import Path
                from sealroom.core.errors import SealroomError
                from sealroom.enclave import Enclave
                place = Path(__file__).parents[1] / 'code'
                raw = bytearray((place / 'weights.bin').read_bytes())
                raw[-1] ^= 1
                (place / 'weights.bin').write_bytes(raw)
                (place / 'model.py').write_bytes(b'x = 1')
                (place / 'gone.bin').unlink()
                def imported():
                    import model
                for attempt in (lambda: Enclave().open_code_file('weights.bin').read(), imported,
                                lambda: Enclave().open_code_file('gone.bin')):
                    try:
                        attempt()
                    except SealroomError as error:
                        print(type(error).__name__)
                """,
                model="x = 1\n",
            ),
            {"weights.bin": "secret", "gone.bin": "secret"},
        ),
        "VerificationError\nMalformedError\nMalformedError\nend\n",
    ),
    "a copy for a library that wants a path lies in the temporary folder": (
        _with(
            _tree(
                run="""
                import os, tempfile
                from importlib.resources import files, as_file
                with as_file(files('data') / 'weights.bin') as path:
                    print(path.read_text(), str(path.parent) == tempfile.gettempdir())
                print(path.exists())
                """
            ),
            {"data/weights.bin": "secret"},
        ),
        "secret True\nFalse\nend\n",
    ),
    "the source of a sealed module is nowhere at hand": (
        _with(
            _tree(
                run="""
                import inspect, linecache, pkgutil, runpy, sys, traceback, warnings
                import model, types_like.types
                def show(call, *arguments):
                    try:
                        print(repr(call(*arguments)))
                    except (OSError, TypeError) as error:
                        print(type(error).__name__, error)
                show(inspect.getsource, model)
                show(inspect.getsource, model.secret)
                show(inspect.getsourcelines, model.Model)
                show(model.__spec__.loader.get_source, 'model')
                show(linecache.getlines, model.__file__, vars(model))
                show(linecache.getlines, model.secret.__code__.co_filename, vars(model))
                show(inspect.getsource, show)
                try:
                    model.secret()
                except ZeroDivisionError:
                    print(traceback.format_exc())
                try:
                    import broken
                except SyntaxError as error:
                    print(error.text, error)
                    print(''.join(traceback.format_exception_only(error)))
                with warnings.catch_warnings():
                    warnings.simplefilter('always')
                    warnings.showwarning = lambda *a, **k: print(warnings.formatwarning(*a[:4]))
                    import warned
                """,
                model="def secret():\n    return 1 / 0  # canary\nclass Model:\n    pass\n",
                broken="canary = = 1\n",
                warned="canary = 'a' is 'a'\n",
            ),
            {"types_like/types.py": "x = 1\n"},
        ),
        "OSError could not get source code\nOSError could not get source code\n"
        "OSError could not get source code\nNone\n[]\n[]\n"
        "'def show(call, *arguments):\\n    try:\\n        print(repr(call(*arguments)))\\n"
        "    except (OSError, TypeError) as error:\\n        print(type(error).__name__, error)\\n'\n"
        "Traceback (most recent call last):\n"
        '  File "run.py", line 16, in <module>\n    model.secret()\n'
        '  File "model.py", line 2, in secret\nZeroDivisionError: division by zero\n\n'
        'None invalid syntax (broken.py, line 1)\n  File "broken.py", line 1\nSyntaxError: invalid syntax\n\n'
        'warned.py:1: SyntaxWarning: "is" with a literal. Did you mean "=="?\n\nend\n',
    ),
}
