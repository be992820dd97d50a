"""`hil setup renode` against a server of this machine: packages that are right, wrong, cut and hostile."""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from harness.cli.app import run
from harness.errors import HilError, TargetUnavailable, UsageError
from harness.renode import find, release
from harness.renode.download import download
from harness.renode.find import find_renode, installed
from harness.renode.install import install
from harness.renode.release import Package, package_from, release_package
from patience import PATIENCE_S

PROGRAM = b"#!/bin/sh\necho Renode v1.16.1.0 for tests\n"
NAME = "renode_1.16.1-dotnet_portable"


def member(name: str, data: bytes = b"", mode: int = 0o644, kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple:  # type: ignore[type-arg]
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.type, info.linkname = len(data), mode, kind, link
    return info, data


def package(*members: tuple, program: bytes = PROGRAM) -> bytes:  # type: ignore[type-arg]
    """A package with our program, and with more if wanted."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for info, data in (member(f"{NAME}/renode", program, 0o755), *members):
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Server:
    """Serves bytes on the loopback interface, whole or less than it promises."""

    def __init__(self) -> None:
        self.content = b""
        self.sent_bytes: int | None = None
        self.states_size = True
        self.delay_s = 0.0
        self.requests = 0
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                if self.path == "/absent":
                    self.send_error(404)
                    return
                time.sleep(server.delay_s)
                self.send_response(200)
                if server.states_size:
                    self.send_header("Content-Length", str(len(server.content)))
                self.end_headers()
                self.wfile.write(server.content[: server.sent_bytes])

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/package.tar.gz"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no other Renode."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("RENODE_PATH", raising=False)
    monkeypatch.setattr("shutil.which", lambda program: None)
    return tmp_path / "cache"


@pytest.fixture
def serve(server: Server) -> Callable[..., Package]:
    def put(content: bytes) -> Package:
        server.content = content
        return package_from(server.url, sha256(content))

    return put


def refused(package: Package) -> TargetUnavailable:
    with pytest.raises(TargetUnavailable) as error:
        install(package, lambda text: None)
    assert error.value.exit_code == 3
    assert error.value.remedy
    return error.value


def leftovers() -> list[str]:
    return sorted(path.name for path in find.home().iterdir() if path.is_dir())


def test_a_good_package_is_installed_and_found(serve: Callable[..., Package]) -> None:
    said: list[str] = []
    program = install(serve(package(member(f"{NAME}/lib/a.dll", b"x" * 300_000))), said.append)
    assert find_renode() == program == installed()
    assert os.access(program, os.X_OK)
    assert (program.parent / "lib" / "a.dll").stat().st_size == 300_000
    assert any("MB" in line for line in said), "size"
    assert any(line.startswith("  ") for line in said), "progress"
    assert any("Renode v1.16.1.0 for tests" in line for line in said)


def test_a_second_run_fetches_nothing(serve: Callable[..., Package], server: Server) -> None:
    wanted = serve(package())
    first = install(wanted, lambda text: None)
    said: list[str] = []
    assert install(wanted, said.append) == first
    assert server.requests == 1
    assert said == [f"Renode is installed: {first}"]


def test_another_package_takes_its_place(serve: Callable[..., Package]) -> None:
    first = install(serve(package()), lambda text: None)
    second = install(serve(package(member(f"{NAME}/more", b"more"))), lambda text: None)
    assert second != first
    assert find_renode() == second
    assert len(leftovers()) == 1


def test_a_damaged_installation_is_repaired(serve: Callable[..., Package]) -> None:
    wanted = serve(package())
    program = install(wanted, lambda text: None)
    program.unlink()
    assert installed() is None
    assert install(wanted, lambda text: None) == program
    assert find_renode() == program


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (package(member("../evil", b"x")), "renode_package_hostile", "evil"),
        (package(member("/etc/evil", b"x")), "renode_package_hostile", "evil"),
        (package(member("a/../../evil", b"x")), "renode_package_hostile", "evil"),
        (package(member("device", kind=tarfile.CHRTYPE)), "renode_package_hostile", "device"),
        (package(member("pipe", kind=tarfile.FIFOTYPE)), "renode_package_hostile", "pipe"),
        (package(member("link", kind=tarfile.SYMTYPE, link="/etc/passwd")), "renode_package_hostile", "link"),
        (package(member("link", kind=tarfile.SYMTYPE, link="../../../x")), "renode_package_hostile", "link"),
        (b"no archive at all", "renode_package_broken", "no tar archive"),
        (package()[:-30], "renode_package_broken", "no tar archive"),
        (b"", "renode_package_broken", "no tar archive"),
        (package(program=b"#!/bin/sh\nexit 3\n"), "renode_does_not_run", "--version"),
        (package(program=b"#!/no/such/shell\n"), "renode_does_not_run", "--version"),
    ],
)
def test_what_is_no_package_is_refused_and_the_old_installation_stays(
    serve: Callable[..., Package], tmp_path: Path, content: bytes, code: str, words: str
) -> None:
    good = install(serve(package()), lambda text: None)
    error = refused(serve(content))
    assert error.code == code
    assert words in error.message
    assert find_renode() == good
    assert leftovers() == [good.relative_to(find.home()).parts[0]]
    assert not list(tmp_path.rglob("evil"))


def test_a_package_without_the_program(serve: Callable[..., Package]) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:xz") as tar:
        info, data = member("a/renode", b"not to be run")
        tar.addfile(info, io.BytesIO(data))
    assert "no program named renode" in refused(serve(file.getvalue())).message


def test_a_wrong_hash_is_found_before_anything_is_unpacked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.content = package()
    monkeypatch.setattr("harness.renode.install._unpack", lambda *_: pytest.fail("unpacked"))
    error = refused(package_from(server.url, "0" * 64))
    assert error.code == "renode_wrong_hash"
    assert sha256(server.content) in error.message
    assert leftovers() == []


def test_a_cut_download(serve: Callable[..., Package], server: Server) -> None:
    wanted = serve(package())
    server.sent_bytes = 100
    error = refused(wanted)
    assert error.code == "download_failed"
    assert f"cut after 100 of {len(server.content)} bytes" in error.message


def test_a_size_that_is_not_stated(serve: Callable[..., Package], server: Server) -> None:
    wanted = serve(package())
    server.states_size = False
    server.sent_bytes = 100
    assert refused(wanted).code == "renode_wrong_hash"
    server.sent_bytes = None
    assert install(wanted, lambda text: None) == find_renode()


def test_what_is_not_there(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen: nor can anybody else, where this port is ours
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/package.tar.gz"
        assert "refused" in refused(Package(url, "0" * 64)).message
    assert refused(Package("http://no-such-host.invalid/x", "0" * 64)).code == "download_failed"
    assert refused(Package(f"file://{tmp_path}/absent", "0" * 64)).code == "download_failed"


def test_what_the_server_does_not_have(server: Server, tmp_path: Path) -> None:
    with pytest.raises(TargetUnavailable, match="answers 404"):
        download(server.url.replace("package.tar.gz", "absent"), tmp_path / "file", lambda text: None)


def test_a_file_and_its_address(tmp_path: Path) -> None:
    path = tmp_path / "brought along.tar.gz"
    path.write_bytes(package())
    program = install(package_from(str(path), sha256(path.read_bytes()).upper()), lambda text: None)
    assert find_renode() == program
    path.write_bytes(package(member("more", b"")))
    again = install(package_from(path.as_uri(), sha256(path.read_bytes())), lambda text: None)
    assert find_renode() == again != program


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "http://127.0.0.1/x"], "--sha256"),
        (["--sha256", "0" * 64], "--from"),
        (["--from", "http://127.0.0.1/x", "--sha256", "12"], "64 hexadecimal"),
        (["--from", "ftp://127.0.0.1/x", "--sha256", "0" * 64], "https"),
        (["--from", "not_there.tar.gz", "--sha256", "0" * 64], "not_there.tar.gz"),
    ],
)
def test_usage(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["setup", "renode", *arguments]) == 2
    assert said in capsys.readouterr().err
    assert run(["setup", *arguments]) == 2
    assert "setup renode" in capsys.readouterr().err
    assert run(["setup", "qemu", *arguments]) == 2


def test_a_python_without_the_filter_says_so(serve: Callable[..., Package], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(tarfile, "data_filter")
    error = refused(serve(package()))
    assert error.code == "python_too_old"
    assert "3.10.12" in error.remedy


def test_a_cache_that_cannot_be_written(serve: Callable[..., Package], cache: Path) -> None:
    cache.write_text("a file in its place")
    assert refused(serve(package())).code == "cache_not_writable"


def test_two_at_a_time_install_one_after_the_other(serve: Callable[..., Package], server: Server) -> None:
    wanted = serve(package())
    server.delay_s = 0.5  # so that they would meet
    find.home().mkdir(parents=True)
    code = (
        "import sys; from harness.renode.install import install; from harness.renode.release import Package;"
        "print(install(Package(*sys.argv[1:]), lambda text: print(text, flush=True)))"
    )
    with FileLock(find.home() / "lock"):
        others = [
            subprocess.Popen(
                [sys.executable, "-c", code, wanted.source, wanted.sha256], stdout=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        for other in others:
            assert other.stdout is not None
            assert "waiting" in other.stdout.readline()
        assert server.requests == 0
    outputs = [other.communicate(timeout=PATIENCE_S)[0].splitlines() for other in others]
    assert server.requests == 1
    assert {lines[-1] for lines in outputs} == {str(find_renode())}


def test_what_a_killed_installation_left_is_removed(serve: Callable[..., Package]) -> None:
    (find.home() / "new-abc").mkdir(parents=True)
    install(serve(package()), lambda text: None)
    assert "new-abc" not in leftovers()


def test_the_release_is_for_linux_on_two_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = set()
    for machine in ("x86_64", "aarch64"):
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        found = release_package()
        assert found == package_from(found.source, found.sha256)
        addresses.add(found.source)
    assert len(addresses) == 2
    assert all(f"/v{release.VERSION}/renode-{release.VERSION}.linux-" in address for address in addresses)
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(TargetUnavailable, match="riscv64"):
        release_package()


def test_where_it_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Package]) -> None:
    with pytest.raises(TargetUnavailable, match="there is no Renode") as error:
        find_renode()
    assert "hil setup renode" in error.value.remedy
    ours = install(serve(package()), lambda text: None)
    theirs = tmp_path / "opt" / "renode"
    theirs.parent.mkdir()
    theirs.write_bytes(PROGRAM)
    theirs.chmod(0o755)
    assert find_renode() == ours
    monkeypatch.setattr("shutil.which", lambda program: str(theirs) if program == "renode" else None)
    assert find_renode() == theirs, "an own one comes first"
    for named in (ours, ours.parent):
        monkeypatch.setenv("RENODE_PATH", str(named))
        assert find_renode() == ours
    monkeypatch.setenv("RENODE_PATH", str(tmp_path))
    with pytest.raises(HilError, match="RENODE_PATH") as wrong:
        find_renode()
    assert not isinstance(wrong.value, UsageError)


def test_the_command_with_the_rest_of_setup_played(
    serve: Callable[..., Package], server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ready: list[str] = []
    monkeypatch.setattr("harness.bootstrap.system.ensure_system_parts", lambda *_: None)
    monkeypatch.setattr("harness.cli.maintenance.ready_target", lambda choice: ready.append(choice.kind))
    wanted = serve(package())
    arguments = ["setup", "renode", "--from", wanted.source, "--sha256", wanted.sha256]
    assert run([*arguments[:-1], "1" * 64]) == 3
    assert "SHA-256" in capsys.readouterr().err
    assert ready == []
    assert run(arguments) == 0
    assert ready == ["qemu", "native", "renode"]
    assert str(find_renode()) in capsys.readouterr().err
    assert run(["setup"]) == 0
    assert ready[3:] == ["qemu", "native"]
