"""Progress bars: speed, time left, what comes from the cache, steps inside steps."""

import io

import pytest
from rich.console import Console

from hilum.cli.progress_bars import Pace, clock_words, speed_words
from hilum.cli.terminal import Terminal
from hilum.progress import StepName, note, silent, unit_of


def drawn(screen: Terminal) -> str:
    """What the bars show at this moment."""
    assert screen.bars is not None
    page = Console(file=io.StringIO(), width=120, color_system=None, force_terminal=True)
    page.print(screen.bars.shown.get_renderable())
    return str(page.file.getvalue())


def test_pace_counts_from_the_first_report() -> None:
    now = [100.0]
    pace = Pace(clock=lambda: now[0])
    assert pace.left() is None
    for now[0], done in ((110.0, 10), (112.0, 30)):  # ten seconds of start-up do not count
        pace.report(done, 110)
    assert pace.speed() == pytest.approx(10.0)
    assert pace.left() == pytest.approx(8.0)
    now[0] = 115.0
    assert pace.left() == pytest.approx(5.0)
    pace.report(0, 110)  # it begins anew
    assert pace.speed() is None


def test_words_of_speed_and_time() -> None:
    assert speed_words(41.4, "images") == "41 images/s"
    assert speed_words(0.4, "images") == "2.5 s/image"
    assert speed_words(3.0, "folds") == ""
    assert speed_words(2e6, "bytes") == "2.0 MB/s"
    assert (clock_words(12.4), clock_words(3723)) == ("0:12", "1:02:03")


def test_a_step_says_what_it_counts_and_what_is_cached() -> None:
    screen = Terminal(log=Console(file=io.StringIO(), force_terminal=True, width=120))
    with screen.working():
        decode = screen.step("decode and prepare")
        assert "0/" not in drawn(screen)
        note(decode, "310 to decode, 275 from the cache")
        decode(310, 310)
        folds = screen.step(StepName("folds of main", "folds"))
        folds(0, 5)
        head = screen.step(StepName("seed 0, fold 1, head", "epochs"))
        head(3, 100)
        page = drawn(screen)
        assert "310 to decode, 275 from the cache" in page
        assert "  seed 0, fold 1, head" in page
        assert "3/100" in page
        folds(1, 5)  # what was inside the first fold is over
        assert "head" not in drawn(screen)
        head(4, 100)
        assert "4/100" in drawn(screen)


def test_steps_of_two_processes_do_not_end_each_other() -> None:
    screen = Terminal(log=Console(file=io.StringIO(), force_terminal=True, width=120))
    with screen.working():
        folds = screen.step(StepName("folds of main", "folds"))
        folds(0, 4)
        tuned = [screen.step(StepName(f"fold {n}, tune", "epochs", n)) for n in (1, 2)]
        tuned[1](3, 30)
        tuned[0](5, 30)
        inner = screen.step(StepName("batches", "images", 2))
        inner(16, 64)
        tuned[0](30, 30)
        tuned[1](4, 30)
        page = drawn(screen)
        assert ("30/30" in page, "4/30" in page, "batches" in page) == (True, True, False)
        folds(1, 4)  # the first fold is over, the second goes on in its process
        page = drawn(screen)
        assert ("fold 1, tune" in page, "fold 2, tune" in page) == (False, True)


def test_names_of_steps_are_plain_text_to_those_who_want_no_more() -> None:
    step = StepName("fold 1", "epochs").within("robust")
    assert (step, unit_of(step), unit_of("decode")) == ("robust: fold 1", "epochs", "images")
    note(silent(step), "nobody shows it")
