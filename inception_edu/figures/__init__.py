"""Pictures that are never only pictures: in one style, with their words; curves; photos."""

from inception_edu.figures.curves import (
    centred_mean as centred_mean,
    draw_accuracy as draw_accuracy,
    draw_curves as draw_curves,
    draw_loss as draw_loss,
    draw_page as draw_page,
    running_mean as running_mean,
)
from inception_edu.figures.diagram import diagram as diagram
from inception_edu.figures.picture import (
    Draw as Draw,
    Easel as Easel,
    Picture as Picture,
    describe as describe,
    on_page as on_page,
    picture_bundle as picture_bundle,
    png as png,
    render as render,
)
from inception_edu.figures.provenance import drawn_by as drawn_by, is_current as is_current
from inception_edu.figures.style import (
    COLOURS as COLOURS,
    HEAD_COLOURS as HEAD_COLOURS,
    STYLE as STYLE,
)
from inception_edu.figures.whole import whole as whole
