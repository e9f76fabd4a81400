"""What is written down of an object: its prompts and all else that its mask depends on.

Reading checks everything: types, limits, unknown names. What is read gives the same mask to the
bit, because coordinates are written in full and masks bit by bit.
"""

import base64
import zlib
from typing import Annotated, Protocol
from weakref import WeakKeyDictionary

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from napari_sam2_openvino.core.commit import CommitMode
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import Mark, MaskCut, ObjectPrompts
from napari_sam2_openvino.core.normalize import ChannelView
from napari_sam2_openvino.core.parameters import MaskOptions
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.types import PlaneIndex

# The obj_id of a record whose negative marks count for all objects of a plane.
FOR_ALL_OBJECTS = 0


def _as_unicode(text: object) -> object:
    # File names that are no UTF-8 come as lone surrogates, which no file could hold.
    return text.encode("utf-8", "replace").decode() if isinstance(text, str) else text


Text = Annotated[str, BeforeValidator(_as_unicode)]


class Record(BaseModel):
    """Base of what is written down: frozen, strict about types, refuses unknown names."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class MaskRecord(Record):
    """A mask as text: its bits, eight to a byte, deflated, in base 64."""

    row: int
    column: int
    height: Annotated[int, Field(ge=0)]
    width: Annotated[int, Field(ge=0)]
    bits: str

    @model_validator(mode="after")
    def _can_be_read(self) -> "MaskRecord":
        self.value()
        return self

    @classmethod
    def of(cls, cut: MaskCut) -> "MaskRecord":
        """Return the record of a mask: of the same one always the same record."""
        if (known := _MASKS.get(cut)) is None:
            (row, column), (height, width) = cut.origin, cut.mask.shape
            bits = base64.b64encode(zlib.compress(np.packbits(cut.mask).tobytes())).decode("ascii")
            known = cls(row=row, column=column, height=height, width=width, bits=bits)
            _MASKS[cut] = known
        return known

    def value(self) -> MaskCut:
        """Return the mask."""
        n_pixels = self.height * self.width
        n_bytes = (n_pixels + 7) // 8
        try:
            # One byte more than there should be is enough to see that there are too many.
            inflated = zlib.decompressobj().decompress(
                base64.b64decode(self.bits, validate=True), n_bytes + 1
            )
        except (ValueError, zlib.error) as error:
            raise InputError("A mask is damaged: its bits cannot be read.") from error
        if len(inflated) != n_bytes:
            raise InputError(f"A mask of {self.height} x {self.width} pixels is damaged.")
        bits = np.unpackbits(np.frombuffer(inflated, np.uint8), count=n_pixels).astype(bool)
        return MaskCut(bits.reshape(self.height, self.width), (self.row, self.column))


class PromptsRecord(Record):
    """`ObjectPrompts` as they are written down."""

    marks: tuple[Mark, ...] = ()
    mask: MaskRecord | None = None
    choices: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, prompts: ObjectPrompts) -> "PromptsRecord":
        """Return the record of an object's prompts."""
        mask = None if prompts.mask is None else MaskRecord.of(prompts.mask)
        return cls(marks=prompts.marks, mask=mask, choices=prompts.choices)

    def value(self) -> ObjectPrompts:
        """Return the prompts."""
        mask = None if self.mask is None else self.mask.value()
        return ObjectPrompts(self.marks, mask, self.choices)


# Of a large mask a record takes long to make, and sessions are saved again and again.
_MASKS: WeakKeyDictionary[MaskCut, MaskRecord] = WeakKeyDictionary()


