"""How every figure looks: colours told apart by the colour-blind, letters for the last row."""

import matplotlib

# Okabe and Ito's palette, told apart by the colour-blind; one colour per branch everywhere.
COLOURS = {
    "branch1x1": "#0072b2",
    "branch3x3": "#e69f00",
    "branch5x5": "#009e73",
    "branch_pool": "#cc79a7",
    "before": "#d55e00",  # the expensive, naive or wrong way
    "after": "#56b4e9",  # the paper's way
    "ink": "#333333",
    "muted": "#999999",
}

HEAD_COLOURS = {
    "main": COLOURS["before"],
    "aux1": COLOURS["branch1x1"],
    "aux2": COLOURS["branch5x5"],
    "aux": COLOURS["branch1x1"],
}

# Readable from the last row of a lecture hall.
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 13,
    "axes.titlesize": 14,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 13,
    "legend.fontsize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=list(COLOURS.values())[:5]),
    "figure.facecolor": "white",
    "image.cmap": "gray",
    "image.interpolation": "nearest",  # pixels stay pixels
}
