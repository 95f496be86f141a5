"""Any photo, uploaded or shipped, through any network; what cannot be read is named."""

import html
from collections.abc import Iterable, Mapping

from ipywidgets import HTML, FileUpload
from PIL import Image

from inception_edu.data import PhotoError, read_photo
from inception_edu.figures.photos import Seen, draw_predictions, look, words
from inception_edu.files import shown
from inception_edu.predict import Classifier
from inception_edu.widgets import Explorer, choices

TOP, KEPT = 4, 640  # classes that are told; pixels of the longer side of a photo that is kept
HINT = "several at once, at most 10 MB together: Jupyter's server lets no more through"


def files(value: Mapping | Iterable[Mapping]) -> list[tuple[str, bytes]]:
    """Name and content of what FileUpload holds: a tuple in ipywidgets 8, a dictionary in 7."""
    if isinstance(value, Mapping):
        value = [file | dict(name=name) for name, file in value.items()]
    return [(file["name"], bytes(file["content"])) for file in value]


def read_files(value: Mapping | Iterable[Mapping]) -> tuple[dict[str, Image.Image], list[str]]:
    """The photos by name, and a sentence on each file that is none."""
    photos, failed = {}, []
    for name, content in files(value):
        try:
            photo = read_photo(content, at_least=KEPT)
        except PhotoError as error:
            failed.append(f"{shown(name)} {error.why}")
            continue
        photo.thumbnail((KEPT, KEPT))
        photos[shown(name)] = photo
    return photos, failed


class PhotoExplorer(Explorer):
    """Choose a photo, or upload some, and a network where there are several: probabilities, and
    where in the photo the highest comes from.

    Photos that were there stay, unless an upload has the very same name.
    """

    def __init__(self, networks: dict[str, Classifier], photos: dict[str, Image.Image]) -> None:
        self.networks, self.photos, self._seen = networks, dict(photos), {}
        for photo in photos:  # so that a step only has to draw
            for network in networks:
                self._look(photo, network)
        controls = {"photo": choices(list(photos))}
        if len(networks) > 1:
            controls = {"network": choices(list(networks), value=list(networks)[-1]), **controls}
        title = "What does the network say of this photo, and where does it look?"
        super().__init__(
            controls,
            self._look,
            draw_predictions,
            words,
            title=title,
            size=(9.4, 3.1),
            moves="photo",
        )
        self.upload = FileUpload(accept="image/*", multiple=True, description="Upload photos")
        self.upload.layout.width = "14em"
        self.said = HTML(f"<i>{HINT}</i>")
        heading, *rest = self.view.children
        self.view.children = (heading, self.upload, self.said, *rest)
        self.upload.observe(self._on_upload, names="value")

    def _look(self, photo: str, network: str | None = None) -> list[Seen]:
        network = network or next(iter(self.networks))
        if (network, photo) not in self._seen:
            seen = look(self.networks[network], self.photos[photo], photo, TOP)
            self._seen[network, photo] = seen
        return [self._seen[network, photo]]

    def _on_upload(self, change: object) -> None:
        found, failed = read_files(self.upload.value)
        self.photos |= found
        self._seen.clear()
        lines = [f"{len(found)} photos read", *(f"left out: {why}" for why in failed)]
        self.said.value = f"<div role='status'>{'<br>'.join(map(html.escape, lines))}</div>"
        if found:
            control, first = self.controls["photo"], next(iter(found))
            chosen = control.value
            control.options = list(self.photos)
            control.value = first
            if chosen == first:  # the same name, other pixels: no control has changed
                self._on_change(change)
