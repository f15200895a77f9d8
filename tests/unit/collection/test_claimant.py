"""Who claims, and whether that somebody still lives."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.palebluedot.gpu.plugins.module_utils.service import claimant


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def test_a_claimant_reads_as_it_was_written() -> None:
    me = claimant.claimant_of(os.getpid())
    assert claimant.parse(str(me)) == me
    assert str(me).startswith(f"external:{me.hostname}:{os.getpid()}:")
    assert len(str(me)) <= 128


def test_a_long_host_name_still_fits_the_record() -> None:
    assert len(str(claimant.claimant_of(2**22, hostname="x" * 200))) <= 128


@pytest.mark.parametrize("text", ["", None, "dispatcher:host:1", "awx:job-7", "external:host:x:y", "external:host"])
def test_claimants_of_others_are_not_parsed(text: str | None) -> None:
    assert claimant.parse(text) is None


def test_a_live_process_is_not_gone_and_a_dead_one_is(child: subprocess.Popen[bytes]) -> None:
    holder = claimant.claimant_of(child.pid)
    assert not claimant.is_gone(holder)
    end(child)
    assert claimant.is_gone(holder)


def test_a_process_id_that_came_back_is_somebody_else() -> None:
    me = claimant.claimant_of(os.getpid())
    started, _, place = me.life.partition(".")
    assert claimant.is_gone(me._replace(life=f"{int(started) - 1}.{place}"))


@pytest.mark.parametrize("part", ["hostname", "boot", "namespace", "unknown"])
def test_in_doubt_it_is_not_gone(child: subprocess.Popen[bytes], part: str) -> None:
    holder = claimant.claimant_of(child.pid)
    end(child)
    started, boot, namespace = holder.life.split(".")
    other = {
        "hostname": holder._replace(hostname="elsewhere"),
        "boot": holder._replace(life=f"{started}.00000000.{namespace}"),
        "namespace": holder._replace(life=f"{started}.{boot}.1"),
        "unknown": holder._replace(life=""),
    }[part]
    assert not claimant.is_gone(other)


def test_a_command_with_parentheses_is_read_right(tmp_path: Path) -> None:
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text("0123456789\n")
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").symlink_to("pid:[42]")
    (tmp_path / "7").mkdir()
    fields = " ".join(str(number) for number in range(3, 53))
    (tmp_path / "7/stat").write_text(f"7 (a) b (c) {fields}\n")
    assert claimant.claimant_of(7, proc=tmp_path).life == "22.01234567.42"
