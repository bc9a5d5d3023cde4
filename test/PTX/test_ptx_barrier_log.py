"""The recorded log of mbarriers, replayed step by step.

A thread does to a barrier what each line of the log names; then it asks, as the
recording did, whether the phases of parity 0 and 1 are complete, how many arrivals
the token of the step left pending, and whether the token's phase is complete.
"""

import dataclasses
import re

import numpy as np
import pytest
from moe_mlir import ptx
from recordings import transfers
from recordings.form import HEADER

INIT = "mbarrier.inval.shared.b64 [bar]; mbarrier.init.shared.b64 [bar], {};"
ARRIVE = "mbarrier.arrive.shared.b64 token, [bar];"
PLAIN = "mbarrier.arrive.shared.b64 _, [bar];"
COUNTED = "mbarrier.arrive.shared.b64 token, [bar], {};"
NO_COMPLETE = "mbarrier.arrive.noComplete.shared.b64 token, [bar], {};"
ARRIVE_TX = "mbarrier.arrive.expect_tx.shared.b64 token, [bar], {};"
EXPECT = "mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [bar], {};"
COMPLETE = "mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [bar], {};"
COPY = "cp.async.ca.shared.global [buffer], [global], 16;"
COPIED = "cp.async.mbarrier.arrive.shared.b64 [bar];"
COPIED_ONE = "cp.async.mbarrier.arrive.noinc.shared.b64 [bar];"
LATER = "nanosleep.u32 50000;"
MOST = 2**20 - 1


def keep(index: int) -> str:
    return f"mov.b64 kept{index}, token;"


#: What each step does, by the beginning of its line in the log.
STEPS = {
    "A": [
        ("init 3", INIT.format(3)),
        ("arrive 1", ARRIVE + keep(0)),
        ("arrive 2", ARRIVE + keep(1)),
        ("arrive 3", ARRIVE + keep(2)),
        ("old tokens after phase 0", (0, 1, 2)),
        ("arrive (phase 1)", ARRIVE + keep(1)),
        ("phase 1 completes", PLAIN + ARRIVE),
        ("tokens after 2 phases", (0, 1)),
        ("arrive (phase 2)", ARRIVE + keep(2)),
        ("tokens in phase 2", (0, 1, 2)),
    ],
    "B": [("init 1", INIT.format(1)), *[("arrive", ARRIVE)] * 4],
    "C": [
        ("init 10, arrive count 4", INIT.format(10) + COUNTED.format(4)),
        ("arrive.noComplete 2", NO_COMPLETE.format(2)),
        ("arrive_drop", "mbarrier.arrive_drop.shared.b64 token, [bar];"),
        ("arrive count 3", COUNTED.format(3)),
        ("next phase: arrive 8", COUNTED.format(8)),
        ("arrive (completes", ARRIVE),
    ],
    "D": [
        ("init 1, arrive.expect_tx 64", INIT.format(1) + ARRIVE_TX.format(64)),
        ("complete_tx 32", COMPLETE.format(32)),
        ("complete_tx 32 (completes)", COMPLETE.format(32)),
        ("complete_tx 48 before expect", COMPLETE.format(48)),
        ("expect_tx 48", EXPECT.format(48)),
        ("arrive (completes phase 1)", ARRIVE),
        ("expect_tx 16", EXPECT.format(16)),
        ("arrive", ARRIVE),
        ("complete_tx 16 (completes phase 2)", COMPLETE.format(16)),
        ("re-init 2, complete_tx 32 first", INIT.format(2) + COMPLETE.format(32)),
        ("arrive", PLAIN),
        ("arrive.expect_tx 32", ARRIVE_TX.format(32)),
        ("arrive.expect_tx 0", ARRIVE_TX.format(0)),
        ("arrive", ARRIVE),
        ("expect_tx 2^20-1", EXPECT.format(MOST)),
        ("complete_tx 2^20-1", COMPLETE.format(MOST)),
        (
            "re-init 1, arrive.expect_tx 16, complete_tx 32",
            INIT.format(1) + ARRIVE_TX.format(16) + COMPLETE.format(32),
        ),
        ("expect_tx 16", EXPECT.format(16)),
        ("init 2^20-1", INIT.format(MOST)),
    ],
    "E": [
        ("init 1", INIT.format(1)),
        ("cp.async 16; cp.async.mbarrier.arrive (at once)", COPY + COPIED),
        ("50 us later", LATER),
        ("arrive", ARRIVE),
        ("re-init 1; cp.async; arrive.noinc", INIT.format(1) + COPY + COPIED_ONE),
        ("50 us later", LATER),
        ("re-init 2; arrive.noinc", INIT.format(2) + COPIED_ONE + LATER),
        ("arrive", ARRIVE),
    ],
}


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of the log: its label and the numbers it holds."""

    label: str
    answers: tuple[int, ...]

    @property
    def has_token(self) -> bool:
        return len(self.answers) == 4


def parse(text: str) -> Line:
    behind = r"\s+parity0 " if "parity0" in text else ": "
    label, rest = re.split(behind, text.strip(), maxsplit=1)
    numbers = re.sub(r"phase\d |parity1|token \w+|pending|test_wait\S+", " ", rest)
    return Line(label, tuple(map(int, numbers.split())))


def sections() -> dict[str, list[str]]:
    """The lines of the log below each title's letter."""
    found: dict[str, list[str]] = {}
    for text in transfers.barrier_log():
        if text.startswith("#"):
            lines = found.setdefault(text[2:].split(":")[0].split(" ")[-1], [])
        else:
            lines.append(text)
    return found