class _IdentifiedModel(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def key(self) -> str: ...


class ModelRecord(Record):
    """Which model made a mask.

    Parameters
    ----------
    name : str
        As in the list of models.
    key : str
        `Sam2Model.key`: content of the model folder, device and precision. Masks are the same to
        the bit where this is the same.
    device, precision : str
        What it ran on, and in.
    """

    name: Text
    key: Text = ""
    device: str = "CPU"
    precision: str = "auto"

    @classmethod
    def of(cls, model: _IdentifiedModel) -> "ModelRecord":
        """Return the record of a loaded model, or of an engine."""
        _, _, where = model.key.partition("-")
        device, _, precision = where.rpartition("-")
        return cls(
            name=model.name, key=model.key, device=device or "CPU", precision=precision or "auto"
        )


class ImageRecord(Record):
    """An image that was annotated, to tell whether another one fits.

    Parameters
    ----------
    name : str
        Of the layer.
    shape : tuple of int
        In pixels at full resolution, without RGB's channel axis.
    is_rgb : bool, optional
        Whether there is a last axis of three or four colours in addition.
    dtype : str, optional
        Of the pixels, as numpy names it.
    axis_labels, units : tuple of str, optional
        One for each axis.
    scale : tuple of float, optional
        Extent of a pixel along each axis, in ``units``.
    n_levels : int, optional
        Versions of rising coarseness that large regions are read from; 1 if there is one only.
    source : str, optional
        Path or URL it was opened from.
    """

    name: Text
    shape: tuple[Annotated[int, Field(ge=1)], ...]
    is_rgb: bool = False
    dtype: str = ""
    axis_labels: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    scale: tuple[float, ...] = ()
    n_levels: Annotated[int, Field(ge=1)] = 1
    source: Text | None = None


class ObjectRecord(Record):
    """One object on one plane, with all that its mask depends on.

    An object that was committed, changed and committed again has a record for each time: what
    another object was left with depends on both.

    Parameters
    ----------
    obj_id : int
        Its label. A record with `FOR_ALL_OBJECTS` holds the negative marks of a plane that count
        for all objects; it is never committed.
    plane : PlaneIndex
        In the axes of the image, without RGB's channel axis.
    prompts : PromptsRecord
        Exactly as decoded, so with the marks that counted for all objects at the time.
    region : Region, optional
        The region in which it was decoded; None to choose it by the rule of the window.
    options : MaskOptions, optional
    model : ModelRecord, optional
    view : ChannelView, optional
        Channels and intensities that the network saw. Both are the session's where they are None;
        committed objects should bring theirs, because a session's may change.
    channels : tuple of str, optional
        Names of the images that the network saw; the session's where there are none.
    class_name : str, optional
        What the user calls it.
    iou_prediction : float, optional
        The model's own estimate.
    committed : bool, optional
        Whether it was written into the labels; else it is a draft.
    commit_mode : {"keep existing", "overwrite", "only where empty"}, optional
    order : int, optional
        Commits are replayed in rising order; those of equal order in the order of the file.
    """

    obj_id: Annotated[int, Field(ge=FOR_ALL_OBJECTS)]
    plane: PlaneIndex
    prompts: PromptsRecord
    region: Region | None = None
    options: MaskOptions = MaskOptions()
    model: ModelRecord | None = None
    view: ChannelView | None = None
    channels: tuple[Text, ...] = ()
    class_name: Text = ""
    iou_prediction: float | None = None
    committed: bool = False
    commit_mode: CommitMode = "keep existing"
    order: Annotated[int, Field(ge=0)] = 0


def check_place(record: ObjectRecord, shape: tuple[int, ...]) -> None:
    """Raise InputError if the plane or the region of an object is not in an image of a shape."""
    index, region = record.plane.index, record.region
    if len(index) != len(shape) or not all(
        value is None or 0 <= value < length for value, length in zip(index, shape, strict=True)
    ):
        raise InputError(f"Object {record.obj_id} is on plane {index} of an image of shape {shape}")
    if region is None:
        return
    height, width = (shape[axis] for axis in record.plane.displayed)
    fits = region.row + region.height <= height and region.column + region.width <= width
    if not fits or min(region.hw) < 1 or min(region.row, region.column) < 0 or region.step < 1:
        raise InputError(
            f"Object {record.obj_id} has {region}, but its plane has {height} x {width} pixels"
        )


def object_to_json(record: ObjectRecord) -> str:
    """Return an object as one line of JSON, for a cell of a table."""
    return record.model_dump_json()


def object_from_json(text: str) -> ObjectRecord:
    """Return the object that `object_to_json` wrote.

    Raises
    ------
    InputError
        If the text is something else.
    """
    try:
        return ObjectRecord.model_validate_json(text)
    except ValidationError as error:
        raise InputError(
            f"The prompts of an object cannot be read ({first_problem(error)}): draw them again."
        ) from error


def first_problem(error: ValidationError) -> str:
    """Return what is wrong first, with its place."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"])) or "as a whole"
    return f"{place}: {first['msg'].removeprefix('Value error, ').rstrip('.')}"
