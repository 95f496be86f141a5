"""How fast this machine multiplies: layers of six shapes timed, for lessons 00 and 01."""

from matplotlib.figure import Figure

from inception_edu.cost import text_table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.shared import SHAPES, Timing, time_layer


def time_shapes() -> dict[str, Timing]:
    """Timings of all SHAPES on one core, where other programs disturb least."""
    return {name: time_layer(*shape, threads=1) for name, shape in SHAPES.items()}


def predicted(timings: dict[str, Timing]) -> dict[str, float]:
    """Milliseconds if every layer did its MACs as fast as the first."""
    rate = next(iter(timings.values())).gmacs_per_second
    return {name: timing.macs / rate / 1e6 for name, timing in timings.items()}


def words_speed(timings: dict[str, Timing]) -> str:
    rows = [("layer", "MACs", "predicted ms", "measured ms", "GMAC/s", "MACs per byte")]
    for (name, timing), ms in zip(timings.items(), predicted(timings).values(), strict=True):
        cells = (f"{ms:.3f}", f"{timing.milliseconds:.3f}", f"{timing.gmacs_per_second:.0f}")
        rows.append((name, f"{timing.macs:,}", *cells, f"{timing.macs_per_byte:.1f}"))
    return text_table(rows)


def _draw_speed(fig: Figure, timings: dict[str, Timing]) -> None:
    left, right = fig.subplots(1, 2, width_ratios=(3, 2))
    names = [f"{name}  ({i})" for i, name in enumerate(timings, start=1)]
    measured = [timing.milliseconds for timing in timings.values()]
    expected = list(predicted(timings).values())
    slowdown = max(m / e for m, e in zip(measured, expected, strict=True))
    left.hlines(names, expected, measured, color=COLOURS["muted"], linewidth=3, zorder=1)
    left.scatter(expected, names, 90, COLOURS["muted"], label="predicted from MACs")
    left.scatter(measured, names, 90, COLOURS["before"], label="measured")
    left.invert_yaxis()
    left.set(xscale="log", xlabel="ms per image", title=f"Up to {slowdown:.0f} times slower")
    left.legend(loc="lower right", frameon=False)
    for i, timing in enumerate(timings.values(), start=1):
        right.plot(timing.macs_per_byte, timing.gmacs_per_second, "o", color=COLOURS["before"])
        point = (timing.macs_per_byte, timing.gmacs_per_second)
        right.annotate(f"({i})", point, (0, 6), textcoords="offset points", ha="center")
    right.set(xscale="log", xlabel="MACs per byte moved", ylabel="GMAC/s")
    right.set(title="Speed follows reuse", ylim=(0, None))
    right.margins(y=0.15)


def show_speed(timings: dict[str, Timing]) -> Picture:
    """Predicted against measured time, and speed against arithmetic per byte."""
    return Picture(_draw_speed, timings, words_speed, size=(11, 4))
