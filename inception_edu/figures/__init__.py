"""Pictures that are never only pictures: in one style, with their words; curves; photos."""

from inception_edu.figures.curves import (
    draw_accuracy as draw_accuracy,
    draw_curves as draw_curves,
    draw_loss as draw_loss,
    draw_page as draw_page,
    running_mean as running_mean,
)
from inception_edu.figures.picture import (
    COLOURS as COLOURS,
    HEAD_COLOURS as HEAD_COLOURS,
    STYLE as STYLE,
    Draw as Draw,
    Easel as Easel,
    Picture as Picture,
    describe as describe,
    picture_bundle as picture_bundle,
    png as png,
    render as render,
)