def store(index: int, what: str) -> str:
    return f"selp.u32 r, 1, 0, p; {what} st.global.u32 [out+{4 * index}], r;"


def ask(line: Line, action: str | tuple[int, ...], at: int) -> str:
    """Does a step and stores the answers from word `at` on."""
    test = "mbarrier.test_wait.shared.b64 p, [bar], {};"
    if not isinstance(action, str):
        return "".join(
            test.format(f"kept{k}") + store(at + i, "") for i, k in enumerate(action)
        )
    parity = "mbarrier.test_wait.parity.shared.b64 p, [bar], {};"
    # A test that fails may be what a copy in flight completes at: it comes last.
    text = action + parity.format(1) + store(at + 1, "")
    text += parity.format(0) + store(at, "")
    if line.has_token:
        count = "mbarrier.pending_count.b64 r, token;"
        text += store(at + 2, count) + test.format("token") + store(at + 3, "")
    return text


def replay(body: str, words: int) -> list[int]:
    text = f"""{HEADER}
    .visible .entry form(.param .u64 to, .param .u64 from) {{
        .shared .align 16 .b8 bytes[16]; .shared .align 8 .b64 barrier;
        .reg .pred p; .reg .b32 r, bar, buffer;
        .reg .b64 out, global, token, kept<3>;
        ld.param.u64 out, [to]; ld.param.u64 global, [from];
        mov.u32 buffer, bytes; mov.u32 bar, barrier;
        mbarrier.init.shared.b64 [bar], 1;
        {body}
        ret;
    }}"""
    answers, source = np.full(words, 99, np.uint32), np.zeros(16, np.uint8)
    module = ptx.Module(text, "log")
    result = module.launch("form", 1, 1, [answers, source], check=(), counters=False)
    assert result.completed, "\n".join(map(str, result.findings))
    return answers.tolist()


@pytest.mark.parametrize("section", STEPS)
def test_barriers_answer_as_recorded(section: str) -> None:
    log = [parse(text) for text in sections()[section]]
    body, at = "", 0
    for line, (label, action) in zip(log, STEPS[section], strict=True):
        assert line.label.startswith(label), (line.label, label)
        body += ask(line, action, at) + "\n"
        at += len(line.answers)
    got, at = replay(body, at), 0
    for line in log:
        answers = tuple(got[at : at + len(line.answers)])
        assert answers == line.answers, f"{line}: {answers}"
        at += len(answers)


def test_waits_answer_as_recorded() -> None:
    """Waits for a phase that does not complete, and for the one before it."""
    log = sections()["F"]
    body = ""
    for index, text in enumerate(log):
        name, parity, hint = re.match(
            r"\s*(\w+)\.parity (\d)(?:, hint (\d+))?", text
        ).groups()  # type: ignore[union-attr]
        hinted = f", {hint}" if hint else ""
        body += f"mbarrier.{name}.parity.shared.b64 p, [bar], {parity}{hinted};"
        body += store(index, "") + "\n"
    want = [int(re.search(r": (\d) after", text)[1]) for text in log]  # type: ignore
    assert replay(body, len(log)) == want
