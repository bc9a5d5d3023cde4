"""Compiled code in a folder: what finds it, what does not, and what goes wrong."""

import gc
import os
import pathlib
import resource
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator

import moe_mlir as moe
import moe_mlir.cache
import moe_mlir.cpu
import moe_mlir.routing
import numpy as np
import pytest
from layer_model import layer_model, layer_text, layer_weights
from moe_mlir import _moe, cli
from moe_mlir.cache import Cache, open_cache
from moe_mlir.errors import MoEWarning

X = np.random.default_rng(2).standard_normal((2, 6, 32)).astype(np.float32)


@pytest.fixture(autouse=True)
def built(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The CPUs that code was generated for, in order; warnings are given anew."""
    calls: list[str] = []
    lower = moe_mlir.cpu.lower

    def counted(module: _moe.Module, cpu: str, *rest: object) -> moe_mlir.cpu.Lowered:
        calls.append(cpu)
        return lower(module, cpu, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(moe_mlir.cpu, "lower", counted)
    moe_mlir.cache._told.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error", MoEWarning)
        yield calls


def entries(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(folder.iterdir())


def run(folder: pathlib.Path | str, model: moe.Model | None = None) -> np.ndarray:
    """The result of a model that is compiled and dropped again."""
    y = (model or layer_model()).compile(cache=folder)(X)
    gc.collect()
    assert not moe_mlir.cpu._loaded, "the code was not released"
    return y


def test_compiled_once_for_later_processes(
    tmp_path: pathlib.Path, built: list[str]
) -> None:
    want = run("off")
    folder = tmp_path / "new" / "folder"
    np.testing.assert_array_equal(run(folder), want)
    assert len(built) == 2 and len(entries(folder)) == 1
    for _ in range(3):
        np.testing.assert_array_equal(run(folder), want)
    assert len(built) == 2 and len(entries(folder)) == 1
    assert folder.stat().st_mode & 0o077 == 0


def test_the_signature_is_that_of_the_compiler(tmp_path: pathlib.Path) -> None:
    first = layer_model().compile(cache=tmp_path).signature
    gc.collect()
    assert layer_model().compile(cache=tmp_path).signature == first
    assert first == layer_model().compile(cache="off").signature


def test_off_is_off(tmp_path: pathlib.Path, built: list[str]) -> None:
    models = [layer_model().compile(cache="off") for _ in range(2)]
    assert models[0]._loaded is not models[1]._loaded and len(built) == 2
    assert not moe_mlir.cpu._loaded


def test_models_share_code_while_one_lives(
    tmp_path: pathlib.Path, built: list[str]
) -> None:
    one = layer_model().compile(cache=tmp_path, threads=1)
    two = layer_model().compile(cache=tmp_path, threads=2)
    assert one._loaded is two._loaded and len(built) == 1
    assert (one.threads, two.threads) == (1, 2)
    assert np.array_equal(one(X), two(X))
    alive = weakref.ref(one._loaded)
    del one
    gc.collect()
    assert alive() is not None
    del two
    gc.collect()
    assert alive() is None


def test_other_weights_share_code(tmp_path: pathlib.Path, built: list[str]) -> None:
    text, weights = layer_text(8, 2, 32, 16), layer_weights(8, 32, 16)
    first = run(tmp_path)
    weights["down"] = weights["down"] * 2
    second = run(tmp_path, moe.Model.from_text(text, weights, layer_model().report))
    assert len(built) == 1
    np.testing.assert_array_equal(second, first * 2)


def test_input_names_are_the_models_own(
    tmp_path: pathlib.Path, built: list[str]
) -> None:
    one = layer_model()
    report = {**one.report, "inputs": [{"name": "tokens"}]}
    two = moe.Model.from_text(one.mlir, one.weights, report)
    for model, name in ((one, "x"), (two, "tokens")):
        f = model.compile(cache=tmp_path)
        assert [spec.name for spec in f.signature.inputs] == [name]
    assert len(built) == 1


#: The name of this machine's CPU.
HOST = _moe.check_cpu("host")[0]


def key(text: str = "a", cpu: str = "host", callers: bool = True) -> str:
    return moe_mlir.cpu._key(text, cpu, callers)


@pytest.mark.parametrize(
    "change",
    [
        lambda patch: key(text="b"),
        lambda patch: key(cpu="x86-64-v3"),
        lambda patch: key(callers=False),
        lambda patch: (patch(_moe, "build_identity", lambda: "other"), key())[1],
        lambda patch: (patch(_moe, "check_cpu", lambda cpu: (HOST, "-fma")), key())[1],
        lambda patch: (patch(moe_mlir.cpu, "OPTIMIZE_MODEL", 1), key())[1],
        lambda patch: (patch(moe_mlir.cpu, "TENSOR_PIPELINE", "other"), key())[1],
    ],
    ids=["module", "cpu", "callers", "build", "features", "level", "pipeline"],
)
def test_everything_the_code_depends_on_is_in_the_key(
    change: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key()
    assert key() == before != change(monkeypatch.setattr)


def test_parts_of_a_key_do_not_run_together() -> None:
    assert moe_mlir.cache.key_of(["ab", "c"]) != moe_mlir.cache.key_of(["a", "bc"])


def test_the_build_is_told_by_the_loaded_files() -> None:
    version, *ids = _moe.build_identity().split(" ")
    assert version.startswith("22.")
    assert len(set(ids)) == 3 and all(len(i) >= 16 for i in ids)
    assert bytes.fromhex(ids[0]) in pathlib.Path(_moe.__file__).read_bytes()


def test_another_scope_or_cpu_is_other_code(
    tmp_path: pathlib.Path, built: list[str]
) -> None:
    run(tmp_path)
    run(tmp_path, layer_model().with_scope("sequence"))
    layer_model().compile(cache=tmp_path, cpu="x86-64")(X)
    assert built == ["host", "host", "x86-64"] and len(entries(tmp_path)) == 3


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:10],
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: flip(content, 0),
        lambda content: flip(content, 40),
        lambda content: flip(content, len(content) // 2),
        lambda content: flip(content, len(content) - 1),
    ],
    ids="empty head short long magic hash middle last".split(),
)
def test_a_damaged_entry_is_rebuilt(
    damage: Callable[[bytes], bytes], tmp_path: pathlib.Path, built: list[str]
) -> None:
    want = run(tmp_path)
    (entry,) = entries(tmp_path)
    whole = entry.read_bytes()
    entry.write_bytes(damage(whole))
    with pytest.warns(MoEWarning, match="is damaged; it is compiled again"):
        np.testing.assert_array_equal(run(tmp_path), want)
    assert entry.read_bytes() == whole and len(built) == 2
    run(tmp_path)
    assert len(built) == 2


def test_an_entry_of_another_module_is_none(
    tmp_path: pathlib.Path, built: list[str]
) -> None:
    want = run(tmp_path)
    (entry,) = entries(tmp_path)
    run(tmp_path, layer_model().with_scope("sequence"))
    (other,) = set(entries(tmp_path)) - {entry}
    entry.write_bytes(other.read_bytes())
    with pytest.warns(MoEWarning, match="damaged"):
        np.testing.assert_array_equal(run(tmp_path), want)
    assert len(built) == 3


def test_a_folder_in_place_of_an_entry(tmp_path: pathlib.Path) -> None:
    want = run(tmp_path)
    (entry,) = entries(tmp_path)
    entry.unlink()
    entry.mkdir()
    with pytest.warns(MoEWarning, match="directory.*not kept") as given:
        np.testing.assert_array_equal(run(tmp_path), want)
    assert len(given) == 1 and entries(tmp_path) == [entry]


def test_no_folder_can_be_made(tmp_path: pathlib.Path) -> None:
    want = run("off")
    (tmp_path / "file").write_text("")
    with pytest.warns(MoEWarning, match="Name another folder in MOE_MLIR_CACHE") as all:
        for _ in range(2):
            np.testing.assert_array_equal(run(tmp_path / "file" / "cache"), want)
    assert len(all) == 1, "a folder is complained of once"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_be_read_only(
    tmp_path: pathlib.Path, built: list[str]
) -> None:
    want = run(tmp_path)
    tmp_path.chmod(0o500)
    np.testing.assert_array_equal(run(tmp_path), want)
    with pytest.warns(MoEWarning, match="Permission denied; compiled code is not kept"):
        run(tmp_path, layer_model().with_scope("sequence"))
    tmp_path.chmod(0o700)
    assert len(built) == 2


def test_a_disk_that_is_full(tmp_path: pathlib.Path) -> None:
    """By the largest size of a file, which stops a write in its middle."""
    want = run("off")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.warns(MoEWarning, match="cannot be written: File too large"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        try:
            got = run(tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    np.testing.assert_array_equal(got, want)
    assert not entries(tmp_path), "something is half-written"


PROCESS = """
import sys, numpy as np
sys.path.insert(0, sys.argv[1])
from layer_model import layer_model
for scope in ("token", "sequence"):
    f = layer_model().with_scope(scope).compile(cache=sys.argv[2], threads=1)
    f(np.zeros((1, 4, 32), np.float32))
"""


def test_processes_at_the_same_time(tmp_path: pathlib.Path) -> None:
    here = str(pathlib.Path(__file__).parent)
    command = [sys.executable, "-W", "error", "-c", PROCESS, here, str(tmp_path)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert len(entries(tmp_path)) == 2


def test_a_reader_sees_a_whole_entry_or_none(tmp_path: pathlib.Path) -> None:
    cache, contents = Cache(tmp_path), [b"a" * 300_000, b"b" * 200_000]
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for content in contents:
                cache.write("key", content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = {cache.read("key") for _ in range(300)}
    finally:
        stop.set()
        writer.join()
    assert seen <= {None, *contents}


def test_the_folder_is_bounded(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moe_mlir.cache, "MOST_BYTES", 10_000)
    cache = Cache(tmp_path)
    (tmp_path / "notes.txt").write_text("n" * 20_000)
    for i in range(6):
        cache.write(f"k{i}", b"x" * 1500)
        os.utime(cache.path(f"k{i}"), (i, i))
    assert cache.read("k1") is not None  # used: now the newest
    cache.write("k6", b"x" * 1500)
    held = {i for i in range(7) if cache.path(f"k{i}").exists()}
    assert held == {1, 4, 5, 6}, "least recently used first, to three quarters"
    assert (tmp_path / "notes.txt").exists()


def test_what_a_killed_process_left_goes_away(tmp_path: pathlib.Path) -> None:
    old, new = tmp_path / ".k.code.abc", tmp_path / ".k.code.def"
    for file in (old, new):
        file.write_bytes(b"half")
    hours_ago = time.time() - 2 * moe_mlir.cache.ABANDONED
    os.utime(old, (hours_ago, hours_ago))
    Cache(tmp_path).write("key", b"content")
    assert not old.exists() and new.exists()


def test_where_the_folder_is(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folder(setting: str | None = None) -> str | None:
        cache = open_cache(setting)
        return cache and str(cache.folder)

    monkeypatch.setenv("MOE_MLIR_CACHE", "/named")
    assert folder() == "/named" and folder("/given") == "/given"
    assert folder("off") is None
    monkeypatch.setenv("MOE_MLIR_CACHE", "off")
    assert folder() is None and folder("/given") == "/given"
    monkeypatch.delenv("MOE_MLIR_CACHE")
    monkeypatch.setenv("HOME", "/somebody")
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert folder() == "/somebody/.cache/moe_mlir"
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert folder() == "/caches/moe_mlir"


def test_routing_is_kept_too(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOE_MLIR_CACHE", str(tmp_path))
    logits = np.random.default_rng(3).standard_normal((1, 5, 7)).astype(np.float32)
    moe_mlir.routing._cached_kernel.cache_clear()
    first = moe.route(logits, 2, scope="sequence")
    assert len(entries(tmp_path)) == 1
    moe_mlir.routing._cached_kernel.cache_clear()
    monkeypatch.setattr(_moe, "Module", None)  # nothing can be compiled
    again = moe.route(logits, 2, scope="sequence")
    np.testing.assert_array_equal(first.gates, again.gates)


def test_commands(
    tmp_path: pathlib.Path, built: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    model, cache = tmp_path / "model", tmp_path / "cache"
    layer_model().save(model)
    np.save(tmp_path / "x.npy", X)

    def run_with(setting: str) -> list[str]:
        """Runs the model, and returns what the command said; how long something took
        is said where it took long."""
        arguments = ["run", str(model), "--input", f"x={tmp_path / 'x.npy'}"]
        output = ["--output", str(tmp_path / "y.npy"), "--cache", setting]
        assert cli.main(arguments + output) == 0
        gc.collect()
        said = capsys.readouterr().err.splitlines()
        return [line for line in said if line.startswith("moe-mlir:")]

    def emit(setting: str) -> bytes:
        output = tmp_path / "layer.o"
        arguments = ["compile", str(model), "--emit", "object", "-o", str(output)]
        assert cli.main([*arguments, "--cache", setting]) == 0
        return output.read_bytes()

    for setting, count in (("off", 1), (str(cache), 2), (str(cache), 2)):
        assert run_with(setting) == [] and len(built) == count
    # What is emitted has no callers, so it is other code.
    objects = [emit(setting) for setting in ("off", str(cache), str(cache))]
    assert len(built) == 4 and len(set(objects)) == 1
    warnings.simplefilter("default", MoEWarning)
    wrong = str(tmp_path / "x.npy")
    (message,) = run_with(wrong)
    assert message.startswith(f"moe-mlir: warning: {wrong}/")


def test_it_is_no_option_of_a_gpu() -> None:
    with pytest.raises(moe.MoEError, match="cache is no option of target 'emulator'"):
        layer_model().compile("emulator", cache="off")  # type: ignore[call-overload]
